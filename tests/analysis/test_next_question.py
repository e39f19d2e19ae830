"""What a run suggests to ask next: an op that leads somewhere, or the interpreter that has no usable TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.views import traces
from tftrace.analysis import chain
from tftrace.analysis.next_question import costliest_op, unusable_interpreter
from tftrace.api import load

EXAMPLES = Path(__file__).parents[2] / "traces" / "examples"


@pytest.mark.parametrize("name", ["conv_keras", "conv_slim", "conv_tflearn", "eager_conv2d"])
def test_it_leads_from_a_line_to_a_kernel(name: str) -> None:
    """In the Keras run most time of an op's own is that of MakeIterator, which has no kernel to show."""
    trace = load(EXAMPLES / name)
    op = costliest_op(trace)
    assert op is not None
    groups = chain.why(trace, op.lower())
    assert any(g.python and {e.layer: e.name for e in g.chain}["kernel"] for g in groups)


def built(*ops: dict[str, Any]) -> Any:
    b = traces.Builder()
    for at, row in enumerate(ops):
        event = b.event(row.pop("layer", "runtime"), "event", at * 100, row.pop("dur", 50))
        own = row.pop("self_ns")
        b.call(b.site(row.pop("op"), **row), at * 100, 50, [event], self_ns=own)
    return b.trace()


USER = {"python_file": "train.py", "python_line": 3}


def test_what_has_a_kernel_goes_before_what_costs_more() -> None:
    trace = built(
        {"op": "MakeIterator", "self_ns": 900, **USER},
        {"op": "Conv2D", "self_ns": 50, "layer": "kernel", **USER},
        {"op": "Relu", "self_ns": 20, "layer": "library", **USER},
        {"op": "NobodysOp", "self_ns": 500, "layer": "kernel"},
        {
            "op": "Session.run",
            "self_ns": 800,
            "layer": "kernel",
            "mode": "session",
            "graph": "graph 1",
            **USER,
        },
    )
    assert costliest_op(trace) == "Conv2D"


def test_time_that_an_op_spends_above_its_kernel_does_not_make_it_the_one_to_ask_about() -> None:
    """An iterator of Keras' fit is costly, and what it runs in kernels is next to nothing."""
    trace = built(
        {"op": "MakeIterator", "self_ns": 900, "layer": "kernel", "dur": 1, **USER},
        {"op": "MatMul", "self_ns": 60, "layer": "kernel", "dur": 50, **USER},
    )
    assert costliest_op(trace) == "MatMul"


def test_without_a_kernel_it_is_the_costliest_with_a_line() -> None:
    assert costliest_op(built({"op": "Cast", "self_ns": 5, **USER}, {"op": "Fill", "self_ns": 9})) == "Cast"
    assert costliest_op(built({"op": "Fill", "self_ns": 9})) is None
    assert costliest_op(traces.Builder().trace()) is None


def test_an_interpreter_without_a_usable_tensorflow() -> None:
    missing = {"error": "ModuleNotFoundError", "message": "No module named 'tensorflow'"}

    def of(exception: dict[str, Any] | None, **versions: str) -> str | None:
        processes = [{"pid": 1, "executable": "/env/python", "exception": exception}]
        return unusable_interpreter(traces.Builder(processes=processes, versions=versions).trace())

    assert of(missing) == "/env/python"
    assert of(None, tensorflow="1.15.5") == "/env/python"
    assert of(None, tensorflow="2.12.1") is None
    assert of(None) is None
    assert of({"error": "ModuleNotFoundError", "message": "No module named 'mine'"}) is None
