"""Kernels of ops in loops and branches lead to their lines, and what became of the others is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.capture.running import SCRIPTS
from tests.stacks.reading import line_of
from tftrace.analysis.chain import why
from tftrace.model.trace import Trace

pytestmark = pytest.mark.tf
SCRIPT = SCRIPTS / "control_flow.py"
RUNS = {"loop": 6, "branch": 2, "nested": 6, "switch": 2}
"""Executions of the convolution in two runs."""


@pytest.fixture(scope="module")
def trace(recorded: Callable[..., Trace]) -> Trace:
    return recorded(SCRIPT.name)


def test_a_convolution_is_found_in_every_loop_and_branch(trace: Trace) -> None:
    groups = why(trace, "conv2d")
    assert {g.python.line for g in groups if g.python} == {line_of(SCRIPT, "fused")}
    counts = {mode: sorted(g.count for g in groups if g.mode == mode) for mode in ("function", "session")}
    # only loops and branches of the old kind lie in the session's own graph, and there is no old kind of a switch
    old = sorted(RUNS[way] for way in ("loop", "branch", "nested"))
    assert counts == {"session": old, "function": sorted([*RUNS.values(), *RUNS.values(), RUNS["switch"]])}
    assert sum(1 for g in groups if g.sessions) == 8
    for group in groups:
        (kernel,) = (entry for entry in group.chain if entry.layer == "kernel")
        assert str(kernel.name).endswith(":_MklNativeFusedConv2D")
        assert kernel.evidence == "measured"
        assert [f["op"] for f in group.fused] == ["BiasAdd", "Relu"]
        assert group.caller is not None
        assert group.caller.line in {
            line_of(SCRIPT, mark) for mark in ("first call", "second call", "first run", "second run")
        }


@pytest.mark.parametrize("mode", ["function", "session"])
def test_what_became_of_the_others_in_them_is_told(trace: Trace, mode: str) -> None:
    sites = trace.sites
    graphs = {"function": 4, "session": 8}[mode]
    of_mode = sites[(sites["mode"] == mode) | (sites["mode"] == "function")]
    for mark, op, fate in (
        ("folded", "Sqrt", "folded"), ("folded", "RealDiv", "folded"), ("pruned", "Max", "pruned"),
        ("fused", "BiasAdd", "fused"), ("fused", "Relu", "fused"),
    ):  # fmt: skip
        mine = of_mode[(of_mode.python_line == line_of(SCRIPT, mark)) & (of_mode.op == op)]
        assert mine.fate.tolist().count(fate) >= graphs, (op, mine.fate.tolist())
        assert set(mine.fate) == {fate}


def test_every_kernel_leads_to_a_line(trace: Trace) -> None:
    members = trace.frame("event_calls").merge(trace.calls[["call_id", "site_id"]], on="call_id")
    lines = members.merge(trace.sites[["site_id", "python_line"]], on="site_id").dropna(subset="python_line")
    kernels = trace.events[trace.events.layer == "kernel"]
    names = kernels[~kernels.event_id.isin(lines.event_id)].name.astype(str)
    assert [name for name in names if "_Send" not in name and "_Recv" not in name] == []


def test_results_of_a_loop_are_not_taken_for_each_other(trace: Trace) -> None:
    merged = trace.sites[trace.sites.fate == "merged"]
    assert set(merged.op) <= {"Const", "Switch", "Enter"}
