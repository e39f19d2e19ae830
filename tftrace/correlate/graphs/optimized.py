"""What became of each node: the graph as lines made it beside the graph that TensorFlow ran.

    made                      ran                                       fate
    mul      = Mul            mul = Mul                                 (none: it ran as it was made)
    Conv2D   = Conv2D         ..                                        (none: it runs in the kernel of Relu)
    BiasAdd  = BiasAdd        ..                                        fused into Conv2D
    Relu     = Relu           Relu = _MklNativeFusedConv2D              fused into Conv2D
    Sqrt     = Sqrt           ..                                        folded into truediv
    truediv  = RealDiv        truediv = Const                           folded
    Max      = Max            ..                                        pruned: nothing uses its result
    mul_1    = Mul (as mul)   ..                                        merged with mul
    Identity = Identity       ..                                        removed: Sum does without it

A fused kernel bears the name of the last of its nodes; the node that it is fused around stands for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from tftrace.correlate.graphs.fates import FOLDED, FUSED, MERGED, PRUNED, REMOVED, REWRITTEN, SILENT, Fate
from tftrace.correlate.graphs.graphs import CLONED, COMPOSED, Graph, Graphs
from tftrace.correlate.graphs.lowered import LOWERED, parts

FUSED_OP: Final = re.compile(r"^_?(?:Mkl|ITEX)?(?:Native)?_?Fused(?P<base>\w+?)(?:Ex)?$")
_WITH_BIAS: Final = re.compile(r"^_(?:Mkl)?(?:Native)?(?P<base>Conv[23]DBackpropFilter)WithBias$")
_MKL: Final = re.compile(r"^_(?:Mkl)(?:Native)?")
_FOLDING: Final = re.compile(
    r"(?:^|/)ConstantFolding/(?P<node>.+?)(?:-(?:matshapes|folded|const|reduction_indices)\b.*|_const_axis.*)?$"
)
_REPLACED: Final = re.compile(
    r"^(?P<node>.+)/_\d+__cf__\d+$"
)  # a constant that the executor's own folding left
_CALLS: Final = ("PartitionedCall", "StatefulPartitionedCall")
_BETWEEN: Final = "Func/"  # what an inlined function leaves at its arguments and results
_MOST_NODES: Final = 200_000  # of one graph with its functions inlined
_SAME_GRAPH: Final = 0.5  # so much of what ran has to bear names of the graph


@dataclass
class Optimized:
    """What became of the nodes (rows of `Graphs.nodes`), and for which of them a fused kernel stands."""

    fates: dict[int, Fate] = field(default_factory=dict)
    principals: dict[tuple[int, str], int] = field(default_factory=dict)  # (graph, name of the kernel's node)
    graphs: set[int] = field(default_factory=set)  # those that were seen as they ran
    compared: set[int] = field(default_factory=set)  # rows of the nodes in them, or in what they call
    added: dict[tuple[int, str], str] = field(
        default_factory=dict
    )  # (graph, name) of what nobody made -> its op


@dataclass
class _Node:
    row: int
    op: str
    inputs: list[str]  # names of nodes


def optimized(graphs: Graphs, ran: list[dict[str, Any]], first_run: dict[int, int]) -> Optimized:
    """`ran` are the graphs that TensorFlow ran, in the order in which it made them; `first_run` says when a graph was
    first run (a number, as `ran` has in `t`)."""
    out = Optimized()
    alive: set[int] = set()
    found: dict[int, Fate] = {}
    missed: set[int] = set()  # graphs of which some run was not seen: who knows what that used
    for entry in ran:
        nodes = {str(n[0]): n for n in entry.get("nodes", []) if isinstance(n, list) and len(n) == 4}
        number = entry.get("graph")
        if number is None:
            number = _which(graphs, nodes, out.graphs, first_run, int(entry.get("t", 0)))
        graph = graphs.by_number.get(int(number)) if number is not None else None
        if graph is not None and entry.get("missed"):
            missed.add(graph.number)
        if graph is None or not nodes:
            continue
        out.graphs.add(graph.number)
        one = _Comparison(graphs, graph, nodes)
        one.compare()
        alive |= one.alive
        out.compared |= one.alive | {node.row for node in one.made.values()}
        out.added.update({(graph.number, name): op for name, op in one.added.items()})
        out.principals.update({(graph.number, name): row for name, row in one.principals.items()})
        for row, fate in one.fates.items():
            # what one fetch does not ask for another may
            if row not in found or found[row].fate == PRUNED:
                found[row] = fate
    out.fates = {
        row: fate
        for row, fate in found.items()
        if row not in alive and not (fate.fate == PRUNED and int(graphs.nodes[row]["graph"]) in missed)
    }
    return out


def _which(
    graphs: Graphs, nodes: dict[str, list[Any]], taken: set[int], first_run: dict[int, int], t: int
) -> int | None:
    """The function whose graph this is: the one that holds most of its names; of several the first to be run."""
    names = [CLONED.sub("", n) for n, v in nodes.items() if v[1] not in SILENT and not n.startswith(_BETWEEN)]
    best: tuple[float, bool, int] | None = None
    chosen = None
    for graph in graphs.by_number.values():
        if graph.kind != "function" or first_run.get(graph.number, t + 1) > t:
            continue
        held = sum(1 for n in names if _holds(graph, n))
        share = held / max(len(names), 1)
        rank = (share, graph.number not in taken, -first_run[graph.number])
        if share >= _SAME_GRAPH and (best is None or rank > best):
            best, chosen = rank, graph.number
    return chosen


def _holds(graph: Graph, name: str) -> bool:
    """Whether a node is of the graph, or of what one of its nodes calls."""
    while name and name not in graph.nodes:
        name = name.rpartition("/")[0]
    return bool(name)


class _Comparison:
    """One graph as it was made, its functions inlined, beside the one that ran."""

    def __init__(self, graphs: Graphs, graph: Graph, ran: dict[str, list[Any]]) -> None:
        self.graphs, self.graph, self.ran = graphs, graph, dict(ran)
        self.lowered = parts(ran)
        self.whole: set[str] = set()  # loops and branches, whose nodes ran in their place
        self.added: dict[str, str] = {}
        self.alias: dict[str, str] = {}  # nodes that ran under another name
        self.made: dict[str, _Node] = {}
        self.outputs: set[str] = set()
        self.fates: dict[int, Fate] = {}
        self.principals: dict[str, int] = {}
        self.alive: set[int] = set()

    def compare(self) -> None:
        outputs = self._inline(self.graph, "", None, 0)
        self.outputs = {o for o in outputs if o is not None}
        users: dict[str, list[str]] = {name: [] for name in self.made}
        for name, node in self.made.items():
            for source in node.inputs:
                if source in users:
                    users[source].append(name)
        self.users = users
        for name, node in self.made.items():
            again = f"{name}_0"  # where lowering found the name taken
            if name not in self.ran and again not in self.made and self.ran.get(again, [0, 0])[1] == node.op:
                self.ran[name], self.alias[name] = self.ran[again], again
        self.kept = {name for name in self.made if name in self.ran}
        self.folds = {m["node"] for n in self.ran if (m := _FOLDING.search(n) or _REPLACED.match(n))}
        self.decided: dict[str, Fate | None] = {}
        for name in self.whole:
            self.decided[name] = None
            self.alive.add(self.made[name].row)
        for name in self.kept:
            self._kept(name)
        self._composed()
        for name in self.ran:
            row = None if name in self.made else self.graphs.descend(self.graph, name)
            if row is not None and row not in self.fates:
                self.alive.add(row)  # in a loop or a branch, or under a name with a number behind it
            op = str(self.ran[name][1])
            if row is None and name not in self.made and not op.startswith("_"):
                self.added[name] = op
        twins = {self._twin(name): name for name in self.kept if name not in self.decided}
        for name in reversed(list(self.made)):
            if name not in self.kept and name not in self.decided:
                self.decided[name] = self._vanished(name, twins)
        for name, fate in self.decided.items():
            node = self.made[name]
            if fate is not None and node.op not in SILENT:
                self.fates.setdefault(node.row, fate)

    def _inline(self, graph: Graph, prefix: str, inputs: list[str] | None, depth: int) -> list[str | None]:
        """Adds the nodes of `graph`; returns the names of the nodes that make its outputs."""
        rename: dict[str, str] = {}
        results: dict[str, list[str | None]] = {}
        for at, name in enumerate(graph.inputs):
            if name is not None and inputs is not None and at < len(inputs):
                rename[node_of(name)] = inputs[at]

        def source(tensor: str) -> str:
            node, _, index = tensor.partition(":")
            if node in results:
                made = results[node]
                at = int(index or 0)
                found = made[at] if at < len(made) else None
                return found if found is not None else prefix + node
            return rename.get(node, prefix + node)

        for name, at in graph.nodes.items():
            if name in rename or len(self.made) > _MOST_NODES:
                continue
            row = self.graphs.nodes[at]
            full = prefix + name
            sources = [source(str(t)) for t in row.get("from", [])]
            callee = None
            called = row.get("calls", [])
            if (
                len(called) == 1
                and (row["op"] in _CALLS or row["op"] == called[0])
                and not self._still_called(full)
            ):
                callee = self.graphs.by_function.get(str(called[0]))
            within = self.lowered.get(full, {}) if row["op"] in LOWERED and full not in self.ran else {}
            if within and depth < 16:
                given = sources if "While" in row["op"] else sources[1:]
                inner = [self._inline(f, p, given, depth + 1) for f, p in self._within(called, within)]
                needs = [output for outputs in inner for output in outputs if output is not None]
                self.made[full] = _Node(at, str(row["op"]), [*sources, *needs])
                self.whole.add(full)
            elif callee is not None and depth < 16:
                results[name] = self._inline(callee, full + "/", sources, depth + 1)
                self.alive.add(at)  # its nodes ran in its place
            else:
                self.made[full] = _Node(at, str(row["op"]), sources)
        return [source(t) if t is not None else None for t in graph.outputs]

    def _within(self, called: list[Any], within: dict[int, str]) -> list[tuple[Graph, str]]:
        """The functions of a loop or a branch that left nodes, each with their prefix."""
        functions = [
            (self.graphs.by_function.get(str(called[at])), within[at]) for at in within if at < len(called)
        ]
        return [(graph, prefix) for graph, prefix in functions if graph is not None]

    def _still_called(self, name: str) -> bool:
        """Whether a function was left a call. One that was inlined may leave a node of its name, which does nothing."""
        return name in self.ran and (
            self.ran[name][1] in _CALLS or self.ran[name][1] in self.graphs.by_function
        )

    def _kept(self, name: str) -> None:
        """The fate of a node whose name is still there: perhaps as another op."""
        node, (_, op, _, fused) = self.made[name], self.ran[name]
        base = FUSED_OP.match(op)
        if base is not None and not node.op.startswith("_"):
            return self._fused(name, op, base["base"], [str(f) for f in fused])
        if (backward := _WITH_BIAS.match(op)) is not None and backward["base"] == node.op:
            self._with_bias(name, op)
        if op == "Const" and node.op != "Const":
            self.decided[name] = Fate(FOLDED, name, op)
        elif _MKL.sub("", op).removesuffix("WithBias") != node.op and op != node.op:
            self.alive.add(node.row)
            self.fates.setdefault(node.row, Fate(REWRITTEN, name, op, node.row))
        else:
            self.alive.add(node.row)

    def _with_bias(self, name: str, op: str) -> None:
        """The gradient of a filter with that of the bias, which is a sum over the same gradient."""
        sources = set(self.made[name].inputs)
        for other, node in self.made.items():
            if node.op == "BiasAddGrad" and other not in self.kept and sources & set(node.inputs):
                self.decided[other] = Fate(FUSED, name, op, self.made[name].row)

    def _fused(self, name: str, op: str, base: str, fused: list[str]) -> None:
        """A fused kernel has the name of its last node; the others lie before it, and are gone."""
        kinds = {base, *fused, *(k for f in fused for k in _ALSO.get(f, ())), *_ALSO.get(base, ())}
        members, level = [name], [name]
        while level:
            level = [
                s
                for n in level
                for s in self.made[n].inputs
                if s in self.made and s not in self.kept and s not in members and self.made[s].op in kinds
            ]
            members += dict.fromkeys(level)
        # the node farthest back that gives the kernel its name: the convolution, not the bias
        core = next((m for m in reversed(members) if self.made[m].op.startswith(base)), name)
        row = self.made[core].row
        self.principals[self.alias.get(name, name)] = row
        self.alive.add(row)
        for member in members:
            self.decided[member] = Fate(FUSED, name, op, row) if member != core else None

    def _composed(self) -> None:
        """Unary ops one after the other that Grappler made one of: its kernel has the name of the last, and a word."""
        for ran, (_, op, inputs, _) in list(self.ran.items()):
            last = ran.removesuffix(COMPOSED)
            if last == ran or last not in self.made or last in self.kept:
                continue
            row = self.made[last].row
            self.principals[ran] = row
            self.alive.add(row)
            self.decided[last] = None
            begin = {node_of(str(i)) for i in inputs}
            member = last
            while member not in begin and (before := self.made[member].inputs[:1]):
                member = before[0]
                if member in begin or member not in self.made or member in self.kept:
                    break
                self.decided[member] = Fate(FUSED, ran, op, row)

    def _vanished(self, name: str, twins: dict[tuple[Any, ...], str]) -> Fate:
        twin = twins.get(self._twin(name))
        if twin is not None and self.made[name].op != "Const":
            return Fate(MERGED, twin, str(self.ran[twin][1]), self.made[twin].row)
        if name in self.folds:
            return Fate(FOLDED, name, "Const")
        following: list[Fate] = []
        for user in self.users[name]:
            decided = self.decided.get(user)
            if decided is None:  # it ran as it was made, or is the core of a fused kernel
                if (taken := self._taken_instead(name, user)) is not None:
                    return Fate(MERGED, taken, str(self.ran[taken][1]), self.made[taken].row)
                op = str(self.ran[user][1]) if user in self.ran else None
                following.append(Fate(REMOVED, user, op, self.made[user].row))
            elif decided.fate != PRUNED:
                following.append(decided)
        if name in self.outputs:
            return Fate(REMOVED)
        if not following:
            return Fate(PRUNED)
        if all(f.fate == FOLDED for f in following):
            return following[0]
        first = next(f for f in following if f.fate != FOLDED)
        return Fate(REMOVED, first.into, first.kernel, first.row)

    def _taken_instead(self, name: str, user: str) -> str | None:
        """The node of the same op whose result `user` takes in the place of that of `name`."""
        before = self.made[user].inputs
        ran = (
            [node_of(str(i)) for i in self.ran[user][2] if not str(i).startswith("^")]
            if user in self.ran
            else []
        )
        others = {
            n for n in ran if n in self.kept and n not in before and self.made[n].op == self.made[name].op
        }
        return others.pop() if len(others) == 1 else None

    def _twin(self, name: str) -> tuple[Any, ...]:
        """What two nodes have in common that compute the same."""
        node = self.made[name]
        if not self.whole.isdisjoint(node.inputs):
            return (name,)  # which of the results it takes is not told
        row = self.graphs.nodes[node.row]
        return node.op, tuple(node.inputs), str(row.get("attrs"))


_ALSO: Final = {
    "BiasAdd": ("Add", "AddV2", "BiasAdd"),
    "Add": ("AddV2", "AddN"),
    "FusedBatchNorm": ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),
    "BatchNorm": ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "Relu", "Add", "AddV2"),
    "MatMul": ("MatMul", "BatchMatMul", "BatchMatMulV2"),
    "BatchMatMulV2": ("Mul", "AddV2", "Add"),
    "DepthwiseConv2dNative": ("DepthwiseConv2dNative",),
}
"""Ops that a fusion takes for one that it names."""


def node_of(tensor: str) -> str:
    return tensor.partition(":")[0]
