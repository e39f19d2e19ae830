"""What a user can do about the algorithms of a run, from the problems of its ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tftrace.model.problem import identity

_SHAPES: Final = ("input", "output")


def advice(problems: list[dict[str, Any]], selection: Mapping[str, bool | None]) -> list[dict[str, Any]]:
    """What is worth doing, what costs most first: each with `kind`, the `problem_key` it is about, and `cost_us` (None
    where it is not known).

    - `slower_pick`: a candidate that was timed in the same way was faster than what ran. `loss_us` is the difference of
      one call, `cost_us` that of all calls, `faster` the candidate;
    - `shape_changes`: one op was tuned anew for each of `shapes`; `cost_us` is the time of all tunings but the first;
    - `retuned`: one problem was tuned again, `retunes` times;
    - `untuned`: `problems` problems were solved by what the heuristics put first, without a trial, and took `cost_us`
      together: what another algorithm would take, this run does not tell.
    """
    found = [a for p in problems for a in (_slower(p), _retuned(p)) if a is not None]
    found += [*_shape_changes(problems), *_untuned(problems, selection)]
    return sorted(found, key=lambda a: (a["kind"] == "untuned", -(a["cost_us"] or 0.0)))


def _slower(problem: dict[str, Any]) -> dict[str, Any] | None:
    margin, calls = problem["margin_us"], problem["calls"]
    if margin is None or margin >= 0:
        return None
    return {
        "kind": "slower_pick", "problem_key": problem["problem_key"], "problem": problem["problem"],
        "device": problem["device"], "chosen": problem["chosen"], "faster": problem["runner_up"],
        "loss_us": round(-margin, 3), "calls": calls, "cost_us": None if calls is None else round(-margin * calls, 3),
        "picked_by": problem["picked_by"],
    }  # fmt: skip


def _retuned(problem: dict[str, Any]) -> dict[str, Any] | None:
    if not problem["retunes"]:
        return None
    spent, tunings = problem["tuning_us"], problem["tunings"]
    return {
        "kind": "retuned", "problem_key": problem["problem_key"], "problem": problem["problem"],
        "device": problem["device"], "retunes": problem["retunes"],
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
                "kind": "shape_changes", "problem_key": family[0]["problem_key"], "problem": family[0]["problem"],
                "device": device, "shapes": [p["problem"]["input"] for p in family], "retunes": len(family) - 1,
                "cost_us": round(float(sum(spent)), 3) if spent else None,
            }
        )  # fmt: skip
    return found


def _untuned(problems: list[dict[str, Any]], selection: Mapping[str, bool | None]) -> list[dict[str, Any]]:
    picked = [p for p in problems if p["picked_by"] == "heuristics" and p["calls"]]
    if not picked or selection["autotune"] is not False:
        return []
    spent = [p["total_us"] for p in picked]
    return [
        {
            "kind": "untuned", "problem_key": picked[0]["problem_key"], "problem": picked[0]["problem"],
            "device": picked[0]["device"], "problems": len(picked),
            "cost_us": None if any(t is None for t in spent) else round(float(sum(spent)), 3),
        }
    ]  # fmt: skip
