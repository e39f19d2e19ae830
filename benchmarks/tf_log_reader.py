"""How fast TensorFlow's log is read, in MB/s.

    python benchmarks/tf_log_reader.py [--quick] [--json] [--rounds N] [--file LOG]

The log is made here of the common messages of a run with verbose StreamExecutor: a line for each launch and each copy.
`--file` takes a recorded one instead, compressed or not. The time is that of the process, from bytes in memory to
entries that are read or counted. The peer is a loop over the lines that parses the head of each.
"""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from typing import Any

from measure import estimate, machine, machine_line, print_document, shown, shuffled_rounds, table, verdict

from tftrace.ingest.recorded_file import read_recorded
from tftrace.ingest.tf_log import parse_log

GOAL = 100.0  # MB/s
MEGABYTES = 64
VARIANTS = ["tftrace", "line loop"]
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


def one_run(variant: str, data: bytes) -> dict[str, float]:
    start = time.process_time()
    if variant == "tftrace":
        log = parse_log(data)
        entries = len(log.entries) + log.others
    else:
        entries = sum(_HEAD.match(line) is not None for line in data.split(b"\n"))
    seconds = time.process_time() - start
    return {"entries": entries, "seconds": seconds, "mb_s": len(data) / 1e6 / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="1 MB, one round: shows that it runs, decides nothing"
    )
    parser.add_argument("--rounds", type=int, help="default: 7, or 1 with --quick")
    parser.add_argument("--file", type=Path, help="a recorded log instead of the one made here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 7)
    data = read_recorded(options.file).data if options.file else made_log(1 if options.quick else MEGABYTES)
    results = shuffled_rounds(rounds, VARIANTS, lambda v: one_run(v, data), options.quick)
    found: dict[str, dict[str, Any]] = {
        v: {key: estimate([r[v][key] for r in results]) for key in ("entries", "seconds", "mb_s")}
        for v in VARIANTS
    }
    judged = verdict(found["tftrace"]["mb_s"], GOAL, at_most=False)
    if options.json:
        head = {"benchmark": "tf_log_reader", "machine": machine(), "mb": len(data) / 1e6, "rounds": rounds}
        print_document({**head, "found": found, "goal_mb_s": GOAL, "verdict": judged})
        return
    print(machine_line())
    print(f"TensorFlow log of {len(data) / 1e6:.1f} MB, {rounds} rounds, time of the process")
    lines = []
    for name in VARIANTS:
        row = found[name]
        goal = f">= {GOAL:.0f}: {judged}" if name == "tftrace" else ""
        cells = [
            shown(row["entries"], digits=0),
            shown(row["seconds"], digits=3),
            shown(row["mb_s"], digits=0),
        ]
        lines.append([name, *cells, goal])
    print(table(["", "entries", "seconds", "MB/s", "goal"], lines))


if __name__ == "__main__":
    main()
