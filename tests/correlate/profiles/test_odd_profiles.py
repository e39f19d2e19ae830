"""Profiles that no sane program leaves are imported whole, and asked like others."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from tests.ingest import wire_writer as write
from tftrace.analysis import summary
from tftrace.correlate.imported import import_files
from tftrace.errors import CaptureError
from tftrace.model.trace import Trace
from tftrace.store.directory import open_trace

DAY_NS = 86_400_000_000_000


def entry(field: int, key: int, name: bytes) -> bytes:
    return write.block(
        field, write.number(1, key) + write.block(2, write.number(1, key) + write.block(2, name))
    )


def event(key: int, start_ns: int, dur_ns: int) -> bytes:
    return write.block(
        4, write.number(1, key) + write.number(2, start_ns * 1000) + write.number(3, dur_ns * 1000)
    )


def imported(tmp_path: Path, lines: list[bytes], names: list[bytes]) -> Trace:
    plane = write.block(2, "/host:CPU") + b"".join(write.block(3, line) for line in lines)
    plane += b"".join(entry(4, key, name) for key, name in enumerate(names, 1))
    path = tmp_path / "odd.xplane.pb"
    path.write_bytes(write.block(1, plane))
    return open_trace(import_files([path], tmp_path / "trace"))


def line(number: int, *events: bytes) -> bytes:
    return write.number(1, number) + write.block(2, f"thread {number}") + b"".join(events)


def test_a_hundred_thousand_threads(tmp_path: Path) -> None:
    count = 100_000
    one = event(1, 10, 50) + event(2, 20, 30)
    trace = imported(tmp_path, [line(n, one) for n in range(1, count + 1)], [b"FunctionRun", b"a/b:Relu"])
    events = trace.events
    assert len(events) == 2 * count
    assert events.tid.nunique() == count
    assert len(trace.links) == count  # each thread's kernel lies in its own run
    assert len(trace.calls) == count
    kernel = next(row for row in summary.document(trace)["layers"] if row["layer"] == "kernel")
    assert (kernel["events"], kernel["total_us"]) == (count, count * 30 / 1000)


def test_an_event_of_a_day_around_others(tmp_path: Path) -> None:
    inner = [event(2, 1_000 * at, 500) for at in range(100)]
    trace = imported(tmp_path, [line(7, event(1, 0, DAY_NS), *inner)], [b"FunctionRun", b"a/b:Relu"])
    assert trace.events.dur_ns.max() == DAY_NS
    assert len(trace.links) == 100
    runtime, kernel = (
        next(row for row in summary.document(trace)["layers"] if row["layer"] == name)
        for name in ("runtime", "kernel")
    )
    assert (runtime["total_us"], kernel["total_us"]) == (DAY_NS / 1000, 50.0)


@pytest.mark.parametrize("dur_ns", [0, 100], ids=["of no length", "of one length"])
def test_all_events_at_one_instant(tmp_path: Path, dur_ns: int) -> None:
    events = [event(1 + at % 2, 5_000, dur_ns) for at in range(100_000)]
    trace = imported(tmp_path, [line(7, *events)], [b"FunctionRun", b"a/b:Relu"])
    assert len(trace.events) == 100_000
    assert trace.events.start_ns.nunique() == 1
    kernel = next(row for row in summary.document(trace)["layers"] if row["layer"] == "kernel")
    assert (kernel["events"], kernel["total_us"]) == (50_000, dur_ns / 1000)


def test_names_of_a_megabyte_and_names_that_are_no_text(tmp_path: Path) -> None:
    long = b"n" * (1 << 20)
    names = [
        long + b":Relu",
        b"a\0b:Relu",
        b"caf\xe9\xff:Relu",
        "\u202eabc:Relu".encode(),
        b"<script>:Relu",
        b"",
    ]
    trace = imported(
        tmp_path, [line(7, *(event(key, 10 * key, 5) for key in range(1, len(names) + 1)))], names
    )
    found = trace.events.sort_values("start_ns").name.tolist()
    assert found == [
        long.decode() + ":Relu", "a\0b:Relu", "caf\ufffd\ufffd:Relu", "\u202eabc:Relu", "<script>:Relu",
        "(event 6 without a name)",
    ]  # fmt: skip
    assert summary.document(trace)["layers"]


def test_negative_and_overflowing_times_cost_nothing_else(tmp_path: Path) -> None:
    odd = [event(1, -500, 100), event(1, 100, -50), event(1, 2**50, 2**50)]
    trace = imported(tmp_path, [line(7, *odd, event(1, 0, 10))], [b"a/b:Relu"])
    assert len(trace.events) == 4
    assert np.isfinite([row["total_us"] or 0 for row in summary.document(trace)["layers"]]).all()


def test_a_disk_that_fills_while_a_trace_is_replaced_leaves_the_old_one(tmp_path: Path) -> None:
    trace = imported(tmp_path, [line(7, event(1, 0, 10))], [b"a/b:Relu"])
    assert trace.path is not None
    before = {p: p.read_bytes() for p in sorted(trace.path.rglob("*")) if p.is_file()}
    large = tmp_path / "large.xplane.pb"
    plane = write.block(2, "/host:CPU") + write.block(3, line(7, event(1, 0, 10) * 50_000))
    large.write_bytes(write.block(1, plane))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # what a full disk is to a writer
    try:
        with pytest.raises(CaptureError, match=r"cannot be written: .*File too large; make room"):
            import_files([large], trace.path, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {p: p.read_bytes() for p in sorted(trace.path.rglob("*")) if p.is_file()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["large.xplane.pb", "odd.xplane.pb", "trace"]
    import_files([large], trace.path, force=True)
    assert len(open_trace(trace.path).events) == 50_000
