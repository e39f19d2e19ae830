"""The environment settings to pin: those under which the tuned convolutions take the least time together.

A setting of the environment holds for the whole process, so one has to be chosen for all problems, though each may have
another winner:

    problem  calls  default  isa=AVX2  threads=1        total of each, weighted by calls
    a        53     10 us    8 us      30 us      ->    default 53 x 10 + 3 x 20 = 590
    b        3      20 us    50 us     30 us            isa=AVX2 53 x 8 + 3 x 50 = 574, pinned if its interval is apart
"""

from __future__ import annotations

from typing import Any, Final

NOTHING: Final = (
    "nothing has to be set: what TensorFlow does by itself is fastest, or as fast within the noise"
)


def pin(document: dict[str, Any]) -> dict[str, Any]:
    """What to pin, from the document of a tuning (`tuned.document`).

    `env`: variables to set, empty where none has to be; `candidate`; `why`; `total_us` with its interval, and the same
    of the `default`; `weighted_by`: "calls" or "problems" (each once, where the calls are not known); `disagree`:
    problems that another candidate of the environment would suit better; `in_code`: problems that a change of the
    program would make faster still. None in `candidate` where no setting was timed for every problem.
    """
    problems = [p for p in document["problems"] if any(c["time_us"] is not None for c in p["candidates"])]
    counted = bool(problems) and all(p.get("traced_calls") is not None for p in problems)
    weights = [p["traced_calls"] if counted else 1 for p in problems]
    tables = [_times(p) for p in problems]
    names = [n for n in (tables[0] if tables else {}) if all(n in table for table in tables)]
    totals = {
        name: {
            bound: _weighted([table[name][bound] for table in tables], weights)
            for bound in ("time_us", "low_us", "high_us")
        }
        for name in names
    }
    result: dict[str, Any] = {
        "candidate": None, "env": {}, "why": NOTHING, "total_us": None, "default": None, "weighted_by": None,
        "disagree": [], "in_code": [],
    }  # fmt: skip
    if not totals:
        return result | {"why": "no setting of the environment was timed for every problem"}
    default = next((c["algorithm"] for c in problems[0]["candidates"] if c.get("default")), None)
    if default not in totals:
        return result | {"why": "what TensorFlow does by itself was not timed for every problem"}
    best = min(totals, key=lambda name: totals[name]["time_us"] or float("inf"))
    if best != default and not _apart(totals[best], totals[default]):
        best = default
    settings = {c["algorithm"]: c["settings"]["env"] for c in problems[0]["candidates"]}
    result |= {
        "candidate": best, "env": {} if best == default else settings[best], "total_us": totals[best],
        "default": {"candidate": default, **totals[default]}, "weighted_by": "calls" if counted else "problems",
        "why": NOTHING if best == default else "the least time over all problems, apart from that of the default",
    }  # fmt: skip
    for problem, table in zip(problems, tables, strict=True):
        own = min(table, key=lambda name: table[name]["time_us"])
        if own != best and _apart(table[own], table[best]):
            result["disagree"].append({"spec": problem["spec"], "candidate": own, **table[own]})
        winner = next((c for c in problem["candidates"] if c["chosen"]), None)
        if winner is not None and winner["settings"]["code"] and _apart(winner, table[best]):
            result["in_code"].append(
                {"spec": problem["spec"], "candidate": winner["algorithm"], "code": winner["settings"]["code"],
                 "time_us": winner["time_us"]}
            )  # fmt: skip
    return result


def _times(problem: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Times of the candidates that need no change of the program and are exact enough; one that does the same as
    another has that one's."""
    found: dict[str, dict[str, Any]] = {}
    for c in problem["candidates"]:
        source = c
        if c.get("same_as"):
            source = next((o for o in problem["candidates"] if o["algorithm"] == c["same_as"]), c)
        if c["settings"]["code"] or source["status"] != "ok" or not source.get("exact_enough"):
            continue
        found[c["algorithm"]] = {bound: source.get(bound) for bound in ("time_us", "low_us", "high_us")}
    return found


def _weighted(times: list[float | None], weights: list[int]) -> float | None:
    if any(time is None for time in times):
        return None
    return round(sum((time or 0.0) * weight for time, weight in zip(times, weights, strict=True)), 3)


def _apart(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether `one` is faster for sure."""
    return (
        one.get("high_us") is not None
        and other.get("low_us") is not None
        and one["high_us"] < other["low_us"]
    )
