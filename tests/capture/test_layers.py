"""The layers below Python, from convolutions long enough to compare clocks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tftrace.agent import contract
from tftrace.analysis.summary import document
from tftrace.ingest.agent_raw import read_process
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]


@pytest.fixture(scope="module")
def convolutions(conv_trace: Trace) -> pd.DataFrame:
    """Library events of oneDNN's convolution, with their attributes as columns."""
    events = conv_trace.events
    chosen = events[(events.layer == "library") & (events.name == "convolution")].reset_index(drop=True)
    attributes = pd.DataFrame([json.loads(a) for a in chosen["attrs"]])
    return pd.concat([chosen.drop(columns="attrs"), attributes], axis=1)


def test_every_convolution_reached_the_library(convolutions: pd.DataFrame) -> None:
    assert len(convolutions) == 90
    assert convolutions.implementation.str.len().min() > 0
    assert {json.dumps(p["input"]) for p in convolutions.problem} == {"[8, 56, 56, 64]"}


def test_times_agree_with_onednn_itself(convolutions: pd.DataFrame) -> None:
    long = convolutions[convolutions.verbose_ms > 1.0]
    assert len(long) == 90
    ratio = long.dur_ns / 1e6 / long.verbose_ms
    # ours begins before oneDNN's own reading and ends after it: never shorter, and hardly longer
    assert ratio.min() > 0.98
    # the scheduler may take a thread off the processor between the two readings: not in the bulk
    assert ratio.quantile(0.9) < 1.02


def test_native_stack_leads_from_the_library_to_the_entry(
    conv_trace: Trace, convolutions: pd.DataFrame
) -> None:
    frames = conv_trace.frame("stacks").set_index("stack_id").frames
    eager = 0
    for stack_id in convolutions.stack_id:
        names = [f["function"] for f in frames[stack_id]]
        execute = next(i for i, n in enumerate(names) if n.startswith("dnnl::impl::primitive_execute"))
        compute = next(
            i for i, n in enumerate(names) if n.startswith("tensorflow::") and n.endswith("::Compute")
        )
        assert execute < compute, names
        eager += "TFE_Py_FastPathExecute_C" in names
    assert eager == 80


def test_learned_frame_sizes_never_contradicted_a_full_unwind(conv_trace: Trace) -> None:
    flags = records(conv_trace, "itt.bin", contract.ITT)["flags"]
    assert (flags & contract.ITT_FAST_UNWIND > 0).sum() > len(flags) / 2
    assert (flags & contract.ITT_CHECKED > 0).sum() > 0
    assert (flags & contract.ITT_MISMATCH > 0).sum() == 0


def test_a_line_is_written_whole_once_and_then_its_time_alone(conv_trace: Trace) -> None:
    assert conv_trace.path is not None
    (path,) = (conv_trace.path / "raw").glob("*/verbose.bin")
    process = read_process(path.parent)
    lines = process.verbose()
    assert len(lines) == len(lines.forms)  # one thread: nobody else writes the same line meanwhile
    short = process.onednn
    assert len(short) > 80
    assert set(short["line"].tolist()) <= set(lines.block.tolist())
    # each belongs to a task of its own, and tells the moment at which that task ended
    tasks = process.itt[short["itt"].astype(np.int64) - 1]
    assert len(set(short["itt"].tolist())) == len(short)
    assert (tasks["t1"] == short["t"]).all()
    assert (short["ms"] > 0).all()


def records(trace: Trace, name: str, record: contract.Record) -> np.ndarray:
    assert trace.path is not None
    (path,) = (trace.path / "raw").glob(f"*/{name}")
    data = np.fromfile(path, np.dtype(record.dtype))
    return data[data["t0"] > 0]


def test_events_lie_within_the_run(conv_trace: Trace) -> None:
    assert conv_trace.path is not None
    run = json.loads((conv_trace.path / "run.json").read_text())
    events = conv_trace.events
    assert events.start_ns.min() > run["started_ns"]
    assert (events.start_ns + events.dur_ns.fillna(0)).max() < run["ended_ns"]


def test_self_times_fit_into_the_thread_that_spent_them(conv_trace: Trace, mixed_trace: Trace) -> None:
    for trace in (conv_trace, mixed_trace):
        calls = trace.calls
        assert (calls.self_ns <= calls.total_ns).all()
        for _, mine in calls.groupby("tid"):
            span = (mine.start_ns + mine.total_ns).max() - mine.start_ns.min()
            assert 0 < mine.self_ns.sum() <= span


def test_what_tftrace_spent_is_measured_and_in_no_self_time(conv_trace: Trace) -> None:
    calls = conv_trace.calls.merge(conv_trace.sites, on="site_id")
    eager = calls[(calls.op == "Conv2D") & (calls["mode"] == "eager")]
    assert (eager.tftrace_ns > 0).all()
    assert (eager.self_ns + eager.tftrace_ns == eager.total_ns).all()
    known = eager[["runtime_self_ns", "kernel_self_ns", "library_total_ns", "tftrace_ns"]].sum(axis=1)
    assert (known == eager.total_ns).all()
    nodes = calls[(calls.op == "Conv2D") & (calls["mode"] == "function")]
    assert (nodes.tftrace_ns > 0).all()
    assert (nodes.self_ns + nodes.tftrace_ns == nodes.total_ns).all()

    spent = records(conv_trace, "itt.bin", contract.ITT)["own_ns"].astype(np.int64)
    by_probe = {p["name"]: p["overhead_us"] for p in conv_trace.manifest["probes"]}
    assert by_probe["itt"] == round(spent.sum() / 1000, 1)
    own = document(conv_trace)["tftrace"]
    assert {p["probe"] for p in own["probes"]} == {"dispatch", "itt", "tf_profiler"}
    assert eager.tftrace_ns.sum() / 1000 <= own["in_calls_us"] <= by_probe["itt"] + 0.1


def test_long_work_of_tftrace_stands_beside_the_library_call(conv_trace: Trace) -> None:
    events = conv_trace.events
    own = events[events.name == "tftrace: native stack"]
    assert len(own)  # at least the first stack, which was unwound in full
    assert own.layer.isna().all()
    library = events[(events.layer == "library") | (events.layer == "device")]
    for _, event in own.iterrows():
        assert event.dur_ns >= 10_000
        assert (library[library.tid == event.tid].start_ns == event.start_ns + event.dur_ns).any()


def test_layers_of_a_call_fit_into_it(conv_trace: Trace) -> None:
    calls = conv_trace.calls
    for layer in ("runtime", "kernel", "library"):
        known = calls[calls[f"{layer}_total_ns"].notna()]
        assert len(known), layer
        assert (known[f"{layer}_self_ns"] <= known[f"{layer}_total_ns"]).all(), layer
        assert (known[f"{layer}_total_ns"] <= known.total_ns).all(), layer


def test_work_of_eager_convolutions_is_in_the_library(conv_trace: Trace) -> None:
    calls = conv_trace.calls.merge(conv_trace.sites, on="site_id")
    eager = calls[(calls.op == "Conv2D") & (calls["mode"] == "eager")]
    assert len(eager) == 80
    assert set(eager.python_line) == {16}
    assert {Path(str(f)).name for f in eager.python_file} == {"conv.py"}
    # no other layer could hide that much time from the library's own clock
    assert eager.library_total_ns.sum() / eager.total_ns.sum() > 0.5


def test_links_of_an_eager_convolution_are_measured_from_line_to_library(
    conv_trace: Trace, convolutions: pd.DataFrame
) -> None:
    links = conv_trace.links.set_index("child_id")
    events = conv_trace.events.set_index("event_id")
    layers = set()
    at = int(convolutions.event_id.iloc[5])
    while at in links.index:
        link = links.loc[[at]].iloc[0]
        if link.rule != "containment":  # the one rule here that only joins
            assert link.evidence == "measured", link
        at = int(link.parent_id)
        layers.add(events.layer[at])
    assert {"python", "api", "gen_op", "runtime", "kernel"} <= layers
