"""What `tftrace compare` draws in a terminal."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from tests.analysis.comparison.runs import conv, row, run, times
from tests.views.traces import eager_convs, function_run
from tftrace.analysis.comparison import compare, gates
from tftrace.model.trace import Trace
from tftrace.views.terminal import comparison as view


def drawn(*traces: Trace, width: int = 120, limit: int = 20, fail_on: tuple[str, ...] = ()) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, emoji=False, highlight=False, color_system=None)
    document = compare(list(traces)).document
    view.draw(console, document, limit)
    view.draw_gates(console, [o.document() for o in gates.judge(document, [gates.parse(g) for g in fail_on])])
    return out.getvalue()


def test_a_problem_shows_both_picks_their_times_the_change_and_its_cause() -> None:
    text = drawn(
        run("a", row("ALGO_1")), run("b", row("ALGO_6", times(1.5)), env={"TF_CUDNN_DETERMINISTIC": "1"})
    )
    assert "baseline a, against it b" in text
    assert "setting TF_CUDNN_DETERMINISTIC: - | 1" in text
    assert "1 problem: 1 other algorithm" in text
    assert "Conv2D [8,32,32,16] [3,3,16,32] NHWC float32  other algorithm" in text
    assert "  setting TF_CUDNN_DETERMINISTIC: not set -> 1" in text
    assert re.search(r"^a +ALGO_1 +100 us +- +- +11 +-$", text, re.M)
    assert re.search(r"^b +ALGO_6 +150 us +\+50\.\d % \(\+\S+ to \+\S+\) +slower +11 +\d+ us$", text, re.M)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (row(times=times(1.002)), "within noise"),
        (row(times=(500.0, 100.0)), "one repetition: no interval"),
        (row(times=(700.0,)), "warm-up in one run, steady state in the other"),
        (row("ALGO_6"), "no visible reason (nondeterminism)"),
        (row(problem=conv(groups=2)), "(not in this run)"),
    ],
)
def test_what_cannot_be_said_is_said(other: dict[str, Any], words: str) -> None:
    assert words in drawn(run("a", row()), run("b", other), width=160)


def test_runs_without_problems_are_compared_by_ops_and_by_lines() -> None:
    text = drawn(eager_convs(12), function_run())
    assert "No library reported an algorithm in these runs" in text
    assert "times of different things: call from Python and node of a graph" in text
    assert "kernels only in (memory) (2): _MklNativeConv2D (2)" in text


def test_three_runs_have_a_column_each_and_the_changed_one_is_named() -> None:
    text = drawn(run("a", row()), run("b", row("ALGO_6")), run("c", row()))
    assert "  b: no visible reason (nondeterminism)" in text
    assert "1 pick changed for no visible reason" in text


def test_gates_say_how_they_fared() -> None:
    text = drawn(
        run("a", row()), run("b", row("ALGO_6")), fail_on=("algorithm-changed", "slower>5%", "op-slower")
    )
    assert "gate algorithm-changed: FAILED\n  Conv2D [8,32,32,16] [3,3,16,32] in b: no visible reason" in text
    assert "gate slower>5%: passed\n" in text
    assert "gate op-slower: passed: nothing to judge" in text


def test_a_limit_is_said() -> None:
    rows = [row(problem_id=n, problem=conv(groups=n + 1)) for n in range(5)]
    assert "and 3 problems more; --limit shows them" in drawn(run("a", *rows), run("b", *rows), limit=2)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_hostile_text_is_spelled_out(width: int) -> None:
    text = "evil\x1b[31m\u202e" + "x" * 80
    runs = (
        run(text, row(text, problem=conv(op=text))),
        run("b", row("y", problem=conv(op=text)), env={text: text}),
    )
    out = drawn(*runs, width=width)
    assert max(map(len, out.splitlines())) <= width
    assert "\x1b" not in out
    assert "\u202e" not in out
