"""Which kernels together are one execution of a node, and which functions existed when they ran."""

from __future__ import annotations

import numpy as np

from tftrace.correlate.graphs.graphs import Graphs
from tftrace.correlate.nesting import union_length
from tftrace.correlate.profiles.profile import ProfileEvents
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder


def dataset_epochs(build: TraceBuilder, graphs: Graphs, profile: ProfileEvents) -> Int:
    """For each event that may be a kernel of a function of tf.data, how many such functions had been made when it
    began; NONE for the others. Functions of one line have nodes of the same names: the last one made is taken."""
    times = np.array(graphs.dataset_times, np.int64)
    if not len(times):
        return np.full(len(profile.start), NONE, np.int64)
    names, which = np.unique(profile.name, return_inverse=True)
    known = [graphs.runs_dataset(build.words.values[c].rpartition(":")[0]) for c in names.tolist()]
    epoch = np.searchsorted(times, profile.start, "right")
    return np.where(np.array(known, bool)[which], epoch, NONE) if len(names) else epoch


def executions(profile: ProfileEvents, rows: Int, site: Int, root: Int) -> tuple[Int, Int, Int]:
    """(execution of each of the kernels `rows`, position of its first kernel, its time) in the order of first kernels.

    A kernel is one execution of its node; but XLA may have made several instructions of a node, which are one
    execution: the first time that each of them runs in a call of the graph is the first execution, the second time the
    second (a loop). Their time is the union of theirs: they may run beside each other.

        call of the graph   site   kernel        execution
        7                   A      copy.19       0
        7                   A      Conv2D_1.1    0
        7                   B      MatMul.4      1
        7                   A      copy.19       2
    """
    n = len(rows)
    if not n:
        return rows, rows, rows
    leader = np.arange(n)  # the first kernel of the execution
    thunk = np.flatnonzero(profile.hlo[rows] != NONE)
    if len(thunk):
        order = np.lexsort((profile.start[rows[thunk]], profile.name[rows[thunk]], root[thunk]))
        name, run = profile.name[rows[thunk[order]]], root[thunk[order]]
        position = np.arange(len(order))
        fresh = np.concatenate(([True], (np.diff(name) != 0) | (np.diff(run) != 0)))
        nth = np.empty(len(order), np.int64)
        nth[order] = position - np.maximum.accumulate(position * fresh)
        key = np.stack([site[thunk], root[thunk], nth])
        _, first, inverse = np.unique(key, axis=1, return_index=True, return_inverse=True)
        leader[thunk] = thunk[first[np.asarray(inverse).reshape(-1)]]
    leads = leader == np.arange(n)
    place = (np.cumsum(leads) - 1)[leader]
    first = np.flatnonzero(leads)
    return place, first, union_length(place, profile.start[rows], profile.end[rows], len(first))
