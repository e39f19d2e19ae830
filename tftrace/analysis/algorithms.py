"""The ledger: which problems a library solved, with which candidates, and what it chose."""

from __future__ import annotations

import math
from typing import Any, Final

import pandas as pd

from tftrace.analysis import picking, tuning_advice
from tftrace.analysis.columns import whole
from tftrace.analysis.libraries import json_object
from tftrace.model.problem import canonical, identity
from tftrace.model.schemas import ALGORITHMS
from tftrace.model.trace import Trace

_PROBLEM: Final = ("problem_id", "device", "library")
_STATUS: Final = ("ok", "failed", "unsupported", "filtered", "not_tried")
_EVIDENCE: Final = ("measured", "joined", "inferred", "predicted")
_TIMES: Final = ("time_us", "low_us", "high_us", "total_us", "tuning_us")
_COUNTS: Final = ("trials", "calls", "workspace_bytes", "tunings", "retunes", "first_ns")


def ledger(trace: Trace) -> pd.DataFrame:
    """One row a candidate, from the table algorithms: its columns, with `problem` and `knobs` as objects, and
    `problem_key`, which is the same text for the same problem in any trace.

    Candidates of one problem stand together, the problems that cost most first, in them the chosen ones
    first and then the fastest. `time_us` is of one call, `samples_us` a list of repetitions or None. What is no time
    (NaN, infinite, negative) is None, and `reason` says so: such a candidate is never the fastest.
    """
    names = [*ALGORITHMS.names, "problem_key"]
    frame: pd.DataFrame = pd.DataFrame(rows(trace), columns=names, dtype=object)
    return frame


def rows(trace: Trace) -> list[dict[str, Any]]:
    """The rows of `ledger`, as plain Python."""
    found = [_row(row) for row in whole(trace, "algorithms").to_pylist()]
    cost: dict[tuple[Any, ...], float] = {}
    for row in found:
        if row["chosen"]:
            known = row["total_us"]
            spent = known if known is not None else (row["calls"] or 0) * (row["time_us"] or 0.0)
            cost[_key(row)] = cost.get(_key(row), 0.0) + spent

    def order(row: dict[str, Any]) -> tuple[Any, ...]:
        used = -(row["calls"] or 0) if row["chosen"] else 0
        time = math.inf if row["time_us"] is None else row["time_us"]
        return (
            -cost.get(_key(row), 0.0),
            row["problem_id"] or 0,
            str(_key(row)),
            not row["chosen"],
            used,
            time,
        )

    return sorted(found, key=order)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    named = {k: row[k] for k in ("op", "direction") if row[k] is not None}
    problem = canonical((json_object(row["problem"]) or {}) | named)
    time = row["time_us"]
    if time is not None and not _is_time(time):
        row["reason"] = row["reason"] or f"its time, {time}, is none"
    samples = row["samples_us"]
    return row | {name: row[name] if _is_time(row[name]) else None for name in _TIMES} | {
        "problem": problem, "problem_key": identity(problem), "knobs": json_object(row["knobs"]),
        "chosen": bool(row["chosen"]), "samples_us": None if samples is None else [t for t in samples if _is_time(t)],
    }  # fmt: skip


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _PROBLEM)


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0


def document(trace: Trace) -> dict[str, Any]:
    """The document of `tftrace algorithms --json`: problems with their candidates, and what can be done about them."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows(trace):
        groups.setdefault(_key(row), []).append(row)
    problems = [_problem(group) for group in groups.values()]
    settings = picking.settings(trace.manifest)
    selection = picking.selection(settings, problems)
    return {
        "trace": trace.name,
        "synthetic": trace.synthetic,
        "settings": settings,
        "selection": selection,
        "problems": problems,
        "advice": tuning_advice.advice(problems, selection),
    }


def _problem(rows: list[dict[str, Any]]) -> dict[str, Any]:
    first = rows[0]
    chosen = [row for row in rows if row["chosen"]]
    # the chosen come first, the most used of them in front
    won = chosen[0] if chosen else None
    second = _runner_up(rows, won)
    margin = percent = None
    if won is not None and second is not None:
        margin = float(second["time_us"]) - float(won["time_us"])
        percent = 100 * margin / won["time_us"] if won["time_us"] else None
    return {
        "problem": first["problem"],
        "problem_key": first["problem_key"],
        "device": first["device"],
        "device_model": first["device_model"],
        "library": first["library"],
        "version": first["version"],
        "calls": _sum(chosen, "calls"),
        "total_us": _total(chosen),
        "chosen": won["algorithm"] if won else None,
        "picked_by": won["picked_by"] if won else None,
        "runner_up": second["algorithm"] if second else None,
        "margin_us": None if margin is None else round(margin, 3),
        "margin_percent": None if percent is None else round(percent, 2),
        "workspace_trade_off": _trade_off(rows),
        "tunings": _max(rows, "tunings"),
        "retunes": _max(rows, "retunes"),
        "tuning_us": _sum(rows, "tuning_us"),
        "first_ns": min((r["first_ns"] for r in rows if r["first_ns"] is not None), default=None),
        "candidates": [_candidate(row) for row in rows],
    }


def _runner_up(rows: list[dict[str, Any]], won: dict[str, Any] | None) -> dict[str, Any] | None:
    """The fastest of those that were not chosen; None unless it and the winner were timed in the same way."""
    if won is None or won["time_us"] is None:
        return None
    others = [r for r in rows if not r["chosen"] and _comparable(r, won)]
    return min(others, key=lambda r: float(r["time_us"]), default=None)


def _comparable(row: dict[str, Any], other: dict[str, Any]) -> bool:
    return row["status"] == "ok" and row["time_us"] is not None and row["time_of"] == other["time_of"]


def _trade_off(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The candidates that no other beats in time and workspace both, the fastest first; [] unless there is a choice."""
    known = [
        r
        for r in rows
        if r["status"] == "ok" and r["time_us"] is not None and r["workspace_bytes"] is not None
    ]
    ways: dict[Any, list[dict[str, Any]]] = {}
    for row in known:
        ways.setdefault(row["time_of"], []).append(row)
    best = max(ways.values(), key=len, default=[])
    front: list[dict[str, Any]] = []
    for row in sorted(best, key=lambda r: (float(r["time_us"]), int(r["workspace_bytes"]))):
        if not front or row["workspace_bytes"] < front[-1]["workspace_bytes"]:
            front.append(row)
    if len(best) < 2:
        return []
    return [
        {
            "algorithm": r["algorithm"], "time_us": round(float(r["time_us"]), 3),
            "workspace_bytes": int(r["workspace_bytes"]), "chosen": r["chosen"],
        }
        for r in front
    ]  # fmt: skip


def _sum(rows: list[dict[str, Any]], name: str) -> Any:
    known = [row[name] for row in rows if row[name] is not None]
    if not known:
        return None
    return int(sum(known)) if name in _COUNTS else round(float(sum(known)), 3)


def _total(chosen: list[dict[str, Any]]) -> float | None:
    """Time of all calls in the run; None where not all of those that were counted were timed."""
    used = [row for row in chosen if row["calls"]]
    if not used or any(row["total_us"] is None for row in used):
        return None
    return round(float(sum(row["total_us"] for row in used)), 3)


def _max(rows: list[dict[str, Any]], name: str) -> int | None:
    return max((int(row[name]) for row in rows if row[name] is not None), default=None)


def _candidate(row: dict[str, Any]) -> dict[str, Any]:
    found = {
        "algorithm": row["algorithm"],
        "engine": row["engine"],
        "knobs": row["knobs"],
        "implementation": row["implementation"],
        "status": row["status"] if row["status"] in _STATUS else "not_tried",
        "chosen": row["chosen"],
        "source": row["source"] or "(not known)",
        "evidence": row["evidence"] if row["evidence"] in _EVIDENCE else "inferred",
        "time_of": row["time_of"],
        "picked_by": row["picked_by"],
        "reason": row["reason"],
        "confidence": row["confidence"],
        "alternative": row["alternative"],
    }
    found |= {name: None if row[name] is None else round(float(row[name]), 3) for name in _TIMES}
    found |= {name: None if row[name] is None else int(row[name]) for name in _COUNTS}
    return found | (json_object(row.get("details")) or {})  # what a tuning tells beyond the columns
