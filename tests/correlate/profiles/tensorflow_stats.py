"""Totals that TensorFlow computed itself of a profile: its files `*.kernel_stats.pb` and `*.tensorflow_stats.pb`.

KernelStatsDb    := reports:1*
KernelReport     := name:1 .. total_duration_ns:7 .. op_name:12 occurrences:13
TfStatsDatabase  := with_idle:4 without_idle:5 ..
TfStatsTable     := records:1*
TfStatsRecord    := rank:1 host_or_device:2 op_type:3 op_name:4 occurrences:5 total_time_us:6 ..
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field of a message; text and messages as bytes."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        elif tag & 7 == 1:
            at += 8
            yield tag >> 3, struct.unpack("<d", data[at - 8 : at])[0]
        else:
            assert tag & 7 == 2
            size = varint()
            at += size
            yield tag >> 3, data[at - size : at]


def kernels(path: Path) -> tuple[Counter[str], Counter[str], int]:
    """(count, ns) by kernel name, and the number of reports."""
    count, ns = Counter[str](), Counter[str]()
    reports = [dict(fields(value)) for number, value in fields(path.read_bytes()) if number == 1]
    for report in reports:
        name = report[1].decode()
        ns[name] += report.get(7, 0)
        count[name] += report.get(13, 0)
    return count, ns, len(reports)


def ops(path: Path) -> dict[tuple[str, str, str], float]:
    """Total time in us by (Host or Device, op name, op type)."""
    (table,) = [value for number, value in fields(path.read_bytes()) if number == 5]
    records = [dict(fields(value)) for number, value in fields(table) if number == 1]
    return {tuple(r.get(k, b"").decode() for k in (2, 4, 3)): r.get(6, 0.0) for r in records}  # type: ignore[misc]
