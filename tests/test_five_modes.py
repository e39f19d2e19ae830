"""The same model in five modes: each kernel is led back to a line of the user's, and the rest is named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.capture.running import ROOT, environment, run
from tftrace.analysis import summary
from tftrace.analysis.chain import why
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


def line(code: str) -> int:
    return next(number for number, text in enumerate(SOURCE, 1) if code in text)


@pytest.mark.parametrize("mode", MODES)
def test_kernel_time_leads_back_to_lines_and_the_rest_is_named(
    traced: Callable[[str], Trace], mode: str
) -> None:
    time = summary.document(traced(mode))["kernel_time"]
    assert time["total_us"] > 0
    assert time["share"] >= 0.99
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
