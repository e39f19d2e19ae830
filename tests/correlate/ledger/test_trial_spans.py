"""What an autotuner launched is told by the calls into cuDNN around it, where nothing annotates it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tftrace.correlate.ledger import trial_spans

TRIAL, REAL = SimpleNamespace(tuning=True), SimpleNamespace(tuning=False)


def marked(calls: list[tuple[int, int, Any, bool]], launches: list[tuple[int, int, str]]) -> list[int]:
    """Times of the launches that were told to be for trials.

    `calls`: (thread, time, native stack, whether it executes), each 2 long; `launches`: (thread, time, name).
    """
    told: list[int] = []
    thread, start = (np.array([c[i] for c in calls], np.int64) for i in (0, 1))
    cudnn: Any = SimpleNamespace(
        calls=SimpleNamespace(tid=thread, start=start, end=start + 2, stack=[c[2] for c in calls]),
        found=SimpleNamespace(work=np.array([0 if c[3] else -1 for c in calls], np.int64)),
        first=np.arange(len(calls)),
    )
    names = sorted({name for _, _, name in launches})
    work = SimpleNamespace(
        launch=np.arange(len(launches)),
        name=np.array([names.index(name) for _, _, name in launches], np.int64),
    )
    at = np.array([when for _, when, _ in launches], np.int64)
    profile: Any = SimpleNamespace(work=work, start=at, tid=np.array([t for t, _, _ in launches], np.int64))
    build: Any = SimpleNamespace(words=SimpleNamespace(values=names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_spans, "say_so", lambda _build, _work, rows: told.extend(at[rows].tolist()))
        trial_spans.mark_launched_in_trials(build, profile, cudnn)
    return sorted(told)


TUNED = [(1, 10, TRIAL, False), (1, 20, TRIAL, True), (1, 30, TRIAL, True), (1, 50, REAL, True)]


def test_fills_and_engines_between_the_tuners_calls_are_trials_and_what_lies_around_is_not() -> None:
    launches = [
        (1, 5, "transpose"),
        (1, 15, "Memset"),
        (1, 21, "engine"),
        (1, 31, "engine"),
        (1, 51, "engine"),
    ]
    assert marked(TUNED, launches) == [15, 21, 31]


def test_the_last_trials_check_and_its_outcome_are_told_by_name() -> None:
    launches = [
        (1, 33, "Memset"),
        (1, 35, "RedzoneAllocatorKernel"),
        (1, 36, "MemcpyD2H"),
        (1, 40, "transpose"),
    ]
    assert marked(TUNED, launches) == [33, 35, 36]
    # the program's own copy of a result, behind the execution for real
    assert marked(TUNED, [(1, 60, "MemcpyD2H")]) == []


def test_another_thread_is_not_concerned() -> None:
    assert marked(TUNED, [(2, 15, "engine"), (2, 36, "RedzoneAllocatorKernel")]) == []


def test_without_an_execution_for_real_a_later_copy_is_nobodys() -> None:
    assert marked(TUNED[:3], [(1, 21, "engine"), (1, 90, "MemcpyD2H")]) == [21]


def test_each_problem_has_a_row_of_trials_of_its_own() -> None:
    second = [(1, 100 + t if t != 50 else 150, s, e) for _, t, s, e in TUNED]
    launches = [(1, 21, "engine"), (1, 60, "engine"), (1, 121, "engine"), (1, 151, "engine")]
    assert marked([*TUNED, *second], launches) == [21, 121]
