"""What to pin where one setting has to serve all problems."""

from __future__ import annotations

from typing import Any

from tftrace.analysis.pins import FASTER, NOTHING, UNTIMED, pin

ROUNDS = 9


def candidate(name: str, us: float | None, **more: Any) -> dict[str, Any]:
    env = {"ONEDNN_MAX_CPU_ISA": name} if name != "default" else {}
    return {
        "algorithm": name, "time_us": us, "low_us": us and us * 0.99, "high_us": us and us * 1.01, "status": "ok",
        "chosen": False, "exact_enough": True, "same_as": None, "default": name == "default",
        "max_relative_difference": 1e-6, "settings": {"env": env, "code": []}, **more,
    }  # fmt: skip


def problem(spec: str, calls: int | None, *candidates: dict[str, Any]) -> dict[str, Any]:
    return {"spec": spec, "traced_calls": calls, "candidates": list(candidates)}


def pinned(*problems: dict[str, Any]) -> dict[str, Any]:
    samples = {
        (p["spec"], c["algorithm"]): [c["time_us"] * (1 + r / 1000) for r in range(ROUNDS)]
        for p in problems
        for c in p["candidates"]
        if c["time_us"] is not None
    }
    return pin(problems, samples)


def test_the_total_weighted_by_calls_decides_and_the_losers_are_named() -> None:
    a = problem("a", 53, candidate("default", 10.0), candidate("AVX2", 8.0))
    b = problem("b", 3, candidate("default", 20.0), candidate("AVX2", 50.0))
    found = pinned(a, b)
    assert found["candidate"] == "AVX2"
    assert (found["env"], found["why"], found["weighted_by"]) == (
        {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        FASTER,
        "calls",
    )
    assert round(found["total_us"]["time_us"]) == round((53 * 8 + 3 * 50) * 1.004)
    assert round(found["default"]["time_us"]) == round((53 * 10 + 3 * 20) * 1.004)
    assert [(d["spec"], d["candidate"]) for d in found["disagree"]] == [("b", "default")]


def test_without_calls_each_problem_counts_once() -> None:
    a = problem("a", None, candidate("default", 10.0), candidate("AVX2", 8.0))
    b = problem("b", 3, candidate("default", 20.0), candidate("AVX2", 50.0))
    found = pinned(a, b)
    assert (found["candidate"], found["env"], found["weighted_by"]) == ("default", {}, "problems")
    assert found["why"] == NOTHING


def test_a_gain_within_the_noise_pins_nothing() -> None:
    found = pinned(problem("a", 1, candidate("default", 10.0), candidate("AVX2", 9.99)))
    assert found["env"] == {}
    assert found["why"] == NOTHING
    assert found["disagree"] == []


def test_what_is_not_exact_enough_or_failed_somewhere_is_not_pinned() -> None:
    a = problem(
        "a", 1, candidate("default", 10.0), candidate("AVX", 1.0, exact_enough=False), candidate("AVX2", 2.0)
    )
    b = problem(
        "b", 1, candidate("default", 10.0), candidate("AVX", 1.0), candidate("AVX2", None, status="failed")
    )
    assert pinned(a, b)["env"] == {}


def test_what_comes_to_the_same_has_the_time_of_what_was_timed() -> None:
    a = problem("a", 1, candidate("default", 10.0), candidate("AVX2", 5.0))
    b = problem(
        "b", 1, candidate("default", 10.0), candidate("AVX2", None, status="not_tried", same_as="default")
    )
    found = pinned(a, b)
    assert found["candidate"] == "AVX2"
    assert round(found["total_us"]["time_us"]) == 15


def test_a_faster_change_of_the_program_is_named_and_not_pinned() -> None:
    code = {"env": {}, "code": ['data_format="NCHW"']}
    found = pinned(
        problem("a", 1, candidate("default", 10.0), candidate("nchw", 2.0, settings=code, chosen=True))
    )
    assert found["env"] == {}
    assert [(row["candidate"], row["code"]) for row in found["in_code"]] == [("nchw", code["code"])]


def test_without_the_default_there_is_nothing_to_compare_with() -> None:
    found = pinned(problem("a", 1, candidate("default", None, status="failed"), candidate("AVX2", 2.0)))
    assert (found["candidate"], found["env"], found["why"]) == (None, {}, UNTIMED)
    assert pin([], {})["why"] == UNTIMED
