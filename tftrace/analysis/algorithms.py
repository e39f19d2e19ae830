"""The ledger: which problems a library solved, with which candidates, and what it chose."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from tftrace.analysis.columns import table
from tftrace.analysis.libraries import json_object
from tftrace.model.trace import Trace

_DIRECTIONS: Final = ("forward", "backprop_input", "backprop_filter")
_PROBLEM: Final = ("problem_id", "device", "library")
_STATUS: Final = ("ok", "failed", "unsupported", "filtered", "not_tried")


def ledger(trace: Trace) -> pd.DataFrame:
    """One row a candidate, from the table algorithms: its columns, with `problem` and `knobs` as objects.

    Candidates of one problem stand together, the problems that cost most first, in them the chosen ones
    first and then the fastest. `time_us` is of one call.
    """
    frame: pd.DataFrame = table(trace, "algorithms").to_pandas().astype(object)
    frame = frame.where(frame.notna(), None)
    frame["problem"] = frame["problem"].map(lambda text: json_object(text) or {})
    frame["knobs"] = frame["knobs"].map(json_object)
    frame["chosen"] = [bool(value) for value in frame["chosen"]]
    if frame.empty:
        return frame
    cost = [
        (c or 0) * (t or 0.0) if won else 0.0
        for c, t, won in frame[["calls", "time_us", "chosen"]].itertuples(index=False)
    ]
    frame["_cost"] = cost
    frame["_cost"] = (
        frame.groupby([*_PROBLEM], dropna=False, sort=False)["_cost"].transform("sum").astype(float)
    )
    frame["_calls"] = [
        -(c or 0) if won else 0 for c, won in frame[["calls", "chosen"]].itertuples(index=False)
    ]
    frame["_lost"] = ~frame["chosen"].astype(bool)
    frame["_time"] = [float("inf") if t is None else float(t) for t in frame["time_us"]]
    order = ["_cost", "problem_id", "_lost", "_calls", "_time"]
    frame = frame.sort_values(order, ascending=[False, True, True, True, True], kind="stable")
    frame = frame.drop(columns=["_cost", "_calls", "_lost", "_time"])
    ordered: pd.DataFrame = frame.reset_index(drop=True)
    return ordered


def document(trace: Trace) -> dict[str, Any]:
    """The document of `tftrace algorithms --json`: problems with their candidates."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in ledger(trace).to_dict("records"):
        groups.setdefault(tuple(row[k] for k in _PROBLEM), []).append({str(k): v for k, v in row.items()})
    problems = [_problem(rows) for rows in groups.values()]
    return {"trace": trace.name, "synthetic": trace.synthetic, "problems": problems}


def _problem(rows: list[dict[str, Any]]) -> dict[str, Any]:
    first = rows[0]
    direction = first["direction"] if first["direction"] in _DIRECTIONS else "other"
    chosen = [row for row in rows if row["chosen"]]
    counted = [row["calls"] for row in chosen if row["calls"] is not None]
    return {
        "problem": {**first["problem"], "op": first["op"] or "(not known)", "direction": direction},
        "device": first["device"],
        "library": first["library"],
        "version": first["version"],
        "calls": int(sum(counted)) if counted else None,
        # the chosen come first, the most used of them in front
        "chosen": chosen[0]["algorithm"] if chosen else None,
        "margin_us": _margin(rows, chosen),
        "tuning_us": None,
        "retunes": None,
        "candidates": [_candidate(row) for row in rows],
    }


def _margin(rows: list[dict[str, Any]], chosen: list[dict[str, Any]]) -> float | None:
    """How much slower the best of the others was than the winner; None unless both were timed, in the same way."""
    others = [
        r["time_us"]
        for r in rows
        if not r["chosen"]
        and r["status"] == "ok"
        and r["time_us"] is not None
        and r.get("time_of") == (chosen[0].get("time_of") if chosen else None)
    ]
    if not others or not chosen or chosen[0]["time_us"] is None:
        return None
    return round(float(min(others)) - float(chosen[0]["time_us"]), 3)


def _candidate(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "algorithm": row["algorithm"],
        "engine": row["engine"],
        "knobs": row["knobs"],
        "implementation": row["implementation"],
        "time_us": None if row["time_us"] is None else round(float(row["time_us"]), 3),
        "time_of": row.get("time_of"),
        "trials": None if row.get("trials") is None else int(row["trials"]),
        "calls": None if row["calls"] is None else int(row["calls"]),
        "workspace_bytes": None if row["workspace_bytes"] is None else int(row["workspace_bytes"]),
        "status": row["status"] if row["status"] in _STATUS else "not_tried",
        "chosen": row["chosen"],
        "source": row["source"] or "(not known)",
        "evidence": row["evidence"] or "inferred",
    }
