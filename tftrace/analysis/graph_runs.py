"""Which line made which graph, which session ran it, and which runs failed: from the manifest and the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tftrace.analysis.columns import numbers, positions, table, texts
from tftrace.model.trace import Trace

if TYPE_CHECKING:  # a third of a second, for whom asks for no frame
    import pandas as pd

COLUMNS: Final = [
    "graph", "kind", "line", "nodes", "sessions", "count", "total_us", "self_us", "code", "graph_id", "file", "number",
]  # fmt: skip


class GraphsMade:
    """Which line made a graph, and which opened a session; `None` for what the trace does not know."""

    def __init__(self, trace: Trace) -> None:
        self._graphs = {int(row["graph_id"]): row for row in trace.manifest.get("graphs") or []}
        self._sessions = {int(row["session_id"]): row for row in trace.manifest.get("sessions") or []}

    def graph(self, number: int | None) -> dict[str, Any] | None:
        """`graph` (its label in the sites), `graph_id`, `kind`, `python` and `api` of what made it."""
        row = self._graphs.get(number) if number is not None else None
        return row and {key: row.get(key) for key in ("graph", "graph_id", "kind", "python", "api")}

    def session(self, number: int | None) -> dict[str, Any] | None:
        """`session_id`, `class`, `graph_id` of the graph it belongs to, `python` and `api` of what opened it."""
        row = self._sessions.get(number) if number is not None else None
        return row and {key: row.get(key) for key in ("session_id", "class", "graph_id", "python", "api")}


def by_graph(trace: Trace, steady: bool = False) -> pd.DataFrame:
    """One row for each graph in which nodes were made, the one with the most time first.

    Columns: graph (its label in `sites`), kind (graph, function), line and code (of what made it), nodes, sessions
    (ids of TensorFlow's sessions on it, as text), count (runs of it from Python), total_us and self_us of those,
    graph_id, file, number. Empty for a trace that `tftrace run` did not record.
    """
    import pandas as pd

    rows = trace.manifest.get("graphs") or []
    calls, sites = table(trace, "calls"), table(trace, "sites")
    site = positions(sites, "site_id", numbers(calls, "site_id"))
    graph_of = numbers(sites, "graph_id")
    graph = np.where(site >= 0, np.append(np.where(graph_of.valid, graph_of.values, -1), -1)[site], -1)
    runs = (graph >= 0) & np.append(texts(sites, "node").codes < 0, False)[site]
    if steady:
        runs &= numbers(calls, "warm_up").values == 0
    size = int(max([graph.max(initial=0), *(int(row["graph_id"]) for row in rows)], default=0)) + 1
    count = np.bincount(graph[runs], minlength=size)
    total, own = (
        np.bincount(graph[runs], weights=numbers(calls, f"{c}_ns").values[runs], minlength=size) / 1000
        for c in ("total", "self")
    )
    sessions: dict[int, list[str]] = {}
    for row in trace.manifest.get("sessions") or []:
        sessions.setdefault(int(row["graph_id"]), []).append(str(row["session_id"]))
    made = []
    for row in rows:
        number = int(row["graph_id"])
        place = row.get("python") or {}
        made.append(
            {
                "graph": row["graph"], "kind": row["kind"], "line": _short(row.get("python")),
                "nodes": row["nodes"], "sessions": ", ".join(sessions.get(number, [])) or None,
                "count": int(count[number]), "total_us": total[number], "self_us": own[number],
                "code": place.get("code"), "graph_id": number, "file": place.get("file"), "number": place.get("line"),
            }
        )  # fmt: skip
    frame: pd.DataFrame = pd.DataFrame(made, columns=COLUMNS)
    frame["number"] = frame["number"].astype("Int64")
    ranked: pd.DataFrame = frame.sort_values(["total_us", "graph_id"], ascending=[False, True], kind="stable")
    ranked = ranked.reset_index(drop=True)
    return ranked


def failures(trace: Trace) -> list[dict[str, Any]]:
    """Runs of a graph that raised, in the order in which they did, and then what ended a process.

    A run has `what` (Session.run, Tensor.eval, Operation.run), `error`, `message`, `python` and `api` of the call,
    `session` (its id, `graph` and the lines that made both, null where none was there), `tensors` (name, `graph`, the
    lines that made both) and `other_graph`: whether a tensor lies in another graph than the session's. What ended a
    process has `what` null, and is left out where it is a run that is told already.
    """
    made = GraphsMade(trace)
    found: list[dict[str, Any]] = []
    for row in trace.manifest.get("failures") or []:
        session = made.session(row.get("session_id"))
        own = session["graph_id"] if session else None
        found.append(
            {
                **{key: row.get(key) for key in ("what", "error", "message", "pid", "python", "api", "callers")},
                "session": session and {**session, "graph": made.graph(own)},
                "tensors": [
                    {"name": t["name"], "python": t["python"], "api": t["api"], "graph": made.graph(t["graph_id"])}
                    for t in row.get("tensors") or []
                ],
                "other_graph": session is not None
                and any(t["graph_id"] != own for t in row.get("tensors") or []),
            }
        )  # fmt: skip
    for process in trace.manifest.get("processes") or []:
        ended = process.get("exception") if isinstance(process, dict) else None
        if ended and not any(_same(ended, row) for row in found):
            told = {key: ended.get(key) for key in ("error", "message", "python", "api", "callers")}
            found.append(
                {
                    "what": None,
                    "pid": process.get("pid"),
                    **told,
                    "session": None,
                    "tensors": [],
                    "other_graph": False,
                }
            )
    return found


def _same(ended: dict[str, Any], row: dict[str, Any]) -> bool:
    return all(ended.get(key) == row.get(key) for key in ("error", "message", "python"))


def _short(place: dict[str, Any] | None) -> str | None:
    return f"{str(place['file']).rsplit('/', 1)[-1]}:{place['line']}" if place else None
