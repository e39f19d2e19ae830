"""The autotuner's candidates on the stand-in GPU: trials apart from the real calls, every candidate with its time.

Which engine is the fastest is made up (tests/standin_gpu/native/engines.c); that it is found, and how, is tested.
"""

from __future__ import annotations

import pytest

from tests.gpu_path.conftest import Traced
from tests.gpu_path.reading import executions
from tftrace.analysis import algorithms, chain

pytestmark = [pytest.mark.tf, pytest.mark.slow]

FORWARD = {0: 420.0, 1: 180.0, 2: 90.0, 4: 150.0}  # us of the stand-in's engines, those that run
BACKPROP_INPUT = {0: 460.0, 1: 210.0, 2: 120.0, 4: 200.0}
BACKPROP_FILTER = {0: 500.0, 1: 240.0, 2: 300.0, 4: 80.0}


@pytest.mark.parametrize(
    ("script", "direction", "winner", "workspace"),
    [
        ("eager_conv.py", "forward", 2, 1 << 20),
        ("gradient.py", "backprop_input", 2, 1 << 20),
        ("gradient.py", "backprop_filter", 4, 8 << 10),
    ],
)
def test_the_engine_that_ran_is_named_with_its_workspace(
    on_standin: Traced, script: str, direction: str, winner: int, workspace: int
) -> None:
    ran = executions(on_standin(script))
    real = ran[(ran.tuning == False) & ran.problem.map(lambda p: p["direction"] == direction)]  # noqa: E712
    assert set(real.engine) == {winner}
    assert set(real.workspace_bytes) == {workspace}
    assert set(real.algorithm) == {f"eng{winner}_k2={winner}_k14=0"}
    assert set(real.status) == {"SUCCESS"}


def test_trials_of_the_autotuner_stand_apart_from_the_real_calls(on_standin: Traced) -> None:
    trace = on_standin("eager_conv.py")
    ran = executions(trace)
    assert ran.tuning.value_counts().to_dict() == {True: 5, False: 3}
    assert sorted(ran[ran.tuning == True].engine) == [0, 1, 2, 3, 4]  # noqa: E712
    assert set(ran[ran.engine == 3].status) == {"EXECUTION_FAILED"}
    groups = chain.document(trace, "conv2d")["groups"]
    cold, warm = sorted(groups, key=lambda g: g["count"])
    assert (cold["count"], warm["count"]) == (1, 2)
    tried = [c for c in cold["library_calls"] if c["call"] == "cudnnBackendExecute"]
    assert [c["tuning"] for c in tried] == [True] * 5 + [False]
    assert not any(c["tuning"] for c in warm["library_calls"])


@pytest.mark.parametrize(
    ("options", "time_of", "script", "direction", "times"),
    [
        # what a trial launched took on the device
        ((), "device", "eager_conv.py", "forward", FORWARD),
        ((), "device", "gradient.py", "backprop_input", BACKPROP_INPUT),
        ((), "device", "gradient.py", "backprop_filter", BACKPROP_FILTER),
        # without a profile, what TensorFlow's log says that the autotuner took a trial for
        (("--no-tf-profiler",), "TensorFlow's autotuner", "eager_conv.py", "forward", FORWARD),
        (("--no-tf-profiler",), "TensorFlow's autotuner", "gradient.py", "backprop_input", BACKPROP_INPUT),
        (("--no-tf-profiler",), "TensorFlow's autotuner", "gradient.py", "backprop_filter", BACKPROP_FILTER),
    ],
)
def test_the_ledger_holds_every_candidate_with_the_time_of_its_kernel(
    on_standin: Traced,
    options: tuple[str, ...],
    time_of: str,
    script: str,
    direction: str,
    times: dict[int, float],
) -> None:
    document = algorithms.document(on_standin(script, *options))
    problem = next(
        p
        for p in document["problems"]
        if p["library"] == "cuDNN"
        and p["problem"]["direction"] == direction
        and any(c["source"].startswith("cudnn_probe") for c in p["candidates"])
    )
    mine = [c for c in problem["candidates"] if c["source"].startswith("cudnn_probe")]
    timed = {int(c["engine"]): c["time_us"] for c in mine if c["time_us"] is not None}
    assert timed == times
    assert {c["time_of"] for c in mine if c["time_us"] is not None} == {time_of}
    fastest = min(times, key=lambda e: times[e])
    assert [c["algorithm"] for c in mine if c["chosen"]] == [f"eng{fastest}_k2={fastest}_k14=0"]
    assert {c["engine"]: c["status"] for c in mine}["3"] == "failed"
    assert [c["status"] for c in mine if c["engine"] is None] == ["unsupported"]  # a plan that was refused
    assert document["synthetic"] is True


def test_what_is_fused_with_a_convolution_is_named(on_standin: Traced) -> None:
    trace = on_standin("fused.py")
    ran = executions(trace)
    assert {tuple(p["fused"]) for p in ran.problem} == {("add", "bias", "relu")}
    assert {p["layout"] for p in ran.problem} == {"NCHW"}


def test_xla_has_a_tuner_of_its_own(on_standin: Traced) -> None:
    trace = on_standin("xla.py")
    ran = executions(trace)
    real = ran[ran.tuning == False]  # noqa: E712
    assert set(real.engine) == {2}
    tried = ran[ran.tuning == True]  # noqa: E712
    assert {0, 1, 2, 3, 4} <= set(tried.engine)
    stacks = trace.frame("stacks").set_index("stack_id").frames
    assert all(any("Autotuner" in f["function"] for f in stacks[i]) for i in tried.stack_id)
    assert not any("Autotuner" in f["function"] for i in real.stack_id for f in stacks[i])
