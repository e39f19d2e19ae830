"""The same model in five modes: each kernel is led back to a line of the user's, and the rest is named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.capture.running import ROOT, environment, run
from tftrace.analysis import summary
from tftrace.analysis.chain import document, why
from tftrace.analysis.comparison import compare
from tftrace.api import load
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]
EXAMPLE = ROOT / "examples" / "five_modes.py"
MODES = ("eager", "function", "session", "xla", "fit")
SOURCE = EXAMPLE.read_text().splitlines()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trace]:
    """The example's trace in a mode, recorded once."""
    made: dict[str, Trace] = {}

    def of(mode: str) -> Trace:
        if mode not in made:
            place = tmp_path_factory.mktemp("five_modes") / mode
            done = run(EXAMPLE, mode, traced_to=place, env=environment(), python=sys.executable)
            assert done.exit_status == 0, done.stderr.decode("utf-8", "replace")
            made[mode] = load(place)
        return made[mode]

    return of


def typical_share(trace: Trace) -> float:
    """The share of kernel time that lines made, each kernel counted with the median of its type: one that the machine
    held up for milliseconds in the middle says nothing of the rest."""
    events = trace.events[trace.events.layer == "kernel"]
    members = trace.frame("event_calls").merge(trace.calls[["call_id", "site_id"]], on="call_id")
    lines = members.merge(trace.sites[["site_id", "python_file"]], on="site_id").dropna(subset="python_file")
    kind = events.name.astype(str).str.rpartition(":")[2]
    spent = events.dur_ns.groupby(kind).transform("median")
    return float(spent[events.event_id.isin(lines.event_id)].sum() / spent.sum())


def line(code: str) -> int:
    return next(number for number, text in enumerate(SOURCE, 1) if code in text)


@pytest.mark.parametrize("mode", MODES)
def test_kernel_time_leads_back_to_lines_and_the_rest_is_named(
    traced: Callable[[str], Trace], mode: str
) -> None:
    time = summary.document(traced(mode))["kernel_time"]
    assert time["total_us"] > 0
    assert typical_share(traced(mode)) >= 0.99
    rest = sum(row["total_us"] for row in time["framework_made"])
    assert time["yours_us"] + rest == pytest.approx(time["total_us"], abs=0.01)
    assert all(row["kind"] and row["names"] for row in time["framework_made"])


def test_xla_runs_each_node_once_a_step_whatever_instructions_it_made_of_it(
    traced: Callable[[str], Trace],
) -> None:
    groups = {g.python.line: g for g in why(traced("xla"), "conv2d") if g.python is not None}
    assert set(groups) == {line("conv2d(x * scale"), line("conv2d(x, w2")}
    assert {g.count for g in groups.values()} == {10}
    assert all(g.mode == "xla" for g in groups.values())
    pooling = why(traced("xla"), "MaxPoolGrad")
    kernels = {name for g in pooling for e in g.chain if e.layer == "kernel" for name in e.names}
    # it is a window reduction and a scatter, of which only the latter has kept the node's name
    assert any(n.startswith("wrapped_reduce-window") for n in kernels)
    assert "wrapped_scatter" in kernels
    assert [g.count for g in pooling] == [10]
    assert Path(str(pooling[0].python.file if pooling[0].python else "")).name == "five_modes.py"


@pytest.mark.parametrize("mode", ["function", "session", "fit"])
def test_a_convolution_is_found_in_the_kernel_that_it_was_fused_into(
    traced: Callable[[str], Trace], mode: str
) -> None:
    groups = {g.python.line: g for g in why(traced(mode), "conv2d") if g.python is not None}
    assert set(groups) == {line("conv2d(x * scale"), line("conv2d(x, w2")}
    for at, group in groups.items():
        (kernel,) = (entry for entry in group.chain if entry.layer == "kernel")
        assert group.count == 10
        assert str(kernel.name).endswith("FusedConv2D")
        assert [(f["op"], f["python"]["line"]) for f in group.fused] == [
            ("BiasAdd", at + 1),
            ("Relu", at + 1),
        ]


def test_what_became_of_each_line_is_told_side_by_side(traced: Callable[[str], Trace]) -> None:
    rows = compare([traced(mode) for mode in MODES]).document["optimized"]
    fates = {(row["op"], row["line"]): [run["fate"] for run in row["runs"]] for row in rows}
    assert fates["Sqrt", line("tf.sqrt(")][:3] == ["ran", "folded", "folded"]
    assert fates["Max", line("tf.reduce_max(")] == ["ran", "pruned", "pruned", "removed", "pruned"]
    relu = fates["Relu", line("tf.nn.relu(tf.nn.bias_add(x, b1))")]
    assert relu == ["ran", "fused", "fused", "ran", "fused"]
    # in eager mode both gradients of the inputs are computed, in the others the first one's is not
    assert fates["Conv2DBackpropInput", line("tape.gradient(")][:2] == ["ran", "pruned"]
    (bias,) = (r for r in rows if (r["op"], r["line"]) == ("BiasAdd", line("tf.nn.bias_add(x, b2)")))
    assert bias["runs"][1]["into_op"] == "Conv2D"


def test_a_step_costs_python_by_the_calls_that_it_makes(traced: Callable[[str], Trace]) -> None:
    cost = {mode: summary.document(traced(mode))["python"] for mode in MODES}
    assert cost["eager"]["calls"] > 50
    assert {mode: cost[mode]["calls"] for mode in ("function", "session", "xla")} == {
        "function": 1, "session": 1, "xla": 1,
    }  # fmt: skip
    assert all(c["steps"] >= 5 for c in cost.values())


def test_an_op_that_did_not_run_says_why(traced: Callable[[str], Trace]) -> None:
    found = document(traced("function"), "max")
    assert found["groups"] == []
    assert [(r["fate"], r["python"]["line"]) for r in found["not_run"]] == [
        ("pruned", line("tf.reduce_max("))
    ]
