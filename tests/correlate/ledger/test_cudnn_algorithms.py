"""Rows from the calls into cuDNN: what was tried, when it was tried again, and on which device it ran."""

from __future__ import annotations

from typing import Any

import numpy as np

from tftrace.agent import contract
from tftrace.correlate.ledger.algorithm_rows import settle
from tftrace.correlate.ledger.cudnn_algorithms import Executions, add_algorithms
from tftrace.correlate.tables.columns import TraceBuilder
from tftrace.ingest.cudnn.calls import CudnnCalls, Work

PROBLEM = {
    "op": "convolution",
    "direction": "forward",
    "input": [1, 8, 8, 3],
    "filter": [3, 3, 3, 4],
    "fused": [],
}
WORKS = [Work(PROBLEM, "eng0", 0), Work(PROBLEM, "eng1", 1), Work(None)]
GPU = "/device:GPU:0"


def rows(
    *calls: tuple[int, int, int, str | None], refused: tuple[Work, ...] = ()
) -> dict[Any, dict[str, Any]]:
    """Rows by device and algorithm, from (work, tuning, device ns, device) of calls in their order."""
    work, tuning, device_ns = (np.array([c[i] for c in calls], np.int64) for i in range(3))
    n = len(calls)
    done = Executions(
        work=work, status=np.where(device_ns < -1, 5000, 0), tuning=tuning, start_ns=np.arange(n) * 100 + 1,
        host_ns=np.full(n, 7000), device_ns=device_ns, tid=np.full(n, 9), device=[c[3] for c in calls],
    )  # fmt: skip
    build = TraceBuilder()
    found = CudnnCalls(
        np.empty(0, contract.CUDNN.dtype), np.empty(0, np.int64), WORKS, refused=[(0, w) for w in refused]
    )
    add_algorithms(build, found, done)
    settle(build)
    return {(r["device"], r["algorithm"]): r for r in build.algorithms}


def test_trials_after_an_execution_of_the_problem_are_a_retune() -> None:
    tuned = [(0, 1, 5000, GPU), (1, 1, 3000, GPU), (1, 0, 3100, GPU)]
    once = rows(*tuned)
    assert {a: (r["tunings"], r["retunes"], r["trials"], r["calls"]) for (_, a), r in once.items()} == {
        "eng0": (1, 0, 1, 0), "eng1": (1, 0, 1, 1),
    }  # fmt: skip
    twice = rows(*tuned, (1, 0, 3300, GPU), *tuned)
    assert {a: (r["tunings"], r["retunes"], r["trials"], r["calls"]) for (_, a), r in twice.items()} == {
        "eng0": (2, 1, 2, 0), "eng1": (2, 1, 2, 3),
    }  # fmt: skip
    won = twice[GPU, "eng1"]
    assert (won["time_us"], won["tuning_us"], won["total_us"]) == (3.0, 6.0, 9.5)
    assert (won["first_ns"], won["picked_by"], won["chosen"]) == (101, "autotuner", True)


def test_devices_have_ledgers_of_their_own_and_a_call_of_unknown_device_joins_neither() -> None:
    found = rows((0, 1, 5000, GPU), (0, 1, 4000, "/device:GPU:1"), (1, 0, 3000, None))
    assert {key: r["problem_id"] for key, r in found.items()} == {
        (GPU, "eng0"): 0, ("/device:GPU:1", "eng0"): 1, (None, "eng1"): 2,
    }  # fmt: skip
    assert rows((0, 1, 5000, GPU), (1, 0, 3000, None))[GPU, "eng1"]["calls"] == 1  # there is but one


def test_what_a_profile_shows_only_in_part_is_timed_on_the_host_throughout() -> None:
    found = rows((0, 1, 5000, GPU), (1, 1, -1, GPU), (1, 0, 3000, GPU))
    assert {r["time_of"] for r in found.values()} == {"call on the host"}
    assert {r["time_us"] for r in found.values()} == {7.0}
    assert found[GPU, "eng1"]["total_us"] == 3.0  # of the only run, which the profile shows


def test_runs_that_a_profile_shows_only_in_part_have_no_total() -> None:
    found = rows((0, 1, 5000, GPU), (0, 0, 4000, GPU), (0, 0, -1, GPU))
    assert (found[GPU, "eng0"]["calls"], found[GPU, "eng0"]["total_us"]) == (2, None)
    assert (found[GPU, "eng0"]["time_us"], found[GPU, "eng0"]["time_of"]) == (5.0, "device")  # of its trial


def test_without_trials_the_runs_that_a_profile_shows_tell_the_time() -> None:
    found = rows((0, 0, 4000, GPU), (0, 0, -1, GPU), (0, 0, 6000, GPU))
    assert (found[GPU, "eng0"]["time_us"], found[GPU, "eng0"]["samples_us"]) == (5.0, [4.0, 6.0])
    assert (found[GPU, "eng0"]["time_of"], found[GPU, "eng0"]["picked_by"]) == ("device", "heuristics")


def test_failures_and_refusals_say_what_cudnn_said() -> None:
    found = rows((0, 1, -2, GPU), (0, 1, -2, GPU), (1, 0, 3000, GPU), refused=(Work(PROBLEM, "eng9", 9),))
    failed, refused = found[GPU, "eng0"], found[GPU, "eng9"]
    assert (failed["status"], failed["reason"], failed["time_us"]) == ("failed", "EXECUTION_FAILED (2)", None)
    assert (refused["status"], refused["chosen"]) == ("unsupported", False)


def test_a_trial_is_looked_for_on_its_own_thread_before_the_message() -> None:
    done = Executions(
        work=np.array([0, 0]), status=np.zeros(2, np.int64), tuning=np.array([1, 1]), start_ns=np.array([10, 20]),
        host_ns=np.ones(2, np.int64), device_ns=np.ones(2, np.int64), tid=np.array([1, 2]), device=["a", "b"],
    )  # fmt: skip
    assert [done.tuned_on(1, 99), done.tuned_on(2, 99), done.tuned_on(2, 20), done.tuned_on(3, 99)] == [
        "a", "b", None, None,
    ]  # fmt: skip
