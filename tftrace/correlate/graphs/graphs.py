"""From the name of a kernel in a profile to the node that somebody's line made.

The runtime inlines functions: a kernel's name is the node's name with those of the call nodes around it in front
(`StatefulPartitionedCall/inner/Conv2D`). So a name is resolved by descending from the graph that ran: the node itself,
or the longest leading part that is a call node, and then the rest within the function it calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tftrace.correlate.graphs.lowered import part

_OF_DATASET = ("Dataset_", "tf_data_")  # how tf.data calls the graphs of its functions
_REWRITTEN = re.compile(r"(?P<scope>(?:.*/)?)ArithmeticOptimizer/(?P<rest>\w.*)$")
COMPOSED = "/unary_ops_composition"
"""Behind the name of the last of several unary ops that Grappler made one of."""
_ADDED = ("ArithmeticOptimizer/", "LayoutOptimizer/", "ConstantFolding/", "LoopOptimizer/", "remapper/")
CLONED = re.compile(r"(?:_\d+|/_\d+|__cf__\d+|_copy\d*)$")


@dataclass
class Graph:
    number: int
    name: str
    kind: str
    functions: list[str] = field(default_factory=list)
    nodes: dict[str, int] = field(default_factory=dict)  # node name -> row in `nodes`
    inputs: list[str | None] = field(default_factory=list)  # names of tensors, of a function
    outputs: list[str | None] = field(default_factory=list)
    made: int = 0  # of a function: when it was given to the runtime, as recorded


class Graphs:
    """The graphs of one process. Their numbers are those of the process; `id` and `session_id` are those of the
    trace, after `graphs_before` and `sessions_before` of other processes."""

    def __init__(
        self,
        graphs: list[dict[str, Any]],
        nodes: list[dict[str, Any]],
        graphs_before: int = 0,
        sessions_before: int = 0,
    ) -> None:
        self._graphs_before, self._sessions_before = graphs_before, sessions_before
        self.by_number: dict[int, Graph] = {}
        self.by_function: dict[str, Graph] = {}
        self.nodes = nodes
        self.compiled: set[int] = set()  # graphs that XLA ran
        self.native = False  # whether the process that ran them has no Python
        self.when: Callable[[int], int] = lambda made: made  # a record's time on the trace's time line
        self.place: Callable[[int], object] = lambda stack: stack  # the line of a Python stack
        self.core: Callable[[int, str], int] = lambda row, kernel: (
            row
        )  # the node that a fused kernel counts as
        self.principals: dict[tuple[int, str], int] = {}  # of fused kernels: (graph, name) -> row in `nodes`
        for row in graphs:
            graph = self.by_number.setdefault(
                int(row["graph"]), Graph(int(row["graph"]), str(row["name"]), str(row["kind"]))
            )
            if row.get("function"):
                graph.functions.append(str(row["function"]))
                graph.kind = "function"
                self.by_function[str(row["function"])] = graph
                graph.inputs, graph.outputs = row.get("inputs", []), row.get("outputs", [])
                graph.made = int(row.get("t", 0))
        self.added: dict[
            tuple[int, str], str
        ] = {}  # (graph, name) of what TensorFlow's optimizer put there -> its op
        self._everywhere: dict[str, list[int]] = {}
        for index, row in enumerate(nodes):
            number = int(row["graph"])
            owner = self.by_number.get(number)
            if owner is None:
                owner = self.by_number[number] = Graph(number, "", "graph")
            owner.nodes[str(row["node"])] = index
            self._everywhere.setdefault(str(row["node"]), []).append(index)
        self._cache: dict[tuple[int | None, str, int], tuple[int | None, str]] = {}

    def mode(self, number: int) -> str:
        if self.native:
            return "native"
        if number in self.compiled:
            return "xla"
        graph = self.by_number.get(number)
        return "session" if graph is not None and graph.kind == "graph" else "function"

    def label(self, number: int) -> str:
        graph = self.by_number.get(number)
        if graph is None:
            return f"graph {self.id(number)}"
        return graph.functions[0] if graph.functions else (graph.name or f"graph {self.id(number)}")

    def id(self, number: int) -> int:
        return self._graphs_before + number

    def session_id(self, number: int) -> int:
        return self._sessions_before + number

    def resolve(self, graph: int | None, name: str, made_before: int = -1) -> tuple[int | None, str]:
        """(row in `nodes`, rule) of the node `name` of what ran `graph`; (None, why not) where there is none.

        Without a known graph the name has to be unique among all graphs of the process. Of functions of tf.data only
        the first `made_before` had been made, where that is not negative.
        """
        key = (graph, name, made_before)
        if key not in self._cache:
            self._cache[key] = self._resolve(graph, name, made_before)
        return self._cache[key]

    def _resolve(self, graph: int | None, name: str, made_before: int) -> tuple[int | None, str]:
        if graph is not None and (graph, name) in self.principals:
            return self.principals[graph, name], "node name"
        if graph is not None and graph in self.by_number:
            found = self.descend(self.by_number[graph], name, 0)
            if found is not None:
                return found, "node name"
            found = self._rewritten(self.by_number[graph], name)
            if found is not None:
                return found, "node name, in that of what Grappler put in its place"
        found, rule = self._of_dataset(graph, name, made_before)
        if found is not None:
            return found, rule
        found = self._in_called(graph, name)
        if found is not None:
            return found, "node name, unique among what the graph calls"
        stripped = name
        for prefix in _ADDED:
            if stripped.startswith(prefix):
                return None, "made by Grappler, TensorFlow's graph optimiser"
        if stripped.startswith("_") or re.search(r"/_(?:send|recv|arg|retval)", stripped):
            return None, "made by TensorFlow's runtime: a transfer, an argument or a result"
        parts = stripped.split("/")
        for cut in range(len(parts)):
            candidates = self._everywhere.get("/".join(parts[cut:]), [])
            if len(candidates) == 1 or (
                candidates and len({self.nodes[c]["stack"] for c in candidates}) == 1
            ):
                return candidates[
                    -1
                ], "node name, unique among graphs" if cut == 0 else "node name's end, unique"
        return None, "no node of this name was made while tftrace watched"

    def _rewritten(self, graph: Graph, name: str) -> int | None:
        """`scope/ArithmeticOptimizer/AddOpsRewrite_Leaf_0_add`: Grappler's own node in the place of `scope/add`."""
        if name.endswith(COMPOSED):
            return self.descend(graph, name.removesuffix(COMPOSED))
        found = _REWRITTEN.match(name)
        rest = found["rest"] if found else ""
        cuts = [at + 1 for at, letter in enumerate(rest) if letter == "_"]
        rows = (self.descend(graph, f"{found['scope']}{rest[at:]}") for at in cuts if found is not None)
        return next((row for row in rows if row is not None), None)

    def runs_dataset(self, name: str) -> bool:
        """Whether a node of this name was made in a function that tf.data calls."""
        return any(CLONED.sub("", name) in g.nodes or name in g.nodes for g in self._dataset_functions)

    @cached_property
    def _dataset_functions(self) -> list[Graph]:
        called = {f for row in self.nodes if "Dataset" in str(row["op"]) for f in row.get("calls", [])}
        found = [
            graph
            for graph in self.by_number.values()
            if graph.name.startswith(_OF_DATASET) or any(f in called for f in graph.functions)
        ]
        return sorted(found, key=lambda graph: graph.made)

    @property
    def dataset_times(self) -> list[int]:
        """When the functions that tf.data calls were made, rising."""
        return [self.when(graph.made) for graph in self._dataset_functions]

    @cached_property
    def _datasets_of(self) -> dict[int, set[int]]:
        """By the number of a graph the functions that its datasets call; those of eager datasets stand in none."""
        found: dict[int, set[int]] = {}
        for number, graph in self.by_number.items():
            rows = (self.nodes[at] for at in graph.nodes.values())
            names = [f for row in rows if "Dataset" in str(row["op"]) for f in row.get("calls", [])]
            inner = {g.number for f in names if (g := self.by_function.get(str(f))) is not None}
            if inner:
                found[number] = inner
        return found

    def _of_dataset(self, graph: int | None, name: str, made_before: int) -> tuple[int | None, str]:
        """A node of a function that tf.data calls: its kernels have the bare names of the function's nodes, whatever
        graph or eager loop takes the elements."""
        functions = self._dataset_functions[:made_before] if made_before >= 0 else self._dataset_functions
        mine = self._datasets_of.get(graph, set()) if graph is not None else set()
        others = {number for inner in self._datasets_of.values() for number in inner}
        for chosen in (
            [g for g in functions if g.number in mine],
            functions,
            [g for g in functions if g.number not in others],
        ):
            rows = [
                row
                for g in chosen
                for candidate in dict.fromkeys((name, CLONED.sub("", name)))
                if (row := g.nodes.get(candidate)) is not None
            ]
            if len(rows) == 1:
                return rows[0], "node name, in a function of tf.data"
            if rows and len({self.place(int(self.nodes[row]["stack"])) for row in rows}) == 1:
                return rows[-1], "node name, of one line in several functions of tf.data"
        return None, ""

    def descend(self, graph: Graph, name: str, depth: int = 0) -> int | None:
        """Row of the node that is called `name` where `graph` runs with its functions inlined."""
        for candidate in (name, CLONED.sub("", name)):
            if candidate in graph.nodes:
                return graph.nodes[candidate]
        if depth > 16:
            return None
        parts = name.split("/")
        for cut in range(len(parts) - 1, 0, -1):
            row = graph.nodes.get("/".join(parts[:cut]))
            if row is None:
                continue
            rest = "/".join(parts[cut:])
            called = self.nodes[row].get("calls", [])
            lowered = part(rest)
            if lowered is not None and lowered[0] < len(called):
                called, rest = [called[lowered[0]]], lowered[1]
            for function in called:
                inner = self.by_function.get(str(function))
                # a function's call may stand in the name once more
                for tail in (rest, rest.split("/", 1)[1] if "/" in rest else ""):
                    found = self.descend(inner, tail, depth + 1) if inner is not None and tail else None
                    if found is not None:
                        return found
        return None

    def _in_called(self, graph: int | None, name: str) -> int | None:
        """Row of the only node called `name` in the functions that a graph calls. Those that are not inlined run under
        their own names, and so do the instructions of a function that XLA compiled."""
        found: dict[int, int] = {}  # by Python stack: one line may have made several
        seen, level = {graph}, [self.by_number[graph]] if graph in self.by_number else []
        while level:
            names = {
                f for one in level for row in one.nodes.values() for f in self.nodes[row].get("calls", [])
            }
            level = [g for f in sorted(names) if (g := self.by_function.get(str(f))) and g.number not in seen]
            seen.update(g.number for g in level)
            for row in (g.nodes[name] for g in level if name in g.nodes):
                found[int(self.nodes[row]["stack"])] = row
        return next(iter(found.values())) if len(found) == 1 else None
