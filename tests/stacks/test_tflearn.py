"""TFLearn on TensorFlow 2.12: `fit` down to oneDNN, and `evaluate`, which fails outside the network's own graph."""

from __future__ import annotations

from typing import Any

import pytest

from tests.capture.running import Finished
from tests.stacks.conftest import SCRIPTS, Stacked
from tests.stacks.reading import chain_of, line_of
from tftrace.analysis import chain, graph_runs, summary
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

SCRIPT = SCRIPTS / "tflearn_conv.py"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded(stacked: Stacked) -> tuple[Trace, Finished]:
    return stacked("tf212_tflearn", SCRIPT.name)


@pytest.fixture(scope="module")
def trace(recorded: tuple[Trace, Finished]) -> Trace:
    return recorded[0]


def line(row: dict[str, Any] | None) -> int:
    assert row is not None
    return int(row["python"]["line"])


def test_the_convolution_of_fit_leads_down_to_the_primitive(trace: Trace) -> None:
    """The kernel is fused: convolution, bias and activation in one."""
    (group,) = chain.why(trace, "conv2d")
    assert group.mode == "session"
    assert group.count == 4  # two epochs of two batches
    assert group.python is not None
    assert group.python.line == line_of(SCRIPT, "conv")
    assert group.caller is not None
    assert group.caller.line == line_of(SCRIPT, "fit")
    assert line(group.made_in) == line_of(SCRIPT, "graph")
    assert [(line(session), session["count"]) for session in group.sessions] == [
        (line_of(SCRIPT, "session"), 4)
    ]
    layers = chain_of(group)
    assert list(layers) == list(LAYERS)
    assert layers["api"].name == "tflearn.conv_2d"
    assert layers["runtime"].name == "TF_SessionRun"
    assert layers["kernel"].name is not None
    assert layers["kernel"].name.endswith(":_MklNativeFusedConv2D")
    assert (layers["kernel"].evidence, layers["library"].evidence) == ("measured", "measured")
    assert layers["gen_op"].name == "gen_nn_ops.conv2d"
    assert layers["library"].name == "convolution"
    assert layers["library"].calls == 4
    assert group.library is not None
    assert group.library.implementation
    assert layers["device"].name
    assert layers["stream_executor"].reason


def test_the_gradients_lie_on_the_line_that_built_the_network(trace: Trace) -> None:
    (group,) = chain.why(trace, "conv2dbackpropfilter")
    assert group.python is not None
    assert group.python.line == line_of(SCRIPT, "session")
    assert chain_of(group)["library"].name == "convolution"


def test_a_oneDNN_without_itt_has_its_native_stacks_taken_at_its_lines(trace: Trace) -> None:  # noqa: N802
    (group,) = chain.why(trace, "conv2d")
    functions = [frame["function"] for frame in group.native_stack]
    assert functions[0] == "dnnl::impl::primitive_execute"
    assert any(f.endswith("MklConvOp::Compute") for f in functions)
    assert chain_of(group)["device"].name == "calling thread, with any workers it waited for"
    (itt,) = (p for p in trace.manifest["probes"] if p["name"] == "itt")
    assert "built without ITT" in itt["reason"]
    assert "shares of worker threads are not told" in itt["reason"]


def test_evaluate_fails_and_the_trace_says_between_which_graphs(recorded: tuple[Trace, Finished]) -> None:
    """TFLearn keeps the switch between training and prediction in the graph that is default when it is imported."""
    trace, done = recorded
    (failed,) = graph_runs.failures(trace)
    assert f"evaluate: {failed['message']}" in done.stdout.decode()
    assert (failed["what"], failed["error"], failed["api"]) == (
        "Tensor.eval",
        "ValueError",
        "tflearn.DNN.evaluate",
    )
    assert "the tensor's graph is different from the session's graph" in failed["message"]
    assert line(failed) == line_of(SCRIPT, "evaluate")
    assert failed["other_graph"]
    assert line(failed["session"]) == line_of(SCRIPT, "session")
    assert line(failed["session"]["graph"]) == line_of(SCRIPT, "graph")
    (tensor,) = failed["tensors"]
    assert line(tensor) == line_of(SCRIPT, "import")
    assert line(tensor["graph"]) == line_of(SCRIPT, "import")


def test_every_run_was_of_the_session_that_the_network_opened(trace: Trace) -> None:
    graphs = {row["number"]: row for row in summary.document(trace, "graph")["rows"]}
    own, default = (graphs[line_of(SCRIPT, mark)] for mark in ("graph", "import"))
    runs = trace.sites[trace.sites["op"] == "Session.run"]["site_id"]
    assert own["count"] == trace.calls["site_id"].isin(runs).sum() > 0
    assert default["count"] == 0
    assert default["nodes"] > 0
    session = trace.manifest["sessions"][0]
    assert set(trace.calls["session_id"].dropna()) == {session["session_id"]}
    assert session["graph_id"] == own["graph_id"]
