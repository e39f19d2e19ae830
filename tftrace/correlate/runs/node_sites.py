"""The sites of the nodes of graphs, and what else a node says of each of its executions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from tftrace.correlate.graphs.fates import ADDED
from tftrace.correlate.graphs.graphs import Graphs
from tftrace.correlate.pystacks import Origins
from tftrace.correlate.runs.dispatch_kinds import origin_fields, python_stack
from tftrace.correlate.runs.dispatches import short_device
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact, taken
from tftrace.ingest.agent_raw import RawProcess


class NodeSites:
    """Of each row of `Graphs.nodes` its site, and codes of words for its columns of `calls`. `unresolved` counts the
    kernels of no node that is known; `ran` are the graphs of which a node ran, and not only while they were made."""

    def __init__(
        self, raw: RawProcess, build: TraceBuilder, graphs: Graphs, origins: Origins, common: dict[str, int]
    ) -> None:
        self._build, self._graphs, self._nodes = build, graphs, raw.nodes
        self.of_row = _sites(build, graphs, origins, common["pid"])
        words = build.words
        self.shapes = words.codes(
            compact([v[1] if _pair(v) else None for v in r["inputs"]]) for r in raw.nodes
        )
        self.dtypes = words.codes(
            compact([v[0] if _pair(v) else None for v in r["inputs"]]) for r in raw.nodes
        )
        self.attrs = words.codes(compact(r["attrs"]) if r.get("attrs") else None for r in raw.nodes)
        made_for = (short_device(row.get("device")) for row in raw.nodes)
        self._device = words.codes(name if name and ":CPU:" in name else None for name in made_for)
        self._everywhere = common["device"]
        self._others: dict[tuple[int, str, str], int] = {}
        self.unresolved: Counter[str] = Counter()
        self.ran: set[int] = set()

    def devices(self, node: Int) -> Int:
        """The device of the process, or with several that of the node where it was made for one that is a CPU."""
        device = taken(self._device, node)
        return np.where((device != NONE) & (self._everywhere == NONE), device, self._everywhere)

    def count_ran(self, nodes: Int) -> None:
        """These nodes ran."""
        self.ran |= {int(self._nodes[n]["graph"]) for n in np.unique(nodes).tolist()}

    def rows_that_ran(self) -> set[int]:
        """The rows of the nodes with executions of their own."""
        return {row for row, site in enumerate(self.of_row.tolist()) if self._build.sites[site]["executions"]}

    def other(self, graph: int, name: str, kind: str) -> int:
        """The site of a kernel of no node that is known, by the name that it bears; `graph`, or NONE, ran it."""
        key = (graph, name, kind)
        if key not in self._others:
            added = self._graphs.added.get((graph, name))
            self._others[key] = self._build.site(
                op=added or kind.lstrip("_"), mode=self._graphs.mode(graph), node=name, fate=ADDED if added else None,
                graph=self._graphs.label(graph) if graph != NONE else None,
                graph_id=self._graphs.id(graph) if graph != NONE else None, callers="[]", stack_id=None, executions=0,
            )  # fmt: skip
        return self._others[key]

    def settle_modes(self) -> None:
        """Once it is known which graphs were compiled."""
        of_nodes = (
            (int(row["graph"]), site)
            for row, site in zip(self._graphs.nodes, self.of_row.tolist(), strict=True)
        )
        for graph, site in (*of_nodes, *((graph, site) for (graph, *_), site in self._others.items())):
            self._build.sites[site]["mode"] = self._graphs.mode(graph)


def _sites(build: TraceBuilder, graphs: Graphs, origins: Origins, pid: int) -> Int:
    numbers = np.empty(len(graphs.nodes), np.int64)
    for i, row in enumerate(graphs.nodes):
        key = int(row["stack"])
        origin = origins.of(key)
        number = int(row["graph"])
        numbers[i] = build.site(
            op=str(row["op"]), mode=graphs.mode(number), graph=graphs.label(number), graph_id=graphs.id(number),
            node=str(row["node"]),
            trace_us=None if row.get("imported") else int(row["ns"]) / 1000,
            stack_id=python_stack(build, pid, key, origin), executions=0,
            **origin_fields(origin),
        )  # fmt: skip
    return numbers


def _pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
