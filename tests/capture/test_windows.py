"""The TensorFlow profiler's windows: within chosen steps, within a budget, and out of the script's way."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.capture.running import SCRIPTS, Finished, run
from tftrace.api import load
from tftrace.ingest.xplane.space import read_xspace
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]
Record = Callable[..., Trace]


def probe(trace: Trace, name: str = "tf_profiler") -> dict[str, Any]:
    return next(p for p in trace.manifest["probes"] if p["name"] == name)


def windows(trace: Trace) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = trace.manifest["processes"][0]["windows"]
    return found


def entries(trace: Trace) -> pd.DataFrame:
    """Calls that left Python."""
    calls = trace.calls.merge(trace.sites, on="site_id")
    return calls[calls.node.isna()]


def profiled(trace: Trace) -> set[str]:
    """Eager ops that TensorFlow's profiler told of."""
    names = trace.events.query("probe == 'tf_profiler'").name.astype(str)
    return set(names[names.str.startswith("EagerLocalExecute: ")].str.removeprefix("EagerLocalExecute: "))


class TestSteps:
    @pytest.fixture(scope="class")
    @staticmethod
    def trace(recorded: Record) -> Trace:
        return recorded("stepping.py", "--steps", "3:5")

    def test_one_window_holds_those_steps_and_no_others(self, trace: Trace) -> None:
        assert [(w["opened_because"], w["why"]) for w in windows(trace)] == [("step 3", "step 5")]
        runs = trace.events.query("probe == 'tf_profiler' and name == 'FunctionRun'")
        assert len(runs) == 2
        calls = entries(trace)
        steps = calls[calls.op.astype(str).str.startswith("__inference_step")].sort_values("start_ns")
        inside = [
            bool(((runs.start_ns >= c.start_ns) & (runs.start_ns < c.start_ns + c.total_ns)).any())
            for c in steps.itertuples()
        ]
        assert inside == [False, False, True, True, False, False, False, False]
        assert steps.step.tolist() == list(range(1, 9))

    def test_every_call_outside_is_counted_as_lost(self, trace: Trace) -> None:
        calls = entries(trace)
        first, last = (
            calls[calls.op.astype(str).str.startswith("__inference_step") & (calls.step == n)].start_ns.iloc[
                0
            ]
            for n in (3, 5)
        )
        # the window opens and closes just before the calls that begin the steps
        outside = int(((calls.start_ns < first) | (calls.start_ns >= last)).sum())
        found = probe(trace)
        assert (found["status"], found["lost"]) == ("partly", outside)
        assert found["reason"] == f"{outside} op calls lie outside its windows (step 5)"
        assert probe(trace, "dispatch")["lost"] == 0

    def test_steps_that_never_come_are_said_to_be_missing(self, recorded: Record) -> None:
        trace = recorded("stepping.py", "--steps", "100:102")
        assert windows(trace) == []
        assert probe(trace)["status"] == "partly"
        assert probe(trace)["lost"] == len(entries(trace))
        assert "no window was closed" in probe(trace)["reason"]


def test_small_budget_closes_the_window_and_counts_the_rest(recorded: Record, tmp_path: Path) -> None:
    script = tmp_path / "many.py"
    script.write_text(
        "import tensorflow as tf\nx = tf.ones([4])\nfor _ in range(20_000):\n    tf.nn.relu(x)\n"
    )
    done = run(script, traced_to=tmp_path / "trace", options=("--profile-mb", "1"))
    assert done.exit_status == 0, done.stderr.decode()
    trace = load(tmp_path / "trace")
    calls = entries(trace)
    assert (calls.op == "Relu").sum() == 20_000
    first = windows(trace)[0]
    assert (first["opened_because"], first["why"]) == (
        "the script begins",
        "its share of --profile-mb was spent",
    )
    found = probe(trace)
    seen = trace.events.query("probe == 'tf_profiler' and name == 'EagerLocalExecute: Relu'")
    assert found["status"] == "partly"
    # a call that runs while a window opens or closes may be counted on either side
    assert abs((len(calls) - found["lost"]) - len(seen)) <= 2 * len(windows(trace)) + 2
    assert 0 < len(seen) < 20_000
    assert "op calls lie outside its windows" in found["reason"]


class TestOwnSessions:
    @pytest.fixture(scope="class")
    @staticmethod
    def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Finished, Trace, Path]:
        folder = tmp_path_factory.mktemp("own")
        plain = run(SCRIPTS / "own_profiler.py", folder / "plain")
        traced = run(SCRIPTS / "own_profiler.py", folder / "logs", traced_to=folder / "trace")
        return plain, traced, load(folder / "trace"), folder

    def test_script_finds_everything_as_without_tftrace(
        self, both: tuple[Finished, Finished, Trace, Path]
    ) -> None:
        plain, traced, *_ = both
        assert plain.exit_status == traced.exit_status == 0, traced.stderr.decode()
        assert traced.stdout == plain.stdout
        assert b"second session: AlreadyExistsError" in traced.stdout

    def test_profiles_of_the_script_are_whole(self, both: tuple[Finished, Finished, Trace, Path]) -> None:
        *_, folder = both
        for run_name, op in (("api", "Softplus"), ("with", "Selu")):
            for place in ("plain", "logs"):
                files = list((folder / place / run_name).rglob("*.xplane.pb"))
                assert len(files) == 1
                space = read_xspace(files[0])
                executed = np.array(space.names)[space.name_code] == f"EagerLocalExecute: {op}"
                assert executed.sum() == 20, (place, run_name)

    def test_ours_steps_aside_and_comes_back(self, both: tuple[Finished, Finished, Trace, Path]) -> None:
        trace = both[2]
        closed = [w["why"] for w in windows(trace)]
        opened = [w["opened_because"] for w in windows(trace)]
        assert closed.count("the script started a profiler session of its own") == 2
        assert opened[1:].count("the script's own profiler session ended") == 2
        assert closed[-1] == "the script ended"
        # what ran between the script's own sessions is in ours, what ran in them is not
        assert {"Relu", "Elu", "Sigmoid"} <= profiled(trace)
        assert not {"Softplus", "Selu"} & profiled(trace)
        assert all(w["lost"] is None for w in windows(trace))

    def test_what_ran_meanwhile_is_lost_to_the_profile_alone(
        self, both: tuple[Finished, Finished, Trace, Path]
    ) -> None:
        trace = both[2]
        found = probe(trace)
        assert found["status"] == "partly"
        assert found["lost"] >= 40
        assert "the script started a profiler session of its own" in found["reason"]
        calls = entries(trace)
        assert (calls.op == "Softplus").sum() == (calls.op == "Selu").sum() == 20


@pytest.mark.skipif(
    find_spec("tensorboard") is None, reason="TensorBoard is not installed in this environment"
)
def test_keras_callback_alone_gets_its_profile(tmp_path: Path) -> None:
    done = run(SCRIPTS / "profiled_by_keras.py", tmp_path / "logs", traced_to=tmp_path / "trace")
    assert (done.exit_status, done.stdout) == (0, b"profiles 1\n"), done.stderr.decode()
    (file,) = (tmp_path / "logs").rglob("*.xplane.pb")
    assert "FunctionRun" in read_xspace(file).names
    trace = load(tmp_path / "trace")
    assert "the script started a profiler session of its own" in [w["why"] for w in windows(trace)]
    assert "Tanh" in profiled(trace)


def test_memory_that_the_script_fills_does_not_end_a_window(recorded: Record) -> None:
    trace = recorded("grows.py")
    assert [w["why"] for w in windows(trace)] == ["the script ended"]
