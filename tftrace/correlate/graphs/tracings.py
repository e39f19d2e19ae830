"""Why a tf.function was traced again: what differs from the arguments of the tracings before.

tracing   arguments                                cause
1         x: float32 (8, 3), training: True        the first
2         x: float32 (4, 3), training: True   ->   x: shape (8, 3), then (4, 3)
3         x: float32 (4, 3), training: False  ->   training: value True, then False
"""

from __future__ import annotations

from typing import Any

from tftrace.correlate.graphs.graph_runs import lines_of
from tftrace.correlate.graphs.graphs import Graphs
from tftrace.correlate.pystacks import Origins
from tftrace.ingest.agent_raw import RawProcess

FIRST = "first"
_SHOWN = 8


def tracing_rows(raw: RawProcess, graphs: Graphs, origins: Origins) -> list[dict[str, Any]]:
    """Tracings in the order in which they were made, for the manifest: `function` with the place of its `def`, the line
    that called it, the Python time of making its graph, and `cause` with the arguments that `changed`."""
    before: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    rows = []
    for row in raw.tracings:
        known = before.setdefault((row["name"], row.get("file"), row.get("line")), [])
        cause, changed = _cause(row, known)
        known.append(row)
        number = int(row["graph"])
        rows.append(
            {
                "function": row["name"], "file": row.get("file"), "line": row.get("line"), "number": len(known),
                "graph": graphs.label(number), "graph_id": graphs.id(number), "pid": raw.process.get("pid"),
                "trace_us": int(row["ns"]) / 1000, "cause": cause, "changed": changed,
                **lines_of(origins.of(int(row["stack"]))),
            }
        )  # fmt: skip
    return rows


def _cause(row: dict[str, Any], before: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """(cause, the parts of the arguments that changed since the most alike of the tracings before)."""
    if not before:
        return FIRST, []
    same = [b for b in before if b.get("cache") == row.get("cache")]
    if same:
        changes = min((_differences(b["arguments"], row["arguments"]) for b in reversed(same)), key=len)
        if changes:
            return "arguments", changes[:_SHOWN]
        if all(b.get("scope") != row.get("scope") for b in same):
            return "variables", []
        return "context", []  # device scope, strategy, another graph around: all that is not an argument
    mine = [b for b in before if b.get("object") == row.get("object")]
    if any(b.get("scope") != row.get("scope") for b in mine):
        return "variables", []
    return "new function", []


def _differences(was: list[list[Any]], now: list[list[Any]]) -> list[dict[str, Any]]:
    old, new = {str(leaf[0]): leaf for leaf in was}, {str(leaf[0]): leaf for leaf in now}
    found = []
    for path in dict.fromkeys([*old, *new]):
        a, b = old.get(path), new.get(path)
        if a is None or b is None:
            found.append({"argument": path, "what": "structure", "was": _text(a), "now": _text(b)})
        elif a[1] != b[1]:
            found.append({"argument": path, "what": "kind", "was": _text(a), "now": _text(b)})
        elif a != b:
            found.append({"argument": path, **_change(a, b)})
    return found


def _change(a: list[Any], b: list[Any]) -> dict[str, Any]:
    kind = str(a[1])
    if kind == "tensor":
        what = "dtype" if a[2] != b[2] else "shape"
        at = 2 if what == "dtype" else 3
        return {"what": what, "was": str(a[at]), "now": str(b[at])}
    if kind == "object":
        return {"what": "object", "was": f"a {a[2]}", "now": f"another {b[2]}"}
    if kind == "other":
        return {"what": "type", "was": str(a[2]), "now": str(b[2])}
    return {"what": kind, "was": _text(a), "now": _text(b)}


def _text(leaf: list[Any] | None) -> str | None:
    if leaf is None:
        return None
    kind, name, more = (str(part) for part in leaf[1:4])
    if kind == "value":
        return f"{name} {more}" if name not in ("int", "float", "bool", "str", "NoneType") else more
    return (
        f"{name} of {more}" if kind == "structure" else f"{name} {more}" if kind == "tensor" else f"a {name}"
    )
