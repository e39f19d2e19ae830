"""Nodes of graphs that were read lead to the line that read them, with their kernels."""

from __future__ import annotations

import sys

import pytest

from tests.capture.running import SCRIPTS, environment, run
from tests.stacks.reading import chain_of, line_of
from tftrace.analysis import summary
from tftrace.analysis.chain import why
from tftrace.api import load
from tftrace.model.trace import Trace

pytestmark = pytest.mark.tf
SCRIPT = SCRIPTS / "read_graphs.py"


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    place = tmp_path_factory.mktemp("read_graphs")
    written = run(SCRIPT, place, "write", env=environment())
    assert written.exit_status == 0, written.stderr.decode("utf-8", "replace")
    done = run(SCRIPT, place, "read", traced_to=place / "trace", env=environment(), python=sys.executable)
    assert done.exit_status == 0, done.stderr.decode("utf-8", "replace")
    return load(place / "trace")


@pytest.mark.parametrize(
    ("read", "ran", "api"),
    [
        ("loaded", "called", "tf.saved_model.load"),
        ("v1", "run", "tf.compat.v1.saved_model.load"),
        ("imported", "frozen", "tf.import_graph_def"),
    ],
)
def test_a_convolution_leads_to_the_line_that_read_its_graph(
    trace: Trace, read: str, ran: str, api: str
) -> None:
    groups = [g for g in why(trace, "conv2d") if g.python is not None]
    (group,) = (g for g in groups if g.python is not None and g.python.line == line_of(SCRIPT, read))
    assert group.count == 3
    assert group.caller is not None
    assert group.caller.line == line_of(SCRIPT, ran)
    chain = chain_of(group)
    assert chain["api"].name == api
    assert chain["gen_op"].name is None
    assert str(chain["kernel"].name).rpartition(":")[2] == "_MklNativeConv2D"
    assert group.library is not None
    assert group.op_attrs["padding"] in ("SAME", "VALID")
    assert len(group.op_attrs["strides"]) == 4


def test_nearly_all_kernel_time_leads_to_lines_that_read(trace: Trace) -> None:
    time = summary.document(trace)["kernel_time"]
    assert time["share"] > 0.9
    assert {row["kind"] for row in time["framework_made"]} <= {"transfers between devices"}
    lines = {line_of(SCRIPT, mark) for mark in ("loaded", "v1", "imported")}
    convolutions = trace.sites[(trace.sites.op == "Conv2D") & trace.sites.node.notna()]
    assert set(convolutions.python_line) == lines


def test_functions_that_a_graph_brought_along_are_listed_with_the_line_that_read_them(trace: Trace) -> None:
    made = {str(g["graph"]): g["python"] for g in trace.manifest["graphs"] if g["kind"] == "function"}
    branches = [p["line"] for name, p in made.items() if "cond_true" in name]
    assert set(branches) == {line_of(SCRIPT, "loaded"), line_of(SCRIPT, "v1")}
