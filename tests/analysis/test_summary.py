"""Where the time went: sums over executions, time covered by layers, what was lost."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.contracts import check
from tests.views.traces import Builder, conv_site, eager_convs, function_run
from tftrace.analysis import coverage, summary
from tftrace.analysis.layers import layers
from tftrace.errors import UsageError
from tftrace.model.layers import LAYERS
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace


def two_ops() -> Builder:
    """Two lines, two ops: conv2d at 0 (warm-up), 100 and 200 us; relu at 300 us; one call of neither in a graph."""
    b = Builder()
    conv = conv_site(b)
    relu = b.site("Relu", python_file="/home/user/project/train.py", python_line=13)
    for i, total in enumerate((90_000, 40_000, 50_000)):
        b.call(
            conv,
            100_000 * i,
            total,
            [],
            self_ns=total - 10_000,
            cpu_ns=5_000,
            warm_up=i == 0,
            step=i or None,
            kernel_total_ns=total - 20_000,
        )
    b.call(relu, 300_000, 8_000, [], self_ns=8_000, step=2)
    return b


def test_by_op_sums_executions_and_sets_warm_up_apart() -> None:
    assert summary.document(two_ops().trace(), "op")["rows"] == [
        {
            "op": "Conv2D",
            "count": 3,
            "total_us": 180.0,
            "self_us": 150.0,
            "mean_us": 60.0,
            "cpu_us": 15.0,
            "warm_up_count": 1,
            "warm_up_us": 90.0,
            "steady_us_per_call": 45.0,
        },
        {
            "op": "Relu",
            "count": 1,
            "total_us": 8.0,
            "self_us": 8.0,
            "mean_us": 8.0,
            "cpu_us": None,
            "warm_up_count": 0,
            "warm_up_us": 0.0,
            "steady_us_per_call": 8.0,
        },
    ]


def test_steady_leaves_warm_up_out() -> None:
    rows = summary.document(two_ops().trace(), "op", steady=True)["rows"]
    assert [(r["op"], r["count"], r["total_us"], r["steady_us_per_call"]) for r in rows] == [
        ("Conv2D", 2, 90.0, 45.0),
        ("Relu", 1, 8.0, 8.0),
    ]


def test_by_line_names_the_line_and_its_code() -> None:
    assert summary.document(two_ops().trace(), "line")["rows"] == [
        {
            "line": "train.py:12",
            "count": 3,
            "total_us": 180.0,
            "self_us": 150.0,
            "mean_us": 60.0,
            "ops": 1,
            "code": "    y = tf.nn.conv2d(x, w, 1, 'SAME')",
            "file": "/home/user/project/train.py",
            "number": 12,
        },
        {
            "line": "train.py:13",
            "count": 1,
            "total_us": 8.0,
            "self_us": 8.0,
            "mean_us": 8.0,
            "ops": 1,
            "code": None,
            "file": "/home/user/project/train.py",
            "number": 13,
        },
    ]


def test_by_step_keeps_the_order_of_steps_and_starts_with_what_has_none() -> None:
    rows = summary.document(two_ops().trace(), "step")["rows"]
    assert [(r["step"], r["count"], r["total_us"], r["span_us"]) for r in rows] == [
        (None, 1, 90.0, 90.0),
        (1, 1, 40.0, 40.0),
        (2, 2, 58.0, 108.0),
    ]


def test_by_step_does_not_count_a_graph_and_its_nodes_twice() -> None:
    rows = summary.document(function_run(), "step")["rows"]
    assert [(r["step"], r["count"], r["total_us"]) for r in rows] == [(0, 2, 300.0), (1, 2, 300.0)]


def test_by_kernel_takes_the_library_calls_out_of_its_own_time() -> None:
    assert summary.document(function_run(), "kernel")["rows"] == [
        {
            "kernel": "Conv2D:_MklNativeConv2D",
            "count": 2,
            "total_us": 240.0,
            "self_us": 80.0,
            "mean_us": 120.0,
            "max_us": 120.0,
        }
    ]


def on_a_gpu() -> Builder:
    """Two convolutions on a GPU, each of two kernels, and one on the CPU."""
    b = Builder()
    conv = conv_site(b)
    for i in range(2):
        at = 100_000 * i
        events = [b.event("kernel", "c:Conv2D", at, 30_000)]
        for name, start, dur in (("pad", 40_000, 1_000), ("volta_scudnn", 41_000, 50_000)):
            events.append(b.event("device", name, at + start, dur, device="/device:GPU:0", stream=13))
        b.call(conv, at, 30_000, events, device="/device:GPU:0", device_total_ns=51_000)
    b.call(conv, 300_000, 20_000, [], device="/device:CPU:0", device_total_ns=20_000)
    return b


def test_by_kernel_lists_what_devices_ran_apart_from_op_kernels() -> None:
    rows = summary.document(on_a_gpu().trace(), "kernel")["rows"]
    assert [(r["kernel"], r["layer"], r["count"], r["total_us"], r["max_us"]) for r in rows] == [
        ("volta_scudnn", "device", 2, 100.0, 50.0),
        ("c:Conv2D", "kernel", 2, 60.0, 30.0),
        ("pad", "device", 2, 2.0, 1.0),
    ]


def test_by_op_tells_the_time_on_devices_other_than_the_cpu() -> None:
    (row,) = summary.document(on_a_gpu().trace())["rows"]
    assert (row["count"], row["total_us"], row["device_us"]) == (3, 80.0, 102.0)
    (row,) = summary.document(eager_convs(2))["rows"]
    assert "device_us" not in row


def test_layers_cover_time_once_and_say_why_not() -> None:
    """A probe that is off makes a layer partly observed only where an execution lacks the layer: here none does."""
    rows = summary.document(eager_convs(3))["layers"]
    assert [r["layer"] for r in rows] == list(LAYERS)
    found = {r["layer"]: (r["events"], r["total_us"], r["self_us"], r["status"]) for r in rows}
    assert found == {
        "python": (3, 270.0, None, "observed"),
        "api": (3, 269.97, None, "observed"),
        "gen_op": (3, 269.94, None, "observed"),
        "runtime": (3, 240.0, 90.0, "observed"),
        "kernel": (0, None, None, "unobserved"),
        "stream_executor": (0, None, None, "unobserved"),
        "library": (3, 150.0, 150.0, "observed"),  # the shares ran on another thread
        "device": (3, 135.0, 135.0, "observed"),
    }
    reasons = {r["layer"]: r["reason"] for r in rows}
    assert reasons["stream_executor"] == "runs only on a GPU; this run had none"
    assert "tf_profiler off: --no-tf_profiler" in reasons["kernel"]


def test_a_layer_seen_in_some_executions_is_partly_observed() -> None:
    b = two_ops()
    b.rows["events"] = []
    b.event("kernel", "Conv2D:Conv2D", 0, 10)
    row = next(r for r in summary.document(b.trace())["layers"] if r["layer"] == "kernel")
    assert (row["status"], row["executions"], row["seen"]) == ("partly", 4, 3)
    assert row["reason"].startswith("seen in 3 of 4 executions")


Spans = st.lists(
    st.tuples(
        st.sampled_from(LAYERS),
        st.integers(1, 3),
        st.integers(0, 60),
        st.integers(0, 30),
        st.sampled_from([None, 7]),
    ),
    max_size=25,
)


@given(Spans)
@settings(deadline=None, max_examples=60)
def test_covered_time_is_what_counting_every_nanosecond_gives(
    spans: list[tuple[str, int, int, int, int | None]],
) -> None:
    b = Builder()
    for layer, tid, start, dur, stream in spans:
        b.event(layer, "x", start, dur, tid=tid, stream=stream)
    rows = layers(b.trace()).set_index("layer")
    lines = {(tid if stream is None else None, stream) for _, tid, _, _, stream in spans}
    for at, layer in enumerate(LAYERS):
        own = below = 0
        whole = 0
        for tid, stream in lines:
            on = np.zeros((len(LAYERS), 100), bool)
            for name, t, start, dur, s in spans:
                if (t if s is None else None, s) == (tid, stream):
                    on[LAYERS.index(name), start : start + dur] = True
            own += int(on[at].sum())
            whole += int(on[at:].any(axis=0).sum())
            below += int(on[at + 1 :].any(axis=0).sum())
        if rows.events[layer]:
            assert rows.total_us[layer] == own / 1000
            if layer not in ("python", "api", "gen_op"):
                assert rows.self_us[layer] == (whole - below) / 1000
        else:
            assert rows.status[layer] == "unobserved"


@given(Spans, st.integers(1, 6))
@settings(deadline=None, max_examples=60)
def test_covered_time_is_the_same_in_parts(
    spans: list[tuple[str, int, int, int, int | None]], size: int
) -> None:
    """What one part of the events covers reaches into the next, thread by thread."""
    b = Builder()
    for layer, tid, start, dur, stream in sorted(spans, key=lambda span: span[2]):
        b.event(layer, "x", start, dur, tid=tid, stream=stream)
    once = coverage.coverage(b.trace())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coverage, "_ROWS", size)
        assert coverage.coverage(b.trace()) == once


def test_a_hundred_thousand_threads_and_an_event_of_a_day_are_covered() -> None:
    """Threads are put on one line of time: as many at once as a number holds."""
    n, day = 100_000, 86_400 * 10**9
    columns = {
        "layer": pa.array(["library"] * n),
        "start_ns": pa.array(range(n), pa.int64()),
        "dur_ns": pa.array([day] * n, pa.int64()),
        "tid": pa.array(range(n), pa.int64()),
    }
    schema = TABLES["events"]
    arrays = [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(n, f.type) for f in schema]
    found = coverage.coverage(Trace({}, {"events": pa.table(arrays, schema)}))
    at = LAYERS.index("library")
    assert (found.events[at], found.own_ns[at], found.from_here_ns[at]) == (n, n * day, n * day)


def test_what_was_lost_is_counted_by_probe() -> None:
    b = Builder(
        probes=[
            {"name": "tf_profiler", "status": "partly", "reason": "full", "events": 9, "lost": 300},
            {"name": "itt", "status": "failed", "reason": "no symbols", "events": None, "lost": None},
            {"name": "graph", "status": "ok", "reason": None, "events": 9, "lost": 0},
        ],
        processes=[{"name": "box-1", "missing": "the process ended suddenly", "cut_lines": 2}],
        problems=["raw/box-2: no process.json"],
    )
    assert summary.document(b.trace())["lost"] == [
        {"probe": "tf_profiler", "what": "op calls outside its windows", "count": 300},
        {"probe": "itt", "what": "all of it: no symbols", "count": None},
        {"probe": "process box-1", "what": "the process ended suddenly", "count": None},
        {"probe": "process box-1", "what": "records cut short at its end", "count": 2},
        {"probe": "reading", "what": "raw/box-2: no process.json", "count": None},
    ]


@pytest.mark.parametrize("what", ["op", "layer", "line", "kernel", "step"])
@pytest.mark.parametrize("steady", [False, True])
def test_documents_fit_their_contract(what: str, steady: bool) -> None:
    for trace in (eager_convs(3), function_run(), two_ops().trace(), Builder().trace()):
        check(summary.document(trace, what, steady), "summary")


def test_an_unknown_summary_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"no summary by 'colour'; there are op, layer, line, kernel, step"):
        summary.by(eager_convs(1), "colour")
