"""What a step costs in Python."""

from __future__ import annotations

import pytest

from tests.views.traces import Builder
from tftrace.analysis.python_cost import GRAPHS, REPEATED, python_cost


def eager(steps: int = 6, cold: int = 1) -> Builder:
    """Every 1,000 us: a product of 100 us, 50 us of Python, a sum of 200 us; an op in between that runs once."""
    b = Builder()
    product, total, once = b.site("MatMul"), b.site("Sum"), b.site("Fill")
    b.call(once, 0, 10_000, [])
    for i in range(steps):
        at = 1_000_000 * (i + 1)
        b.call(product, at, 100_000, [], warm_up=i < cold)
        b.call(total, at + 150_000, 200_000, [], warm_up=i < cold)
    return b


def test_a_step_of_eager_ops_lasts_from_one_execution_of_the_first_op_to_the_next() -> None:
    assert python_cost(eager().trace()) == {
        "told_by": REPEATED, "steps": 4, "period_us": 1000.0, "runtime_us": 300.0, "python_us": 700.0, "calls": 2,
    }  # fmt: skip


def test_a_step_of_graphs_begins_where_the_graph_runs_that_runs_most_often() -> None:
    b = Builder()
    step = b.site("__inference_step_1", mode="function", graph="step")
    node = b.site("MatMul", mode="function", graph="step", node="MatMul")
    setup = b.site("__inference_init_2", mode="function", graph="init")
    b.call(setup, 0, 50_000, [])
    for i in range(6):
        run = b.call(step, 1_000_000 + 400_000 * i, 300_000, [], warm_up=False)
        b.call(node, 1_000_000 + 400_000 * i + 10, 200_000, [], parent_call_id=run)
    assert python_cost(b.trace()) == {
        "told_by": GRAPHS, "steps": 5, "period_us": 400.0, "runtime_us": 300.0, "python_us": 100.0, "calls": 1,
    }  # fmt: skip


def test_calls_on_other_threads_are_no_calls_of_the_step() -> None:
    b = eager()
    other = b.site("Sin")
    for i in range(6):
        b.call(other, 1_000_000 * (i + 1) + 400_000, 500_000, [], tid=99)
    found = python_cost(b.trace())
    assert found is not None
    assert (found["python_us"], found["calls"]) == (700.0, 2)


@pytest.mark.parametrize("steps", [0, 2, 3])
def test_too_few_repetitions_are_no_steps(steps: int) -> None:
    assert python_cost(eager(steps).trace()) is None
