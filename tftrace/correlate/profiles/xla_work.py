"""What XLA's executables ran in a profile: their instructions as kernels, and the nodes that those compute."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tftrace.correlate.graphs.graphs import Graphs
from tftrace.correlate.profiles.profile import ProfileEvents
from tftrace.correlate.runs.dispatches import Dispatches
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder

_XLA_RUNS = (
    "CpuExecutable::ExecuteAsyncOnStream",
    "GpuExecutable::ExecuteAsyncOnStreamImpl",
    "ThunkExecutor::Execute",
)
_NOT_HLO = ("BlockUntilReady", "MemoryAllocation", "MemoryDeallocation")


Instruction: TypeAlias = tuple[int, str, str | None, tuple[str, ...]]
"""(graph, instruction, its node, the others that it computes)."""


@dataclass(frozen=True)
class XlaRuns:
    """Numbers of graphs: `whole` ran XLA's executables, `within` are functions of which those were made, `others` had
    kernels besides."""

    whole: set[int] = field(default_factory=set)
    within: set[int] = field(default_factory=set)
    others: set[int] = field(default_factory=set)

    def add(self, more: XlaRuns) -> None:
        self.whole.update(more.whole)
        self.within.update(more.within)
        self.others.update(more.others)

    def graphs(self) -> set[int]:
        """The graphs that XLA ran."""
        return self.within | self.whole - self.others


def thunks(
    build: TraceBuilder, graphs: Graphs, calls: Dispatches, profile: ProfileEvents, parent: Int, root: Int
) -> XlaRuns:
    """What XLA's executables run bears the name of the HLO instruction: those are its kernels."""
    nd, npf = len(calls.runtime), len(profile.ids)
    runs = np.isin(profile.name, build.words.codes(_XLA_RUNS))
    above = parent[nd : nd + npf] - nd
    inside = (above >= 0) & (above < npf)
    inside[inside] = runs[above[inside]]
    names, which = np.unique(profile.name, return_inverse=True)
    texts = [build.words.values[c] for c in names.tolist()]
    plain = np.array(["::" not in text and text not in _NOT_HLO for text in texts], bool)
    thunk = inside & plain[which]
    if not profile.is_hlo.any():  # else the work of a device tells of each instruction
        thunk |= (profile.hlo != NONE) & (profile.hlo == profile.name)
    thunk &= ~profile.container & ~profile.is_launch
    build.relayer(profile.ids[thunk], "kernel")
    profile.is_kernel[thunk] = True
    ran = runs | thunk | profile.is_hlo
    above_all = root[nd : nd + npf]
    graph = np.where(above_all >= 0, np.append(calls.graph, NONE)[above_all], NONE)
    whole = set(graph[ran & (graph != NONE)].tolist())
    # a function that is not compiled may call one that is, as Keras' train function does
    named = ran & (graph != NONE) & (profile.node != NONE)
    pairs = np.unique(np.stack([graph[named], profile.node[named]]), axis=1)
    within = set()
    for number, node in pairs.T.tolist():
        row = graphs.resolve(number, build.words.values[node])[0]
        within |= set() if row is None else {int(graphs.nodes[row]["graph"])}
    others = set(graph[profile.is_kernel & ~ran & (profile.hlo == NONE)].tolist())
    return XlaRuns(whole, within, others)


def compiled_nodes(
    build: TraceBuilder, calls: Dispatches, profile: ProfileEvents, root: Int
) -> list[Instruction]:
    """XLA's instructions that compute several nodes."""
    nd, values = len(calls.runtime), build.words.values
    rows = np.flatnonzero(profile.others != NONE)
    owner = root[nd + rows]
    rows, owner = rows[owner >= 0], owner[owner >= 0]
    kinds = (
        np.unique(
            np.stack([calls.graph[owner], profile.name[rows], profile.node[rows], profile.others[rows]]),
            axis=1,
        )
        if len(rows)
        else np.empty((4, 0), np.int64)
    )
    return [
        (graph, values[name], values[node] if node != NONE else None, tuple(json.loads(values[others])))
        for graph, name, node, others in kinds.T.tolist()
        if graph != NONE
    ]
