"""Own times, flame graphs, steps and waterfalls: every nanosecond is counted once, and what was not seen says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.views import traces
from tftrace.analysis import own_time as own_time_module
from tftrace.analysis.flame import METRICS, flame
from tftrace.analysis.own_time import call_of, depths, own_time, parents
from tftrace.analysis.steps import steps
from tftrace.analysis.summary import by
from tftrace.analysis.waterfall import waterfall
from tftrace.api import load
from tftrace.errors import InputError, UsageError
from tftrace.model.layers import EVIDENCE, LAYERS
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace
from tftrace.native.compiling import compiler

EXAMPLES = Path(__file__).resolve().parents[2] / "traces" / "examples"


def gpu_launch() -> Trace:
    """A runtime call with a kernel and a launch in it, and what the device ran later; a worker's share beside."""
    b = traces.Builder()
    site = traces.conv_site(b)
    runtime = b.event("runtime", "TFE_Execute", 0, 100)
    kernel = b.event("kernel", "Conv2D:Conv2DOp", 20, 70)
    launch = b.event("library", "cuLaunchKernel", 30, 50)
    work = b.event("device", "conv_kernel", 70, 50, tid=None, stream=7, device="/device:GPU:0")
    unlinked = b.event("runtime", "EagerLocalExecute", 10, 85)
    b.link(runtime, kernel, "containment", "joined")
    b.link(kernel, launch, "native stack")
    b.link(launch, work, "correlation id")
    b.call(site, 0, 100, [runtime, kernel, launch, work], tid=traces.PID, pid=traces.PID, step=3)
    assert unlinked == 4
    return b.trace()


def by_name(trace: Trace) -> dict[str, int]:
    return {name: row for row, name in enumerate(trace.tables["events"]["name"].to_pylist())}


def test_own_time_is_what_nothing_inside_covers() -> None:
    trace = gpu_launch()
    of, row = own_time(trace), by_name(trace)
    own = {name: int(of.own.part(at, 1)[0]) for name, at in row.items()}
    assert own == {
        "TFE_Execute": 15, "EagerLocalExecute": 15, "Conv2D:Conv2DOp": 20, "cuLaunchKernel": 50, "conv_kernel": 50,
    }  # fmt: skip
    above = parents(trace, of)
    # the nearest, not the one it is linked to
    assert above[row["Conv2D:Conv2DOp"]] == row["EagerLocalExecute"]
    assert above[row["conv_kernel"]] == row["cuLaunchKernel"]
    assert of.inside[row["conv_kernel"]] == -1


def test_work_of_a_pool_stands_below_what_it_is_linked_to() -> None:
    b = traces.Builder()
    primitive = b.event("library", "convolution", 0, 100)
    closure = b.event("runtime", "Closure", 10, 60, tid=4250)
    share = b.event("device", "convolution", 20, 40, tid=4250)
    b.link(primitive, share, "overlap", "inferred")
    trace = b.trace()
    of = own_time(trace)
    assert parents(trace, of)[share] == primitive
    assert of.inside[share] == closure
    assert of.own.part(closure, 1) == [20]


def test_links_in_a_circle_leave_every_event_in_the_tree() -> None:
    b = traces.Builder()
    one = b.event("library", "a", 0, 10)
    two = b.event("device", "b", 5, 10, tid=9)
    three = b.event("device", "c", 6, 10, tid=11)
    b.link(one, two, "x")
    b.link(two, three, "x")
    b.link(three, two, "y", "measured")
    trace = b.trace()
    assert (depths(parents(trace, own_time(trace))) >= 0).all()
    assert flame(trace)["events"].sum() == 3


spans = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 300), st.integers(0, 200)), min_size=1, max_size=60
)


@settings(deadline=None)  # a busy machine makes one example slow
@given(spans)
def test_own_times_of_nested_events_add_up_to_what_their_threads_cover(
    drawn: list[tuple[int, int, int]],
) -> None:
    b = traces.Builder()
    covered = 0
    for thread in range(3):
        ends: list[int] = []
        mine = sorted({(s, s + d) for t, s, d in drawn if t == thread}, key=lambda e: (e[0], -e[1]))
        busy = np.zeros(600, bool)
        for start, end in mine:
            while ends and ends[-1] <= start:
                ends.pop()
            end = min(end, ends[-1]) if ends else end  # cut to what it begins in: nested
            ends.append(end)
            busy[start:end] = True
            b.event("runtime", f"{start}", start, end - start, tid=thread)
        covered += int(busy.sum())
    of = own_time(b.trace())
    own = of.own.part(0, len(of.own))
    assert (own >= 0).all()
    assert int(own.sum()) == covered


def test_an_event_of_no_call_counts_for_that_of_what_it_runs_in() -> None:
    trace = gpu_launch()
    call = call_of(trace, own_time(trace))
    assert call[by_name(trace)["EagerLocalExecute"]] == 0


# ---- flame


def test_the_flame_leads_from_the_line_to_the_device() -> None:
    frame = flame(traces.eager_convs(3))
    names, at = [], int(frame.index[frame["layer"] == "device"][0])
    while True:
        names.append(frame["name"][at])
        if frame["parent"].isna()[at]:
            break
        at = int(frame["parent"][at])
    assert names[::-1] == [
        "train.py:12", "tf.nn.conv2d", "gen_nn_ops.conv2d", "TFE_Py_FastPathExecute", "convolution", "convolution",
    ]  # fmt: skip
    assert (frame["events"] == 3).all()
    assert frame["depth"].tolist() == list(range(6))
    assert frame["device_us"].sum() == 3 * 45
    assert frame["self_us"].sum() == 3 * (90 + 45)


def test_ways_differ_by_what_stands_above() -> None:
    frame = flame(traces.function_run())
    assert frame["layer"].isna().sum() == 1  # tftrace's own work belongs to no layer
    kernel = frame[frame["layer"] == "kernel"].iloc[0]
    above = frame["name"][int(kernel["parent"])]
    assert above == "ExecutorState::Process"
    assert (frame["parent"].dropna() < frame["node"][frame["parent"].notna()]).all()


def test_steady_leaves_warm_up_out() -> None:
    trace = traces.eager_convs(3)
    assert flame(trace, steady=True)["events"].tolist() == [2] * 6


@pytest.mark.parametrize("name", ["eager_conv2d", "h200_conv2d"])
def test_every_event_of_a_recording_is_in_its_flame(name: str) -> None:
    trace = load(EXAMPLES / name)
    frame = flame(trace)
    assert int(frame["events"].sum()) == trace.tables["events"].num_rows
    assert frame["total_us"].sum() * 1000 == pytest.approx(
        np.nansum(trace.tables["events"]["dur_ns"].to_numpy()), rel=1e-9
    )
    assert set(METRICS) <= set(frame.columns)


def test_an_empty_trace_has_an_empty_flame() -> None:
    assert flame(traces.Builder().trace()).empty
    assert steps(traces.Builder().trace()).empty


# ---- steps


def test_steps_hold_the_own_time_of_their_layers() -> None:
    frame = steps(traces.function_run())
    assert frame["step"].tolist() == [0] * 4 + [1] * 4
    first = frame[frame["step"] == 0].set_index("layer")["self_us"]
    # TFE_Py_Execute 280 - 260, FunctionRun 260, ExecutorState::Process 150 - 120 on another thread
    assert first.to_dict() == {"python": 20.0, "runtime": 310.0, "kernel": 40.0, "library": 80.0}
    assert (frame["span_us"] == 300).all()


def test_without_steps_there_is_one_without_number() -> None:
    frame = steps(load(EXAMPLES / "eager_conv2d"))
    assert frame["step"].isna().all()
    assert frame["warm_up"].all()


# ---- waterfall


def test_a_waterfall_adds_up_to_the_time_of_an_execution() -> None:
    trace = load(EXAMPLES / "eager_conv2d")
    frame = waterfall(trace, "conv2d")
    calls, ops = trace.calls, trace.sites.set_index("site_id")["op"]
    steady = calls[(calls["site_id"].map(ops) == "Conv2D") & ~calls["warm_up"]]
    waiting = frame[frame["place"] == "waiting"]["self_us"].sum()
    assert waiting == pytest.approx(steady["total_ns"].mean() / 1000)
    assert frame["calls"].iloc[0] == len(steady)
    assert frame["layer"].drop_duplicates().tolist() == list(LAYERS)


def test_what_other_threads_and_streams_did_stands_beside() -> None:
    frame = waterfall(gpu_launch(), "conv2d").set_index(["layer", "place"])["self_us"]
    assert frame["device", "beside"] == 0.05
    assert frame["library", "waiting"] == 0.05
    assert frame["runtime", "waiting"] == 0.03


def test_a_layer_without_time_says_why() -> None:
    frame = waterfall(traces.eager_convs(2), "conv2d").set_index("layer")
    assert "runs only on a GPU" in frame["reason"]["stream_executor"]
    assert "not in the trace" in frame["reason"]["gen_op"]
    assert frame["self_us"].isna()[["python", "api", "gen_op", "kernel", "stream_executor"]].all()


def test_a_node_of_a_graph_was_made_by_python_earlier() -> None:
    frame = waterfall(traces.function_run(), "conv2d").set_index("layer")
    assert "when the graph was traced" in frame["reason"]["python"]
    assert frame["self_us"]["library"] == 80.0


def test_where_all_is_warm_up_it_counts() -> None:
    frame = waterfall(traces.eager_convs(1), "conv2d")
    assert not frame["steady"].any()
    assert (frame["calls"] == 1).all()


def test_an_op_that_did_not_run_is_said() -> None:
    with pytest.raises(InputError, match="matmul"):
        waterfall(traces.eager_convs(1), "matmul")
    with pytest.raises(UsageError):
        waterfall(traces.eager_convs(1), "api:")


def test_the_sums_are_those_of_the_summary() -> None:
    trace = load(EXAMPLES / "h200_conv2d")
    steady = by(trace, "op", steady=True).set_index("op")
    frame = waterfall(trace, "conv2d")
    waiting = frame[frame["place"] == "waiting"]["self_us"].sum() * frame["calls"].iloc[0]
    assert waiting == pytest.approx(steady["total_us"]["Conv2D"], rel=0.01)


def test_columns_of_an_older_trace_may_be_missing() -> None:
    trace = traces.many(1000)
    assert set(trace.tables) == {"events"}
    assert flame(trace)["events"].sum() == 1000
    assert isinstance(trace.tables["events"], pa.Table)


EVENT = st.fixed_dictionaries(
    {
        "layer": st.sampled_from([*LAYERS, None]),
        "start_ns": st.integers(0, 30),
        "dur_ns": st.one_of(st.none(), st.integers(-3, 25), st.integers((1 << 31) - 2, (1 << 31) + 9)),
        "host": st.sampled_from([None, "a"]),
        "tid": st.sampled_from([None, 0, 1]),
        "device": st.sampled_from([None, "GPU:0"]),
        "stream": st.one_of(st.none(), st.just(0)),
    }
)
LINK = st.tuples(st.integers(-1, 30), st.integers(-1, 30), st.sampled_from([*EVIDENCE, "of a later version"]))
MEMBER = st.tuples(st.integers(-1, 30), st.integers(-1, 4), st.sampled_from([None, 0.0, 0.25, 1.0]))


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
@settings(max_examples=100, deadline=None)
@given(
    st.lists(EVENT, max_size=30), st.booleans(), st.lists(LINK, max_size=30), st.lists(MEMBER, max_size=30)
)
def test_c_and_arrays_say_the_same(
    rows: list[dict[str, object]],
    in_order: bool,
    links: list[tuple[int, int, str]],
    members: list[tuple[int, int, float | None]],
) -> None:
    if in_order:
        rows = sorted(rows, key=lambda row: row["start_ns"])  # type: ignore[arg-type, return-value]
    rows = [{**row, "event_id": at} for at, row in enumerate(rows)]
    tables = {
        "events": rows,
        "links": [{"child_id": c, "parent_id": p, "evidence": e, "rule": "x"} for c, p, e in links],
        "event_calls": [{"event_id": e, "call_id": c, "share": s} for e, c, s in members],
        "calls": [{"call_id": at} for at in range(4)],
    }
    trace = Trace(
        {},
        {
            name: pa.table(
                {f.name: pa.array([row.get(f.name) for row in rows], f.type) for f in TABLES[name]},
                TABLES[name],
            )
            for name, rows in tables.items()
        },
    )

    def told() -> list[Any]:
        of = own_time(trace)
        own = of.own.part(0, len(of.own))
        arrays = (of.inside, parents(trace, of), of.layer, own, call_of(trace, of))
        return [[a.tolist() for a in arrays], flame(trace), flame(trace, steady=True), steps(trace)]

    def same(one: Any, other: Any) -> bool:
        return bool(one.equals(other) if isinstance(one, pd.DataFrame) else one == other)

    by_arrays = told()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_time_module, "IN_C", 0)
        assert (own_time(trace).nested is None) == (rows != sorted(rows, key=lambda row: row["start_ns"]))
        assert all(map(same, told(), by_arrays))


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("name", ["eager_conv2d", "five_modes_function", "h200_five_modes_function"])
def test_c_draws_the_same_pictures_of_a_recording(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = load(EXAMPLES / name)
    drawn = [flame(trace), steps(trace), waterfall(trace, "conv2d")]
    monkeypatch.setattr(own_time_module, "IN_C", 0)
    for one, other in zip(drawn, [flame(trace), steps(trace), waterfall(trace, "conv2d")], strict=True):
        assert one.equals(other)
