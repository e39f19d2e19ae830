"""Which tf.functions were traced, how often, what it cost in Python, and why more than once."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from tftrace.model.trace import Trace

CAUSES: Final = {
    "first": "the first call",
    "arguments": "other arguments than before",
    "variables": "the first tracing made variables: TensorFlow traces once more without",
    "new function": "another tf.function object of the same code",
    "context": "the same arguments in another context: device scope, strategy, or graph around",
}


_TOLD: Final = ("function", "file", "line", "number", "cause", "changed", "trace_us", "graph")


def tracings(trace: Trace) -> pd.DataFrame:
    """One row a tracing, from the manifest: columns function, file, line (of its `def`), number (of this code),
    cause, changed (list of argument, what, was, now), trace_us, graph, called_file and called_line."""
    rows = []
    for row in trace.manifest.get("tracings") or []:
        python = row.get("python") or {}
        told = {k: row.get(k) for k in _TOLD}
        rows.append({**told, "called_file": python.get("file"), "called_line": python.get("line")})
    columns = [*_TOLD, "called_file", "called_line"]
    frame: pd.DataFrame = pd.DataFrame(rows, columns=columns)
    return frame


def retraced(trace: Trace) -> list[dict[str, Any]]:
    """One row a function that was traced more than once, the costliest first: its tracings but the first, alike ones
    together, each with its cause."""
    frame = tracings(trace)
    found: list[dict[str, Any]] = []
    for (function, file, line), group in frame.groupby(["function", "file", "line"], sort=False):
        if len(group) < 2:
            continue
        again: dict[str, dict[str, Any]] = {}
        for row in group[group["cause"] != "first"].to_dict("records"):
            told = why(row)
            entry = again.setdefault(told, {"why": told, **_told(row)})
            entry["count"] += 1
        found.append(
            {
                "function": function, "file": file, "line": line, "tracings": len(group),
                "trace_us": round(float(group["trace_us"].sum()), 3), "again": list(again.values()),
            }
        )  # fmt: skip
    found.sort(key=lambda row: -row["trace_us"])
    return found


def _told(row: Any) -> dict[str, Any]:
    return {"cause": row["cause"], "changed": row["changed"], "count": 0, "called": _called(row)}


def why(row: Any) -> str:
    """`x: shape (8, 3), then (4, 3)`."""
    if row["cause"] != "arguments":
        return CAUSES.get(str(row["cause"]), str(row["cause"]))
    return "; ".join(f"{c['argument']}: {c['what']} {c['was']}, then {c['now']}" for c in row["changed"])


def _called(row: Any) -> dict[str, Any] | None:
    return (
        None if row["called_file"] is None else {"file": row["called_file"], "line": int(row["called_line"])}
    )
