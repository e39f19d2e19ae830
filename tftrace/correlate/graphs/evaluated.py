"""Kernels that TensorFlow ran while a graph was being made, to know the shape of a node from the constants before it.

Python makes, in graph 5       kernels on that thread, of no call       of graph
Reshape   1200 to 1900         range:Range  1310 to 1317                5
-                              range:Range  2400 to 2406                5, if `range` is a node of it
"""

from __future__ import annotations

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.graphs.graphs import Graphs
from tftrace.correlate.profiles.profile import ProfileEvents
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder
from tftrace.ingest.agent_raw import RawProcess


def graphs_being_made(
    raw: RawProcess, clock: Clock, graphs: Graphs, build: TraceBuilder, profile: ProfileEvents, root: Int
) -> Int:
    """For each event of the profile the graph that was being made on its thread, where it is a kernel of no call
    (`root`) and a node of that graph; else NONE."""
    found = np.full(len(profile.ids), NONE, np.int64)
    free = np.flatnonzero(profile.is_kernel & (root < 0))
    made = raw.nodes
    if not len(free) or not made or raw.without_python:
        return found
    begun = clock.from_raw(np.array([int(r["t"]) for r in made], np.int64))
    tid = np.array([int(r["tid"]) for r in made], np.int64)
    order = np.lexsort((begun, tid))
    for thread in np.intersect1d(profile.tid[free], tid).tolist():
        mine = order[tid[order] == thread]
        rows = free[profile.tid[free] == thread]
        at = np.searchsorted(begun[mine], profile.start[rows], "right") - 1
        for row, last in zip(rows[at >= 0].tolist(), mine[at[at >= 0]].tolist(), strict=True):
            number = int(made[last]["graph"])
            name = build.words.values[profile.name[row]].rpartition(":")[0]
            if name in graphs.by_number[number].nodes:
                found[row] = number
    return found
