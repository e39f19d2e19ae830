"""What a user can do about the algorithms of a run, from the problems of its ledger."""

from __future__ import annotations

from typing import Any, Final

from tftrace.model.problem import identity

_SHAPES: Final = ("input", "output")


def advice(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is worth doing, what costs most first: each with `kind`, the `problem_key` it is about and `cost_us`.

    - `slower_pick`: a candidate that was timed in the same way was faster than what ran; `cost_us` is what that cost in
      all calls, `faster` names the candidate;
    - `shape_changes`: one op was tuned again for each of `shapes`; `cost_us` is the time of the tunings but the first;
    - `retuned`: one problem was tuned `retunes` times more than once.
    """
    found = [a for p in problems for a in (_slower(p), _retuned(p)) if a is not None] + _shape_changes(
        problems
    )
    return sorted(found, key=lambda a: -(a["cost_us"] or 0.0))


def _slower(problem: dict[str, Any]) -> dict[str, Any] | None:
    margin, calls = problem["margin_us"], problem["calls"]
    if margin is None or margin >= 0:
        return None
    return {
        "kind": "slower_pick", "problem_key": problem["problem_key"], "device": problem["device"],
        "chosen": problem["chosen"], "faster": problem["runner_up"], "loss_us": -margin,
        "calls": calls, "cost_us": None if calls is None else round(-margin * calls, 3),
        "picked_by": problem["picked_by"],
    }  # fmt: skip


def _retuned(problem: dict[str, Any]) -> dict[str, Any] | None:
    if not problem["retunes"]:
        return None
    spent, tunings = problem["tuning_us"], problem["tunings"]
    return {
        "kind": "retuned", "problem_key": problem["problem_key"], "device": problem["device"],
        "retunes": problem["retunes"],
        "cost_us": None if spent is None or not tunings else round(spent * problem["retunes"] / tunings, 3),
    }  # fmt: skip


def _shape_changes(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Problems that differ in the sizes of input and output alone: the same op on other shapes."""
    families: dict[tuple[str, Any], list[dict[str, Any]]] = {}
    for problem in problems:
        if problem["tunings"] and problem["problem"].get("input"):
            rest = {k: v for k, v in problem["problem"].items() if k not in _SHAPES}
            families.setdefault((identity(rest), problem["device"]), []).append(problem)
    found = []
    for (_, device), family in families.items():
        if len(family) < 2:
            continue
        family.sort(key=lambda p: (p["first_ns"] is None, p["first_ns"] or 0))
        spent = [p["tuning_us"] for p in family[1:] if p["tuning_us"] is not None]
        found.append(
            {
                "kind": "shape_changes", "problem_key": family[0]["problem_key"], "device": device,
                "shapes": [p["problem"]["input"] for p in family], "retunes": len(family) - 1,
                "cost_us": round(float(sum(spent)), 3) if spent else None,
            }
        )  # fmt: skip
    return found
