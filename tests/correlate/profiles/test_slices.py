"""A profile that is joined slice by slice gives the trace that it gives as one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.correlate.profiles.made_spaces import Plane, space
from tests.paging import put_on_disk
from tftrace.correlate.ledger.algorithm_rows import settle
from tftrace.correlate.ledger.profile_algorithms import ProfileAlgorithms
from tftrace.correlate.profiles import slices
from tftrace.correlate.profiles.device_planes import SpaceFacts, add_space
from tftrace.correlate.profiles.launches import find_launches
from tftrace.correlate.tables.columns import TraceBuilder
from tftrace.correlate.tables.scratch import Scratch
from tftrace.ingest.xplane.schema import STATS
from tftrace.ingest.xplane.space import XSpace, read_xspace
from tftrace.store.pages import Pages

ROOT = Path(__file__).resolve().parents[3]
RECORDED = ROOT / "traces"
sys.path.append(str(ROOT / "benchmarks"))

from made_profile import write_profile  # noqa: E402

WHOLE = 1 << 40


@pytest.fixture(params=["in memory", "on disk"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Pages | None:
    """Where the columns of a profile are: in memory, or on disk and looked at piece by piece."""
    if request.param == "in memory":
        return None
    put_on_disk(monkeypatch, 997)
    return Pages()


def joined(read: XSpace, events: int) -> tuple[dict[str, pa.Table], SpaceFacts]:
    build, algorithms = TraceBuilder(scratch=Scratch(in_memory=0)), ProfileAlgorithms()
    facts = add_space(read, build, algorithms, host="made", pid=1, events=events)
    algorithms.add(build, {})
    settle(build)
    return {name: plain(table, name) for name, table in build.tables().items()}, facts


def plain(table: pa.Table, name: str) -> pa.Table:
    columns = [c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in table.columns]
    table = pa.table(columns, names=table.schema.names)
    # links and memberships lie in the order of the slices
    order = (
        [(column, "ascending") for column in table.schema.names] if name in ("links", "event_calls") else []
    )
    return table.sort_by(order) if order else table


def parts(read: XSpace, events: int) -> list[int]:
    tids = np.array([line.line_id for line in read.lines], np.int64)
    found = slices.slices(read, tids, find_launches(read), events)
    return [len(read)] if found is None else [sum(map(len, pieces)) for pieces in found]


def assert_same(read: XSpace, events: int) -> dict[str, pa.Table]:
    one, facts = joined(read, WHOLE)
    other, more = joined(read, events)
    assert facts == more
    for name, table in one.items():
        assert table.equals(other[name]), name
    return one


def test_a_training_is_cut_between_its_steps(tmp_path: Path, place: Pages | None) -> None:
    events = 700
    write_profile(tmp_path / "made.xplane.pb", 4000)
    read = read_xspace(tmp_path / "made.xplane.pb", STATS, pages=place)
    assert (read.pages is None) == (place is None)
    sizes = parts(read, events)
    assert len(sizes) >= 3
    assert max(sizes) < len(read) / 2
    assert sum(sizes) == len(read)
    tables = assert_same(read, events)
    assert (
        {"producer id", "step id", "correlation id", "annotation scope", "containment"}
        >= set(tables["links"]["rule"].to_pylist())
        >= {"producer id", "correlation id", "containment"}
    )


def test_recordings_are_the_same_in_slices(shared_data: Path, place: Pages | None) -> None:
    files = [f for f in sorted(shared_data.glob("xplane_*/*.xplane.pb")) if "CORRUPT" not in f.name]
    several = 0
    for file in [*files, *sorted(RECORDED.rglob("*.xplane.pb"))]:
        read = read_xspace(file, STATS, pages=place)
        several += len(parts(read, 500)) > 1
        assert_same(read, 500)
    assert several >= 6


def thread(*events: tuple[str, int, int, dict[str, Any]]) -> list[tuple[str, int, int, dict[str, Any]]]:
    return list(events)


def test_what_runs_all_the_time_keeps_its_thread_together_and_not_the_others(tmp_path: Path) -> None:
    steps = [("FunctionRun", 100 * at, 50, {"_pt": 2, "_p": at + 1, "id": at + 1}) for at in range(40)]
    work = [("ExecutorState::Process", 100 * at + 20, 60, {"_ct": 2, "_c": at + 1}) for at in range(40)]
    inner = [(f"n{at}:Relu", 100 * at + 30, 5, {}) for at in range(40)]
    threads = {
        "python": thread(*steps),
        "executor": sorted(work + inner, key=lambda e: e[1]),
        "watching": thread(("wait", 0, 4000, {}), *[("poll", 50 * at + 1, 10, {}) for at in range(60)]),
    }
    read = space(tmp_path, Plane("/host:CPU", threads))
    sizes = parts(read, 20)
    assert len(sizes) > 3
    assert max(sizes) < 61 + 40
    tables = assert_same(read, 20)
    # the executor's work goes on when the run that handed it over has ended, and stays with it
    assert tables["links"]["rule"].to_pylist().count("producer id") == 40


def test_what_is_handed_over_across_every_cut_is_not_cut(tmp_path: Path) -> None:
    first = [("FunctionRun", 100 * at, 50, {"_pt": 2, "_p": at + 1}) for at in range(40)]
    last = [
        ("ExecutorState::Process", 100 * at, 50, {"_ct": 2, "_c": (at + 20) % 40 + 1}) for at in range(40)
    ]
    read = space(tmp_path, Plane("/host:CPU", {"a": thread(*first), "b": thread(*last)}))
    assert parts(read, 10) == [80]
    tables = assert_same(read, 10)
    assert tables["links"].num_rows == 40


def test_a_launch_is_with_its_work_however_late_that_runs(tmp_path: Path) -> None:
    label = "model/conv:Conv2D"
    launches = [
        [
            ("ExecutorState::Process", 100 * at, 40, {}),
            (f"kernel_{at % 3}", 100 * at + 10, 5, {"correlation_id": at + 1}),
        ]
        for at in range(60)
    ]
    kernels = [
        (f"kernel_{at % 3}", 3000 + 100 * at, 90, {"correlation_id": at + 1, "tf_op": label})
        for at in range(60)
    ]
    planes = (
        Plane("/host:CPU", {"executor": [event for pair in launches for event in pair]}),
        Plane("/device:GPU:0", {"Stream #1(Compute)": kernels}),
    )
    read = space(tmp_path, *planes)
    assert len(parts(read, 30)) > 3
    tables = assert_same(read, 30)
    assert tables["links"]["rule"].to_pylist().count("correlation id") == 60
    (row,) = tables["algorithms"].to_pylist()[:1]
    assert row["op"] == "Conv2D"
    assert sum(r["calls"] for r in tables["algorithms"].to_pylist()) == 60


NAMES = (
    "FunctionRun", "ExecutorState::Process", "a/x:Relu", "a/y:Conv2D", "EagerKernelExecute", "MemoryAllocation",
)  # fmt: skip
LABELS = ("a/x:Relu", "a/y:Conv2D", "b/z:Conv2DBackpropFilter")
small = st.integers(0, 3)
gap, length = st.integers(0, 12), st.sampled_from((0, 1, 2, 5, 30))
host_event = st.tuples(
    st.sampled_from(NAMES), gap, length,
    st.fixed_dictionaries({}, optional={
        "_p": small, "_pt": st.integers(1, 2), "_c": small, "_ct": st.integers(1, 2), "id": small,
        "tf_op": st.sampled_from(LABELS),
    }),
)  # fmt: skip
launch_event = st.tuples(
    st.sampled_from(("kernel_a", "cuLaunchKernel")), gap, length,
    st.fixed_dictionaries({"correlation_id": st.integers(0, 40)}),
)  # fmt: skip
work_event = st.tuples(
    st.sampled_from(("kernel_a", "redzone_checker", "sgemm")), gap, length,
    st.fixed_dictionaries(
        {"correlation_id": st.integers(0, 40)},
        optional={"tf_op": st.sampled_from(LABELS), "scope_range_id": small, "group_id": small},
    ),
)  # fmt: skip
host_thread = st.lists(st.one_of(host_event, launch_event, launch_event), min_size=1, max_size=40)


def by_time(events: list[tuple[str, int, int, dict[str, Any]]]) -> list[tuple[str, int, int, dict[str, Any]]]:
    """Each begins some time after the one before."""
    out, now = [], 0
    for name, wait, dur, stats in events:
        now += wait
        out.append((name, now, dur, stats))
    return out


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(host_thread.map(by_time), min_size=1, max_size=3),
    st.lists(st.lists(work_event, min_size=1, max_size=30).map(by_time), max_size=2),
    st.integers(1, 8),
)
@example(
    [
        [("FunctionRun", 0, 0, {}), ("FunctionRun", 0, 0, {"tf_op": "a/x:Relu"})],
        [
            *[("FunctionRun", 0, 0, {})] * 6,
            ("kernel_a", 0, 0, {"correlation_id": 1}),
            ("FunctionRun", 1, 0, {}),
        ],
    ],
    [
        [("kernel_a", 0, 0, {"correlation_id": 0})] * 2
        + [("redzone_checker", 0, 0, {"correlation_id": 1, "tf_op": LABELS[0]})]
    ],
    1,
)
def test_any_profile_is_the_same_in_slices_and_on_disk(
    tmp_path: Path, threads: list[Any], streams: list[Any], events: int
) -> None:
    planes = [Plane("/host:CPU", {f"thread {at}": events for at, events in enumerate(threads)})]
    planes += [
        Plane(f"/device:GPU:{at}", {f"Stream #{at}(Compute)": events}) for at, events in enumerate(streams)
    ]
    read = space(tmp_path, *planes)
    known = assert_same(read, events)
    with pytest.MonkeyPatch.context() as patch:
        put_on_disk(patch)
        on_disk = read_xspace(read.path, STATS, pages=Pages())
        assert on_disk.pages is not None
        tables, _ = joined(on_disk, events)
    for name, table in known.items():
        assert table.equals(tables[name]), name


def test_an_execution_that_goes_on_after_a_pause_is_not_cut(tmp_path: Path) -> None:
    """Launches of one op that follow each other are one execution, with nothing running between them."""
    label = {"tf_op": "model/conv:Conv2D"}
    launches = [("kernel_a", 100 * at, 5, {"correlation_id": at + 1}) for at in range(60)]
    kernels = [("kernel_a", 100 * at + 10, 50, {"correlation_id": at + 1, **label}) for at in range(60)]
    planes = (
        Plane("/host:CPU", {"executor": launches}),
        Plane("/device:GPU:0", {"Stream #1(Compute)": kernels}),
    )
    read = space(tmp_path, *planes)
    assert parts(read, 20) == [120]
    assert assert_same(read, 20)["calls"].num_rows == 1
