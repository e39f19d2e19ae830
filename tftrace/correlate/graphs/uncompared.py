"""What became of the nodes of functions that ran, of which the graph that ran was not seen: those that are not inlined
(`_noinline`), and loops and branches that are not lowered.

What is known of them are the kernels that ran, and the graph as the lines made it:

    made                      ran                            so
    Conv2D  = Conv2D          -                              it runs in the kernel of Relu, and counts as that
    BiasAdd = BiasAdd         -                              fused into Conv2D: it lies between the two
    Relu    = Relu            Relu:_MklNativeFusedConv2D     fused into Conv2D
    Sqrt    = Sqrt            -                              folded: it comes of constants alone
    Max     = Max             -                              pruned: neither results nor what ran use it
"""

from __future__ import annotations

from tftrace.correlate.graphs.fates import FOLDED, FUSED, PRUNED, SILENT, Fate
from tftrace.correlate.graphs.graphs import Graph, Graphs
from tftrace.correlate.graphs.optimized import FUSED_OP, Optimized, node_of

_FARTHEST = 6  # nodes from the last of a fused kernel to the one it is fused around


class Uncompared:
    """`fates`: what is found out of rows of `graphs.nodes`, as in `Optimized`."""

    def __init__(self, graphs: Graphs, seen: Optimized) -> None:
        self.graphs, self.seen = graphs, seen
        self.fates: dict[int, Fate] = {}

    def core(self, row: int, kernel: str) -> int:
        """The node that stands for a `kernel` with the name of the node `row`: the one that it is fused around."""
        node = self.graphs.nodes[row]
        found = FUSED_OP.match(kernel)
        graph = self.graphs.by_number[int(node["graph"])]
        if row in self.seen.compared or found is None or str(node["op"]).startswith(("_", "Fused")):
            return row
        path = self._back_to(graph, row, (found["base"], f"Fused{found['base']}", f"Batch{found['base']}"))
        if len(path) < 2:
            return row
        for one in path[:-1]:
            self.fates[one] = Fate(FUSED, str(node["node"]), kernel, path[-1])
        return path[-1]

    def _back_to(self, graph: Graph, row: int, ops: tuple[str, ...]) -> list[int]:
        """The shortest way from a node back to one of `ops`, both with it; empty where there is none."""
        ways = [[row]]
        for _ in range(_FARTHEST):
            for way in ways:
                if str(self.graphs.nodes[way[-1]]["op"]).startswith(ops):
                    return way
            ways = [[*way, s] for way in ways for s in self._sources(graph, way[-1])]
        return []

    def _sources(self, graph: Graph, row: int) -> list[int]:
        names = (node_of(str(t)) for t in self.graphs.nodes[row].get("from", []))
        return [graph.nodes[n] for n in names if n in graph.nodes]

    def of_others(self, ran: set[int], running: set[int]) -> dict[int, Fate]:
        """All fates, with those of the nodes that were folded or pruned; `ran` are the rows of the nodes that ran by
        themselves, `running` the graphs that did."""
        for number in running:
            graph = self.graphs.by_number[number]
            compared = not self.seen.compared.isdisjoint(graph.nodes.values())
            if graph.kind == "function" and graph.outputs and not compared:
                self._of_function(graph, ran)
        return self.fates

    def _of_function(self, graph: Graph, ran: set[int]) -> None:
        results = {
            graph.nodes[n] for o in graph.outputs if o is not None and (n := node_of(o)) in graph.nodes
        }
        used, level = set(results), [*results, *(row for row in graph.nodes.values() if row in ran)]
        while level:
            level = list({s for row in level for s in self._sources(graph, row)} - used)
            used.update(level)
        for row in graph.nodes.values():  # as made: what a node uses stands before it
            op = str(self.graphs.nodes[row]["op"])
            if row in ran or row in self.fates or op in SILENT or self.graphs.nodes[row].get("calls"):
                continue
            if row not in used:
                self.fates[row] = Fate(PRUNED)
            elif op != "Const" and self._constant(graph, row):
                self.fates[row] = Fate(FOLDED, str(self.graphs.nodes[row]["node"]), "Const")

    def _constant(self, graph: Graph, row: int) -> bool:
        sources = self._sources(graph, row)
        return bool(sources) and all(
            self.graphs.nodes[s]["op"] == "Const"
            or ((fate := self.fates.get(s)) is not None and fate.fate == FOLDED)
            for s in sources
        )
