"""The environment settings to pin: those under which the tuned convolutions take the least time together.

A setting of the environment holds for the whole process, so one has to be chosen for all problems, though each may have
another winner:

    problem  calls  default  isa=AVX2  threads=1        total of each, weighted by calls
    a        53     10 us    8 us      30 us      ->    default 53 x 10 + 3 x 20 = 590
    b        3      20 us    50 us     30 us            isa=AVX2 53 x 8 + 3 x 50 = 574, pinned if its interval is apart

The total is taken round by round: the sum over the problems of one round each is one repetition, and the median and its
interval are those of these sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tftrace.capture.settings import ERRATA
from tftrace.correlate.ledger.repetitions import timing

NOTHING: Final = (
    "nothing has to be set: what TensorFlow does by itself is fastest, or as fast within the noise"
)
FASTER: Final = "the least time over all problems together, apart from that of what TensorFlow does by itself"
UNTIMED: Final = "what TensorFlow does by itself was not timed, or is not exact enough, for some problem"
Samples = Mapping[tuple[str, str], Sequence[float]]
"""(spec of a problem, name of a candidate) -> its repetitions in us, one a round."""


def pin(problems: Sequence[dict[str, Any]], samples: Samples) -> dict[str, Any]:
    """What to pin, from the problems of a tuning's document (`tuned.document`).

    `env`: variables to set, empty where none has to be; `candidate`; `why`; `total_us` with its interval, and the same
    of the `default`; `weighted_by`: "calls" or "problems" (each once, where the calls are not known);
    `max_relative_difference`: to the reference, the largest of all problems; `disagree`: problems that another
    candidate of the environment would suit better; `in_code`: those that a change of the program would make faster.
    """
    timed = [p for p in problems if any(c["time_us"] is not None for c in p["candidates"])]
    counted = bool(timed) and all(p["traced_calls"] is not None for p in timed)
    result: dict[str, Any] = {
        "candidate": None, "env": {}, "why": UNTIMED, "total_us": None, "default": None,
        "weighted_by": "calls" if counted else "problems", "max_relative_difference": None, "disagree": [],
        "in_code": [],
    }  # fmt: skip
    able = [_environment(p) for p in timed]
    names = [name for name in (able[0] if able else {}) if all(name in found for found in able)]
    default = next((name for name in names if able[0][name]["default"]), None)
    if default is None:
        return result
    weights = [p["traced_calls"] if counted else 1 for p in timed]
    totals = {name: _total(name, timed, able, weights, samples) for name in names}
    best = min(totals, key=lambda name: totals[name]["time_us"])
    if not _apart(totals[best], totals[default]):
        best = default
    chosen = [found[best] for found in able]
    result |= {
        "candidate": best, "env": {} if best == default else able[0][best]["settings"]["env"],
        "why": NOTHING if best == default else FASTER, "total_us": totals[best],
        "default": {"candidate": default, **totals[default]},
        "max_relative_difference": max(c["max_relative_difference"] for c in chosen),
    }  # fmt: skip
    for problem, found, candidate in zip(timed, able, chosen, strict=True):
        own = min(found.values(), key=lambda c: float(c["time_us"]))
        if _apart(own, candidate):
            result["disagree"].append(_named(problem, own))
        winner = next((c for c in problem["candidates"] if c["chosen"]), None)
        if winner is not None and winner["settings"]["code"] and _apart(winner, candidate):
            result["in_code"].append(_named(problem, winner) | {"code": winner["settings"]["code"]})
    return result


def _environment(problem: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Candidates that need no change of the program and are exact enough; one that does the same as another has that
    one's times."""
    named = {c["algorithm"]: c for c in problem["candidates"]}
    found = {}
    for name, candidate in named.items():
        timed = named.get(candidate["same_as"], candidate) if candidate["same_as"] else candidate
        if (
            ERRATA in candidate["settings"]["env"]
        ):  # it would leave other convolutions of the program without any
            continue
        if not candidate["settings"]["code"] and timed["status"] == "ok" and timed["exact_enough"]:
            found[name] = {
                **timed, "algorithm": name, "settings": candidate["settings"], "default": candidate["default"],
                "timed_as": timed["algorithm"],
            }  # fmt: skip
    return found


def _total(
    name: str, problems: Sequence[dict[str, Any]], able: Sequence[dict[str, dict[str, Any]]], weights: Sequence[int],
    samples: Samples,
) -> dict[str, Any]:  # fmt: skip
    times = [samples[p["spec"], found[name]["timed_as"]] for p, found in zip(problems, able, strict=True)]
    rounds = min(len(one) for one in times)
    sums = [sum(w * one[r] for w, one in zip(weights, times, strict=True)) for r in range(rounds)]
    return {key: value for key, value in timing(sums).items() if key != "samples_us"}


def _named(problem: dict[str, Any], candidate: dict[str, Any]) -> dict[str, Any]:
    kept = ("time_us", "low_us", "high_us")
    return {"spec": problem["spec"], "candidate": candidate["algorithm"], **{k: candidate[k] for k in kept}}


def _apart(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether `one` is faster for sure."""
    return (
        one["high_us"] is not None and other["low_us"] is not None and bool(one["high_us"] < other["low_us"])
    )
