"""The ledger of runs on the stand-in GPU: what was tried, what failed, what won, and how it was picked.

Which engine is the fastest is made up (tests/standin_gpu/native/engines.c); that the ledger tells it, is tested.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.analysis.contracts import check
from tests.standin_gpu.build import SCRIPTS
from tftrace.analysis import algorithms
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]

Ledger = Callable[..., dict[str, Any]]
TIMES = {"0": 420.0, "1": 180.0, "2": 90.0, "4": 150.0}  # us of the engines that run


@pytest.fixture(scope="module")
def ledger(recorded: Callable[..., Trace], standin_gpu: dict[str, str]) -> Ledger:
    known: dict[Any, dict[str, Any]] = {}

    def document(script: str, *options: str, **env: str) -> dict[str, Any]:
        key = (script, options, *env.items())
        if key not in known:
            known[key] = algorithms.document(
                recorded(os.fspath(SCRIPTS / script), *options, **standin_gpu | env)
            )
            check(known[key], "algorithms")
        return known[key]

    return document


def of_cudnn(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [p for p in document["problems"] if p["library"] == "cuDNN"]


def engines(problem: dict[str, Any], *names: str) -> dict[str, Any]:
    """Engine -> what the ledger says of it under these names."""
    found = [c for c in problem["candidates"] if c["engine"] is not None]
    return {c["engine"]: tuple(c[n] for n in names) if len(names) > 1 else c[names[0]] for c in found}


def test_a_new_shape_is_a_problem_of_its_own_and_its_tuning_is_advice(ledger: Ledger) -> None:
    document = ledger("new_shapes.py")
    first, second = sorted(of_cudnn(document), key=lambda p: p["first_ns"])
    assert [p["problem"]["input"] for p in (first, second)] == [[2, 16, 16, 8], [2, 24, 24, 8]]
    for problem, calls in ((first, 3), (second, 2)):
        assert engines(problem, "status") == dict.fromkeys("0124", "ok") | {"3": "failed"}
        assert engines(problem, "time_us") == TIMES | {"3": None}
        assert engines(problem, "trials") == dict.fromkeys("0124", 1) | {"3": None}
        assert engines(problem, "reason")["3"] == "EXECUTION_FAILED"
        assert problem["chosen"] == "eng2_k2=2_k14=0"
        assert problem["calls"] == calls
        # where TensorFlow's profile lacks what one call launched, nothing is said of all together
        assert problem["total_us"] in (90.0 * calls, None)
        assert (problem["runner_up"], problem["margin_us"]) == ("eng4_k2=4_k14=0", 60.0)
        assert (problem["tunings"], problem["retunes"], problem["tuning_us"]) == (1, 0, sum(TIMES.values()))
        assert problem["picked_by"] == "autotuner"
        # in time and workspace: eng1 is beaten by eng4
        assert [c["algorithm"][:4] for c in problem["workspace_trade_off"]] == ["eng2", "eng4", "eng0"]
    assert document["selection"]["autotune"] is True
    (change,) = (a for a in document["advice"] if a["kind"] == "shape_changes")
    assert change["shapes"] == [[2, 16, 16, 8], [2, 24, 24, 8]]
    assert change["cost_us"] == sum(TIMES.values())


def test_without_autotuning_the_heuristics_pick_and_nothing_is_tried(ledger: Ledger) -> None:
    document = ledger("eager_conv.py", TF_CUDNN_USE_AUTOTUNE="0")
    (problem,) = of_cudnn(document)
    assert document["selection"]["autotune"] is False
    assert document["settings"]["TF_CUDNN_USE_AUTOTUNE"] == "0"
    assert (problem["chosen"], problem["picked_by"], problem["calls"]) == ("eng1_k2=1_k14=0", "heuristics", 3)
    assert (problem["tunings"], problem["tuning_us"], problem["margin_us"]) == (0, None, None)
    assert engines(problem, "status", "time_us") == {
        "1": ("ok", 180.0), "0": ("not_tried", None), "2": ("not_tried", None), "3": ("not_tried", None),
        "4": ("not_tried", None),
    }  # fmt: skip
    (untuned,) = (a for a in document["advice"] if a["kind"] == "untuned")
    assert untuned["problems"] == 1
    assert untuned["cost_us"] == problem["total_us"]


@pytest.mark.parametrize(
    ("script", "env", "setting"),
    [
        ("eager_conv.py", {"TF_CUDNN_DETERMINISTIC": "1"}, ("TF_CUDNN_DETERMINISTIC", "1")),
        ("deterministic.py", {}, ("op_determinism", "true")),
    ],
)
def test_determinism_is_told_whether_the_environment_or_the_script_demands_it(
    ledger: Ledger, script: str, env: dict[str, str], setting: tuple[str, str]
) -> None:
    document = ledger(script, **env)
    (problem,) = of_cudnn(document)
    assert document["selection"]["deterministic"] is True
    assert document["settings"][setting[0]] == setting[1]
    # the fastest engine of the stand-in is not deterministic
    assert problem["chosen"] != "eng2_k2=2_k14=0"
    assert [c["chosen"] for c in problem["candidates"] if c["calls"]] == [True]
    assert ledger("eager_conv.py")["selection"]["deterministic"] is False


def test_with_two_gpus_each_call_stands_with_the_device_it_ran_on(ledger: Ledger) -> None:
    problems = of_cudnn(ledger("two_devices.py", STANDIN_GPU_DEVICES="2"))
    assert [p["device"] for p in sorted(problems, key=lambda p: str(p["device"]))] == [
        "/device:GPU:0",
        "/device:GPU:1",
    ]
    assert len({p["problem_key"] for p in problems}) == 1
    for problem in problems:
        assert (problem["calls"], problem["tunings"], problem["retunes"]) == (1, 1, 0)
        assert engines(problem, "time_us") == TIMES | {"3": None}
        told = {c["source"] for c in problem["candidates"] if c["engine"] is not None}
        assert told == {"cudnn_probe + tf_log"}  # the log does not name a device: the trials on its thread do


def test_without_the_probe_the_profile_is_matched_with_the_log_by_order(ledger: Ledger) -> None:
    (problem,) = of_cudnn(ledger("function_conv.py", "--no-cudnn"))
    assert problem["problem"]["input"] == [2, 16, 16, 8]  # of the log
    assert (problem["problem"]["order"], problem["problem"]["nodes"]) == (
        0,
        ["Conv2D:Conv2D"],
    )  # of the profile
    assert (problem["chosen"], problem["calls"], problem["total_us"]) == ("eng2_k2=2_k14=0", 3, 270.0)
    assert engines(problem, "time_us") == TIMES | {"3": None}
    found = engines(problem, "source", "evidence", "time_of")
    assert found.pop("3") == ("tf_log", "measured", None)  # it left no kernel that could be matched
    assert set(found.values()) == {("kernel_names + tf_log", "inferred", "device")}


def test_a_profile_alone_gives_trials_and_winner_and_says_that_it_knows_no_algorithm(ledger: Ledger) -> None:
    (problem,) = of_cudnn(ledger("function_conv.py", "--no-cudnn", "--no-stream-executor"))
    assert "input" not in problem["problem"]
    assert [c["time_us"] for c in problem["candidates"]] == sorted(TIMES.values())
    assert [c["chosen"] for c in problem["candidates"]] == [True, False, False, False]
    assert {c["algorithm"] for c in problem["candidates"]} == {None}
    assert {c["reason"] for c in problem["candidates"]} == {"no rule knows its kernels"}
    assert {c["evidence"] for c in problem["candidates"]} == {"inferred"}
