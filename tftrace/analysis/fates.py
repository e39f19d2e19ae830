"""What became of the ops that lines made and that did not run by themselves: fused, folded, pruned, merged, removed.

From the columns `fate` ff. of the sites: TensorFlow's own graphs, as it ran them, beside those that the lines made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tftrace.analysis.columns import Ints, numbers, positions, table, texts
from tftrace.analysis.pattern import by_site
from tftrace.model.trace import Trace

FATES: Final = {
    "fused": "fused into another op's kernel",
    "folded": "computed once, and a constant since",
    "merged": "the same as another op, which ran for both",
    "removed": "others do without it",
    "pruned": "nothing that was asked for uses its result",
    "rewritten": "ran as another op",
}
ADDED: Final = "added"
"""Not the fate of a line's op: TensorFlow's optimizer put the node into the graph."""
PLUMBING: Final = ("Const", "Identity", "IdentityN", "NoOp", "Placeholder", "ReadVariableOp", "VarHandleOp")
"""Ops that carry values: what becomes of them says little of a model."""


@dataclass(frozen=True)
class Fate:
    """One op that did not run by itself. `into_op` is the op whose calls stand for it, `into` and `kernel` the node of
    the graph that ran (or XLA's instruction) and its op."""

    op: str
    node: str | None
    graph: str | None
    mode: str
    file: str | None
    line: int | None
    code: str | None
    fate: str
    into: str | None
    kernel: str | None
    into_op: str | None
    site_id: int
    into_site: int | None

    @property
    def meaning(self) -> str | None:
        if self.fate == "removed" and self.kernel == "XLA":
            return "no instruction of XLA's program was made of it alone"
        return FATES.get(self.fate)

    def document(self) -> dict[str, Any]:
        python = None
        if self.file is not None and self.line is not None:
            python = {"file": self.file, "line": self.line, "code": self.code}
        return {
            "op": self.op, "node": self.node, "graph": self.graph, "mode": self.mode, "python": python,
            "fate": self.fate, "meaning": self.meaning, "into": self.into, "kernel": self.kernel,
            "into_op": self.into_op,
        }  # fmt: skip


def fates(trace: Trace, rows: Ints | None = None) -> list[Fate]:
    """The fates of all sites, or of those in the given rows of the sites table, in the order they were made in."""
    sites = table(trace, "sites")
    columns = ("op", "node", "graph", "mode", "python_file", "python_code", "fate", "into", "into_kernel")
    text = {c: texts(sites, c) for c in columns}
    line, ids, into = (numbers(sites, c) for c in ("python_line", "site_id", "into_site"))
    target = positions(sites, "site_id", into)
    chosen = np.flatnonzero(text["fate"].where(np.array([v != ADDED for v in text["fate"].values], bool)))
    if rows is not None:
        asked = np.zeros(len(line.values), np.bool_)
        asked[rows] = True
        chosen = chosen[asked[chosen]]
    return [
        Fate(
            text["op"].of(row) or "(op not known)", text["node"].of(row), text["graph"].of(row),
            text["mode"].of(row) or "function", text["python_file"].of(row),
            int(line.values[row]) if line.valid[row] else None, text["python_code"].of(row),
            text["fate"].of(row) or "", text["into"].of(row), text["into_kernel"].of(row),
            text["op"].of(int(target[row])) if target[row] >= 0 else None, int(ids.values[row]),
            int(into.values[row]) if into.valid[row] else None,
        )
        for row in chosen.tolist()
    ]  # fmt: skip


def matching(trace: Trace, pattern: str) -> list[Fate]:
    """The fates of the sites that a pattern of `why` means; none for one that looks at kernels or libraries."""
    mask = by_site(trace, pattern)
    return [] if mask is None else fates(trace, np.flatnonzero(mask))


def fused_with(trace: Trace) -> dict[int, list[Fate]]:
    """By the id of the site that stands for a fused kernel: what is computed in it besides."""
    found: dict[int, list[Fate]] = {}
    for one in fates(trace):
        if one.fate == "fused" and one.into_site is not None:
            found.setdefault(one.into_site, []).append(one)
    return found


def told(trace: Trace) -> dict[str, Any]:
    """What the optimizer did to the graphs of a trace: `rows` by op and line, and how many more only carried values."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    carried: dict[str, int] = {}
    for one in fates(trace):
        if one.op in PLUMBING:
            carried[one.fate] = carried.get(one.fate, 0) + 1
            continue
        key = (one.fate, one.op, one.file, one.line, one.kernel, one.into_op)
        row = rows.setdefault(key, {**one.document(), "count": 0})
        row["count"] += 1
    order = list(FATES)
    ranked = sorted(rows.values(), key=lambda r: order.index(r["fate"]) if r["fate"] in order else len(order))
    return {"rows": ranked, "carried": carried}


def by_line(trace: Trace) -> Iterator[tuple[tuple[str, str, str], Fate]]:
    """Fates of ops that compute by what tells the same line in two runs: op, file name, source text."""
    for one in fates(trace):
        if one.file is not None and one.op not in PLUMBING:
            yield _same_line(one.op, one.file, one.line, one.code), one


def made(trace: Trace) -> Iterator[tuple[str, str, str]]:
    """The same key of every op that a line made."""
    sites = table(trace, "sites")
    op, file, code, line = (
        *(texts(sites, c) for c in ("op", "python_file", "python_code")),
        numbers(sites, "python_line"),
    )
    for row in np.flatnonzero(file.codes >= 0).tolist():
        at = int(line.values[row]) if line.valid[row] else None
        yield _same_line(op.of(row) or "", file.of(row) or "", at, code.of(row))


def _same_line(op: str, file: str, line: int | None, code: str | None) -> tuple[str, str, str]:
    where = code.strip() if code and code.strip() else f"line {line}"
    return op, file.replace("\\", "/").rsplit("/", 1)[-1], where
