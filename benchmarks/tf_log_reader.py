"""How fast TensorFlow's log is read, in MB/s.

    python benchmarks/tf_log_reader.py [--quick] [--json] [--rounds N] [--file LOG]

The log is made here of the common messages of a run with verbose StreamExecutor: a line for each launch and each copy.
`--file` takes a recorded one instead, compressed or not. The time is that of the process, from bytes in memory to
entries that are read or counted. The peer is a loop over the lines that parses the head of each.
"""

from __future__ import annotations

import re
import time

from reading import compare

from tftrace.ingest.tf_log import parse_log

MEGABYTES = 64
_HEAD = re.compile(rb"([IWEF])\d{4} \S+ +(\d+) ([^:]+):(\d+)\] (.*)")


def made_log(megabytes: float) -> bytes:
    """A log of about that size."""
    launch = (
        "I0000 00:00:17954444{s:02d}.{us:06d}   27639 cuda_stream.cc:368] launching kernel: repeat_buffer_kernel; "
        "gdx: 8192 gdy: 1 gdz: 1 bdx: 1024 bdy: 1 bdz: 1; shared_mem_bytes: 0\n"
        "I0000 00:00:17954444{s:02d}.{us:06d}   27639 cuda_stream.cc:112] successfully enqueued async memcpy d2h of 8 "
        "bytes from 0x7f3c30a23000 to 0x7ffe7a23d6d8 on stream 0x5650cee48480\n"
    )
    part = "".join(launch.format(s=n // 100 % 60, us=n) for n in range(4000)).encode()
    return part * max(1, round(megabytes * 1e6 / len(part)))


def one_run(variant: str, data: bytes) -> tuple[float, float]:
    """What was found, and the seconds of the process."""
    start = time.process_time()
    if variant == "tftrace":
        log = parse_log(data)
        entries = len(log.entries) + log.others
    else:
        entries = sum(_HEAD.match(line) is not None for line in data.split(b"\n"))
    seconds = time.process_time() - start
    return float(entries), seconds


def main() -> None:
    compare(
        __doc__,
        "tf_log_reader",
        "TensorFlow log",
        "entries",
        ["tftrace", "line loop"],
        made_log,
        one_run,
        MEGABYTES,
    )


if __name__ == "__main__":
    main()
