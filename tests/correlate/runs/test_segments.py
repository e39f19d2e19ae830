"""A run that is joined in segments gives the trace that it gives as one; a cut parts nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.correlate.profiles.test_slices import plain
from tests.correlate.runs.made_process import Row, process
from tftrace import Trace
from tftrace.agent import contract
from tftrace.correlate.ledger.algorithm_rows import settle
from tftrace.correlate.libraries.onednn_lines import OnednnLines
from tftrace.correlate.runs import process as joining
from tftrace.correlate.runs import segments as cutting
from tftrace.correlate.runs.segments import Segment, segments
from tftrace.correlate.tables.columns import TraceBuilder
from tftrace.ingest.agent_raw import RawProcess, processes, read_process
from tftrace.ingest.cudnn.calls import read_cudnn

OK = contract.STATUS.index("ok")
WHOLE = 1 << 40


def joined(trace: Trace, records: int) -> tuple[dict[str, pa.Table], list[dict[str, Any]], int]:
    """The tables, what the manifest wants to know of each process, and how many segments there were."""
    count = 0

    def counted(*arguments: Any) -> Any:
        nonlocal count
        for one in segments(*arguments, records=records):
            count += 1
            yield one

    build, facts = TraceBuilder(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "segments", counted)
        patch.setattr(cutting, "_SAMPLED", 1)
        for path in processes(trace.path / "raw"):
            facts.append(vars(joining.add_process(read_process(path), build, True)) | {"asked": None})
    settle(build)
    tables = {name: plain(table, name) for name, table in build.tables().items()}
    stacks = zip(*(tables["stacks"][name].to_pylist() for name in ("stack_id", "frames")), strict=True)
    frames = {number: json.dumps(told) for number, told in stacks}
    events = tables["events"]  # stacks are numbered as they come
    shown = pa.array([frames.get(number) for number in events["stack_id"].to_pylist()], pa.string())
    tables["events"] = events.set_column(events.schema.get_field_index("stack_id"), "stack_id", shown)
    tables["stacks"] = pa.table({"frames": sorted(frames.values())})
    return tables, facts, count


def assert_same(trace: Trace, records: int) -> int:
    one, facts, _ = joined(trace, WHOLE)
    other, more, count = joined(trace, records)
    for name, table in one.items():
        assert table.equals(other[name]), name
    assert facts == more
    return count


@pytest.mark.tf
@pytest.mark.parametrize("script", ["mixed.py", "threads.py"])
def test_recorded_runs_are_the_same_in_segments(recorded: Callable[..., Trace], script: str) -> None:
    trace = recorded(script, "--no-tf-profiler", TF_ENABLE_ONEDNN_OPTS="1")
    assert assert_same(trace, 20) > 5


@pytest.mark.tf
def test_a_window_of_the_profiler_is_in_one_segment(recorded: Callable[..., Trace]) -> None:
    trace = recorded("stepping.py", "--steps", "3:5")
    (told,) = [probe for probe in trace.manifest["probes"] if probe["name"] == "tf_profiler"]
    assert told["events"] > 100
    assert assert_same(trace, 2) > 2


@pytest.mark.tf
def test_calls_into_cudnn_are_the_same_in_segments(
    recorded: Callable[..., Trace], standin_gpu: dict[str, str]
) -> None:
    trace = recorded("gpu_conv.py", "--no-tf-profiler", **standin_gpu)
    assert assert_same(trace, 20) > 1


def call(t0: int, t1: int, tid: int = 1, **columns: int) -> Row:
    return {"t0": t0, "t1": t1, "tid": tid, "status": OK, **columns}


def task(t0: int, t1: int, tid: int = 1, **columns: int) -> Row:
    return {"t0": t0, "t1": t1, "tid": tid, **columns}


def cut(raw: RawProcess, records: int) -> list[Segment]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_SAMPLED", 1)
        return list(segments(raw, OnednnLines(raw), read_cudnn(raw.path), records))


def starts(found: list[Segment]) -> list[list[int]]:
    return [one.raw.dispatch["t0"].tolist() for one in found]


def test_a_cut_is_where_nothing_is_running(tmp_path: Path) -> None:
    raw = process(
        tmp_path / "made",
        dispatch=[
            call(10, 20),
            call(30, 40),
            call(50, 90),
            call(60, 70, tid=2),
            call(80, 95, tid=2),
            call(100, 110),
        ],
        itt=[task(12, 18, call=1), task(25, 45, tid=3), task(62, 69, tid=2, call=4)],
    )
    found = cut(raw, 1)
    assert starts(found) == [[10, 30], [50, 60, 80], [100]]
    assert [one.raw.itt["t0"].tolist() for one in found] == [[12, 25], [62], []]
    assert found[1].raw.itt["call"].tolist() == [2]
    assert [one.record for one in found] == [0, 2, 5]


def test_nothing_is_cut_while_a_call_lasts(tmp_path: Path) -> None:
    endless = call(1, 0, tid=9) | {"status": contract.STATUS.index("open")}
    raw = process(tmp_path / "made", dispatch=[endless, *(call(10 * n, 10 * n + 5) for n in range(1, 50))])
    assert len(cut(raw, 2)) == 1


def test_a_segment_is_about_as_large_as_asked_for(tmp_path: Path) -> None:
    raw = process(tmp_path / "made", dispatch=[call(10 * n, 10 * n + 5) for n in range(1, 101)])
    assert [len(some) for some in starts(cut(raw, 30))] == [30, 30, 30, 10]


def test_a_record_that_was_numbered_before_an_earlier_one_is_not_parted_from_it(tmp_path: Path) -> None:
    # thread 2 had its number before thread 1, and looked at the clock after it
    raw = process(tmp_path / "made", dispatch=[call(10, 20), call(60, 70, tid=2), call(40, 50), call(80, 90)])
    assert starts(cut(raw, 1)) == [[10], [60, 40], [80]]


def test_windows_are_in_the_segment_of_their_calls(tmp_path: Path) -> None:
    ms = 1_000_000
    raw = process(
        tmp_path / "made",
        dispatch=[call(10 * n * ms, (10 * n + 5) * ms) for n in range(1, 10)],
        windows=[{"run": "a", "asked": 29 * ms, "open": 31 * ms, "close": 52 * ms, "closed": 58 * ms}],
    )
    found = cut(raw, 1)
    assert [len(one.raw.windows) for one in found] == [0, 1, 0, 0, 0, 0]
    assert [t // ms for t in starts(found)[1]] == [20, 30, 40, 50]


@st.composite
def recorded_threads(draw: st.DrawFn) -> dict[str, list[Row]]:
    """Calls, tasks inside and outside of them, and their lines, on up to three threads; numbered nearly as they
    begin."""
    rows: list[tuple[str, int, Row, Any]] = []
    for tid in range(1, draw(st.integers(1, 3)) + 1):
        now = draw(st.integers(1, 30))
        for _ in range(draw(st.integers(0, 8))):
            long = draw(st.integers(4, 60))
            if draw(st.booleans()):
                rows.append(("dispatch", now + draw(st.integers(0, 1)), call(now, now + long, tid), None))
                inside = ("dispatch", now, tid)
            else:
                inside = None
            if draw(st.booleans()):
                rows.append(("itt", now + 1, task(now + 1, now + long - 2, tid), inside))
                if draw(st.booleans()):
                    line = {"t": now + long - 1, "ms": (long - 3) / 1e6, "tid": tid, "line": 1}
                    rows.append(("onednn", now + long, line, ("itt", now + 1, tid)))
            now += long + draw(st.integers(0, 20))
    rows.sort(key=lambda row: row[1])
    made: dict[str, list[Row]] = {"dispatch": [], "itt": [], "onednn": []}
    number = {}
    for kind, _, row, _ in rows:
        made[kind].append(row)
        number[kind, row.get("t0"), row["tid"]] = len(made[kind])
    for kind, _, row, inside in rows:
        if inside is not None:
            row["itt" if kind == "onednn" else "call"] = number[inside]
    return made


def referred(records: np.ndarray, column: str, to: np.ndarray, key: str) -> list[int]:
    """What each record refers to, by time; 0 for nothing."""
    return [int(to[key][at - 1]) if at else 0 for at in records[column].tolist()]


@settings(max_examples=200, deadline=None)
@given(recorded_threads(), st.integers(1, 6))
def test_every_record_is_in_one_segment_with_what_it_refers_to(
    tmp_path_factory: pytest.TempPathFactory, made: dict[str, list[Row]], records: int
) -> None:
    whole = b"1 1 0 onednn_verbose,v1,primitive,exec,cpu,relu,a,b,c,,d,1,0.5\n"
    raw = process(tmp_path_factory.mktemp("made") / "process", verbose=whole.ljust(32, b"\0"), **made)
    found = cut(raw, records)
    assert [t for one in starts(found) for t in one] == raw.dispatch["t0"].tolist()
    assert [t for one in found for t in one.raw.itt["t0"].tolist()] == raw.itt["t0"].tolist()
    assert sum(len(one.lines) for one in found) == len(raw.onednn) + 1
    told = [at for one in found for at in referred(one.raw.itt, "call", one.raw.dispatch, "t0")]
    assert told == referred(raw.itt, "call", raw.dispatch, "t0")
    printed = [
        (int(end), int(one.raw.itt["t0"][at]) if at >= 0 else 0)
        for one in found
        for end, at in zip(one.lines.raw_end.tolist(), one.lines.itt.tolist(), strict=True)
    ]
    under = zip(raw.onednn["t"].tolist(), referred(raw.onednn, "itt", raw.itt, "t0"), strict=True)
    assert sorted(printed) == sorted([(1, 0), *under])
    reach = 0
    for one in found:
        spans = [(int(r["t0"]), int(r["t1"])) for r in (*one.raw.dispatch, *one.raw.itt)]
        assert not spans or min(spans)[0] >= reach
        reach = max([reach, *(end for _, end in spans)])
