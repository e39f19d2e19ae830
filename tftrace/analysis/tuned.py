"""What a tuning found: the ledger's document with ranks, ties and what to pin."""

from __future__ import annotations

from typing import Any, Final

from tftrace.analysis import algorithms
from tftrace.analysis.libraries import json_object
from tftrace.analysis.pins import pin
from tftrace.analysis.racing import close_to
from tftrace.correlate.ledger.replays import TIME_OF
from tftrace.model.trace import Trace

INTERVAL: Final = "median of the rounds, and order statistics that hold it with at least 95 %"


def is_tuning(trace: Trace) -> bool:
    """Whether the trace is what a tuning left."""
    return "tuned" in trace.manifest


def document(trace: Trace) -> dict[str, Any]:
    """The document of `tftrace algorithms`, its candidates in the order of their rank.

    A candidate has besides: `rank` (1 is the fastest; null where it was not timed), `low_us` and `high_us`, `settings`
    (`env` to set, `code` to change), `max_abs_difference`, `max_relative_difference` (as a share of the reference's
    largest element) and `exact_enough`, `same_as`, `printed` (oneDNN's own line), `reason`, `default` (what TensorFlow
    does by itself). A problem has `tied`: what is as fast as the winner within the noise. Then there is `pin`, and
    `not_replayed`.
    """
    found = algorithms.document(trace)
    tuned = dict(trace.manifest.get("tuned") or {})
    for problem in found["problems"]:
        _rank(problem)
    found |= {
        "tuned": tuned, "interval": INTERVAL, "time_of": TIME_OF, "not_replayed": tuned.get("left_out") or [],
        "versions": dict(trace.manifest.get("versions") or {}), "device": _device(trace),
    }  # fmt: skip
    samples = {}
    for row in algorithms.rows(trace):
        told = json_object(row.get("details")) or {}
        samples[str(told.get("spec")), str(row["algorithm"])] = row["samples_us"] or []
    found["pin"] = pin(found["problems"], samples)
    return found


def _device(trace: Trace) -> dict[str, Any] | None:
    devices = trace.manifest.get("devices") or []
    return dict(devices[0]) if devices else None


def _rank(problem: dict[str, Any]) -> None:
    timed = [c for c in problem["candidates"] if c["status"] == "ok" and c["time_us"] is not None]
    timed.sort(key=lambda c: c["time_us"])
    for rank, candidate in enumerate(timed, 1):
        candidate["rank"] = rank
    rest = [c | {"rank": None} for c in problem["candidates"] if c not in timed]
    problem["candidates"] = timed + rest
    winner = next((c for c in timed if c["chosen"]), None)
    able = {c["algorithm"]: (c.get("low_us"), c.get("high_us")) for c in timed if c.get("exact_enough")}
    problem["tied"] = close_to(winner["algorithm"], able) if winner is not None else []
    first = problem["candidates"][0] if problem["candidates"] else {}
    problem |= {"spec": first.get("spec"), "traced_calls": first.get("traced_calls")}
