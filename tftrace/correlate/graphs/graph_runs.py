"""Which line made which graph, which session ran it, and what raised: lists for the manifest, from one process.

opened.jsonl               graphs.jsonl             failures.jsonl
session graph stack        graph stack              session tensors
1       2     DNN(..)      1     import tflearn     1       [["Assign_1:0", 1]]
                           2     tf.Graph()
                                  |
                                  v
"Tensor.eval" of a tensor of graph 1 (made by `import tflearn`), by session 1, which belongs to graph 2 (`tf.Graph()`)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.graphs.graphs import Graphs
from tftrace.correlate.pystacks import Origin, Origins
from tftrace.ingest.agent_raw import RawProcess


def graph_rows(raw: RawProcess, graphs: Graphs, origins: Origins) -> list[dict[str, Any]]:
    """The graphs in which nodes were made; functions too, with the name that the runtime knows them by."""
    made = {int(r["graph"]): int(r["stack"]) for r in raw.graphs if r.get("stack")}
    return [
        {
            "graph_id": graphs.id(graph.number),
            "graph": graphs.label(graph.number),
            "kind": graph.kind,
            "pid": raw.process.get("pid"),
            "nodes": len(graph.nodes),
            **lines_of(origins.of(made[graph.number]) if graph.number in made else None),
        }
        for graph in graphs.by_number.values()
    ]


def session_rows(raw: RawProcess, graphs: Graphs, origins: Origins) -> list[dict[str, Any]]:
    """TensorFlow's sessions, each with the graph that it belongs to."""
    return [
        {
            "session_id": graphs.session_id(int(row["session"])),
            "class": row.get("class"),
            "pid": raw.process.get("pid"),
            "graph_id": graphs.id(int(row["graph"])),
            **lines_of(origins.of(int(row["stack"])) if row.get("stack") else None),
        }
        for row in raw.opened
    ]


def failure_rows(raw: RawProcess, graphs: Graphs, origins: Origins, clock: Clock) -> list[dict[str, Any]]:
    """Runs of a graph that raised, in the order in which they did. A tensor's `python` is the line that made it."""
    graph_of = {int(row["session"]): int(row["graph"]) for row in raw.opened}
    rows = []
    for row in raw.failures:
        session = row.get("session")
        rows.append(
            {
                "what": row["what"],
                "error": row["error"],
                "message": row.get("message"),
                "pid": raw.process.get("pid"),
                "start_ns": int(clock.from_raw(np.array([row["t"]], np.int64))[0]),
                "session_id": None if session is None else graphs.session_id(int(session)),
                "session_graph_id": graphs.id(graph_of[int(session)]) if session in graph_of else None,
                "tensors": [
                    _tensor(str(name), int(graph), graphs, origins) for name, graph in row["tensors"]
                ],
                **lines_of(origins.of(int(row["stack"]))),
            }
        )
    return rows


def exception(raw: RawProcess, origins: Origins) -> dict[str, Any] | None:
    """What ended the process, with the user's line that it came through; None where nothing did."""
    told = raw.status.get("exception")
    if not isinstance(told, dict):
        return None
    lines = lines_of(origins.of(int(told["stack"])) if told.get("stack") else None)
    return {"error": told.get("error"), "message": told.get("message"), **lines}


def _tensor(name: str, graph: int, graphs: Graphs, origins: Origins) -> dict[str, Any]:
    owner = graphs.by_number.get(graph)
    node = owner.nodes.get(name.rpartition(":")[0] or name) if owner is not None else None
    origin = None if node is None else origins.of(int(graphs.nodes[node]["stack"]))
    return {"name": name, "graph_id": graphs.id(graph), **lines_of(origin)}


def lines_of(origin: Origin | None) -> dict[str, Any]:
    places = [] if origin is None else [origin.python, *origin.callers]
    lines = [{"file": p.file, "line": p.line, "code": p.code} for p in places if p is not None]
    return {
        "python": lines[0] if lines else None,
        "api": None if origin is None else origin.api,
        "callers": lines[1:],
    }
