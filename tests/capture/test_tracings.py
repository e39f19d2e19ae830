"""Tracings of tf.functions, with what changed since the ones before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.capture.running import SCRIPTS
from tftrace.analysis.summary import document
from tftrace.analysis.tracings import retraced, tracings
from tftrace.cli import cli
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]
SOURCE = (SCRIPTS / "retracing.py").read_text().splitlines()


@pytest.fixture(scope="module")
def trace(recorded: Callable[..., Trace]) -> Trace:
    return recorded("retracing.py")


def line(comment: str) -> int:
    return next(n for n, text in enumerate(SOURCE, 1) if text.endswith(f"# {comment}"))


def of(trace: Trace, function: str) -> dict[str, Any]:
    return next(row for row in retraced(trace) if row["function"] == function)


def test_a_call_with_known_arguments_is_no_tracing(trace: Trace) -> None:
    mine = tracings(trace).query("function == 'scale'")
    assert list(mine.number) == list(range(1, 10))
    assert mine.cause.iloc[0] == "first"
    assert (mine.trace_us > 0).all()
    assert {Path(file).name for file in mine.called_file} == {"retracing.py"}


@pytest.mark.parametrize(
    ("comment", "argument", "what", "was", "now"),
    [
        ("shape", "x", "shape", "(8, 3)", "(4, 3)"),
        ("value", "training", "value", "True", "False"),
        ("another", "model", "object", "a Model", "another Model"),
    ],
)
def test_what_changed_is_named(
    trace: Trace, comment: str, argument: str, what: str, was: str, now: str
) -> None:
    rows = [r for r in of(trace, "scale")["again"] if r["called"]["line"] == line(comment)]
    assert [r["changed"] for r in rows] == [[{"argument": argument, "what": what, "was": was, "now": now}]]


def test_a_dtype_and_a_number_that_became_a_tensor_are_two_changes(trace: Trace) -> None:
    (row,) = (r for r in of(trace, "scale")["again"] if r["called"]["line"] == line("dtype"))
    assert {c["argument"]: c["what"] for c in row["changed"]} == {"x": "dtype", "by": "kind"}


def test_a_python_number_that_changes_with_each_step_is_a_tracing_each(trace: Trace) -> None:
    mine = tracings(trace)
    steps = mine[mine.called_line == line("a Python number each step")]
    assert [c[0]["argument"] for c in steps.changed] == ["by"] * 3
    assert {c[0]["what"] for c in steps.changed} == {"value"}


def test_a_function_made_anew_is_told_from_one_whose_arguments_changed(trace: Trace) -> None:
    anew = next(row for row in retraced(trace) if row["line"] == line("made anew"))
    assert anew["tracings"] == 3
    assert [(r["cause"], r["count"]) for r in anew["again"]] == [("new function", 2)]


def test_variables_that_the_first_tracing_made_are_a_cause(trace: Trace) -> None:
    assert [r["cause"] for r in of(trace, "counting")["again"]] == ["variables"]


def test_a_change_within_a_nested_argument_is_found_by_its_path(trace: Trace) -> None:
    (row,) = of(trace, "once")["again"]
    assert row["why"] == "pair[1]['b']: shape (2,), then (1,)"


def test_the_summary_shows_it(trace: Trace) -> None:
    assert document(trace)["retraced"] == retraced(trace)
    shown = CliRunner().invoke(cli, ["summary", str(trace.path)], catch_exceptions=False).output
    assert "x: shape (8, 3), then (4, 3)" in shown
