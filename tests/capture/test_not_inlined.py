"""What became of ops in a function of which the graph that ran is not seen, and what ran while graphs were made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.capture.running import SCRIPTS
from tests.stacks.reading import chain_of, line_of
from tftrace.analysis.chain import document, why
from tftrace.model.trace import Trace

pytestmark = pytest.mark.tf
SCRIPT = SCRIPTS / "not_inlined.py"


@pytest.fixture(scope="module")
def trace(recorded: Callable[..., Trace]) -> Trace:
    return recorded(SCRIPT.name)


def test_its_convolution_is_found_in_the_kernel_that_it_was_fused_into(trace: Trace) -> None:
    (group,) = why(trace, "conv2d")
    assert group.python is not None
    assert (group.python.line, group.count) == (line_of(SCRIPT, "fused"), 5)
    assert group.caller is not None
    assert group.caller.line == line_of(SCRIPT, "call")
    kernel = chain_of(group)["kernel"]
    assert (kernel.name, kernel.evidence) == ("Relu:_MklNativeFusedConv2D", "measured")
    assert [f["op"] for f in group.fused] == ["BiasAdd", "Relu"]


@pytest.mark.parametrize(
    ("op", "mark", "fate"),
    [("Sqrt", "folded", "folded"), ("RealDiv", "folded", "folded"), ("Max", "pruned", "pruned"),
     ("BiasAdd", "fused", "fused"), ("Relu", "fused", "fused")],
)  # fmt: skip
def test_what_became_of_its_others_is_told(trace: Trace, op: str, mark: str, fate: str) -> None:
    rows = [r for r in document(trace, op)["not_run"] if r["op"] == op]
    assert [(r["fate"], r["python"]["line"]) for r in rows] == [(fate, line_of(SCRIPT, mark))]


def test_constants_that_were_evaluated_while_a_graph_was_made_lead_to_its_lines(trace: Trace) -> None:
    events = trace.events[(trace.events.layer == "kernel") & (trace.events.name == "range:Range")]
    members = trace.frame("event_calls").merge(trace.calls[["call_id", "site_id"]], on="call_id")
    of_events = events[["event_id"]].merge(members, on="event_id").merge(trace.sites, on="site_id")
    assert len(of_events) == len(events) > 0
    assert set(of_events.python_line) == {line_of(SCRIPT, "one range"), line_of(SCRIPT, "other range")}
