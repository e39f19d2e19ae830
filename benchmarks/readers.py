"""How fast recorded logs are read, in MB/s.

    python benchmarks/readers.py [--quick] [--json] [--rounds N] [--file LOG]

The log is cuDNN's, made here in the proportions of a cold convolution under TensorFlow: nearly all records
create and destroy descriptors, few hold a whole operation graph, and most bodies repeat. `--file` takes a
recorded one instead, compressed or not. The time is that of the process (others share the machine), from
bytes in memory to records in columns; bodies are decoded later, each once, and that is measured apart.

The peer is what one would write first: a loop over the lines that gathers a record's lines until its
`Process=` line and parses time, process and thread of each.
"""

from __future__ import annotations

import re
import time
from datetime import datetime

from reading import compare

from tftrace.ingest.cudnn.log import parse_log

MEGABYTES = 16
_HEAD = re.compile(r"[IWE]! CuDNN \(v(\d+) (\d+)\) function (\w+)\(\) called:")
_PROCESS = re.compile(r"Process=(\d+); Thread=(\d+); GPU=(\w+); Handle=(.*?); StreamId=(.*)\.$")

Record = tuple[str, list[str], datetime, tuple[str, ...]]


def made_log(megabytes: float) -> bytes:
    """A log of about that size; 40 records in 41 are short, one holds an execution plan."""
    short = [
        "    descriptorType: type=cudnnBackendDescriptorType_t; val=CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR (7);",
        "    status: type=cudnnStatus_t; val=CUDNN_STATUS_SUCCESS (0);",
    ]
    parts: list[str] = []
    size = number = 0
    while size < megabytes * 1e6:
        if number % 41 == 40:
            function, lines = "cudnnBackendExecute", plan(number // 41 % 400)
        else:
            function, lines = "cudnnBackendCreateDescriptor", [short[number % 2]]
        body = "".join(f"i! {line}\n" for line in lines)
        minute, micros, since = number // 1_000_000 % 60, number % 1_000_000, number // 30_000
        parts.append(
            f"I! CuDNN (v92800 42) function {function}() called:\n{body}"
            f"i! Time: 2026-11-23T14:{minute:02d}:37.{micros:06d} (0d+0h+0m+{since}s since start)\n"
            "i! Process=28210; Thread=28210; GPU=NULL; Handle=NULL; StreamId=NULL.\n\n\n"
        )
        size += len(parts[-1])
        number += 1
    return "".join(parts).encode()


def plan(engine: int) -> list[str]:
    tensor = [
        "nbDims: type=int; val=4;",
        "dimA: type=int; val=[2,8,16,16];",
        "strideA: type=int; val=[2048,1,128,8];",
    ]
    out = ["    executionPlan: type=CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:"]
    for name in ("xDesc", "wDesc", "yDesc"):
        out.append(f"        {name}: type=CUDNN_BACKEND_TENSOR_DESCRIPTOR:")
        out += [f"            {line}" for line in tensor * 3]
    return [*out, f"        engine_id: type=int; val={engine};"]


def line_loop(data: bytes) -> list[Record]:
    """The straightforward reader."""
    records: list[Record] = []
    function, lines, at = "", [], datetime.min
    for line in data.decode("utf-8", "replace").splitlines():
        if match := _HEAD.match(line):
            function, lines = match[3], []
        elif line[3:].startswith("Time: "):
            at = datetime.fromisoformat(line[9:35])
        elif line[3:].startswith("Process="):
            found = _PROCESS.search(line)
            records.append((function, lines, at, found.groups() if found else ()))
        elif line:
            lines.append(line)
    return records


def one_run(variant: str, data: bytes) -> tuple[float, float]:
    """What was found, and the seconds of the process."""
    before = time.process_time()
    if variant == "tftrace":
        records = len(parse_log(data))
    elif variant == "tftrace, decoded":
        log = parse_log(data)
        records = len(log)
        for code in range(len(log.bodies)):
            log.arguments(code)
    else:
        records = len(line_loop(data))
    seconds = time.process_time() - before
    return float(records), seconds


def main() -> None:
    compare(
        __doc__,
        "readers",
        "cuDNN log",
        "records",
        ["tftrace", "tftrace, decoded", "line loop"],
        made_log,
        one_run,
        MEGABYTES,
    )


if __name__ == "__main__":
    main()
