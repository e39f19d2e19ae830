"""What a step costs in Python: the time of a step in which the thread that makes the calls is outside the runtime."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tftrace.analysis.columns import Ints, numbers, positions, table, texts
from tftrace.correlate.nesting import union_length
from tftrace.model.trace import Trace

GRAPHS: Final = "runs of a graph"
REPEATED: Final = "an eager op that repeats"
_FEWEST: Final = 3
"""Steps of which a median says something."""


def python_cost(trace: Trace) -> dict[str, Any] | None:
    """Medians over the steady steps of the thread that calls most; None where no steps are to be told.

        call     |  runtime  |        |  runtime  |     | runtime ..
        step     0 ......................................1 ..
        python               ..........            ......          = period - runtime

    A step lasts from the start of one run of a graph to that of the next (`told_by` GRAPHS: the graph that ran most
    often); in eager mode from one execution of an op to the next (REPEATED: the first op of those that ran as often
    as most did). `period_us`, `runtime_us` and `python_us` are of one step, `calls` those from Python in it, `steps`
    the steady ones. Python is all that the thread does between its calls: the script, TensorFlow's Python code, what
    waits for data, and tftrace's hook (below a microsecond a call).
    """
    calls, sites = table(trace, "calls"), table(trace, "sites")
    if not calls.num_rows:
        return None
    site = positions(sites, "site_id", numbers(calls, "site_id"))
    start, total = numbers(calls, "start_ns"), numbers(calls, "total_ns")
    outer = ~numbers(calls, "parent_call_id").valid & start.valid & total.valid & (site >= 0)
    place = numbers(calls, "pid").values * (1 << 32) + numbers(calls, "tid").values
    node = np.append(texts(sites, "node").codes, -1)[site] >= 0
    rows = np.flatnonzero(outer & ~node)
    if not len(rows):
        return None
    threads, counts = np.unique(place[rows], return_counts=True)
    rows = rows[place[rows] == threads[np.argmax(counts)]]
    rows = rows[np.argsort(start.values[rows], kind="stable")]
    begin, end = start.values[rows], (start.values + total.values)[rows]
    graph = np.append(texts(sites, "graph").codes, -1)[site[rows]]
    marks, told_by = _marks(graph, site[rows])
    steady = numbers(calls, "warm_up").values[rows] == 0
    if len(marks) <= _FEWEST:
        return None
    edges = begin[marks]
    step = np.searchsorted(edges, begin, "right") - 1
    inside = (step >= 0) & (step < len(marks) - 1)
    runtime = union_length(step[inside], begin[inside], end[inside], len(marks) - 1)
    # a call in warm-up makes its whole step one
    cold = np.bincount(step[inside & ~steady], minlength=len(marks) - 1) > 0
    kept = np.flatnonzero(~cold) if (~cold).sum() >= _FEWEST else np.arange(len(marks) - 1)
    period = np.diff(edges)
    made = np.bincount(step[inside], minlength=len(marks) - 1)
    return {
        "told_by": told_by,
        "steps": len(kept),
        "period_us": _median(period[kept]),
        "runtime_us": _median(runtime[kept]),
        "python_us": _median(np.maximum(period - runtime, 0)[kept]),
        "calls": int(np.median(made[kept])),
    }


def _marks(graph: Ints, site: Ints) -> tuple[Ints, str]:
    """Positions of the calls with which steps begin."""
    ran = graph[graph >= 0]
    if len(ran):
        used, counts = np.unique(ran, return_counts=True)
        often = np.flatnonzero(graph == used[np.argmax(counts)])
        if len(often) > _FEWEST:
            return often, GRAPHS
    sites, first, counts = np.unique(site, return_index=True, return_counts=True)
    repeating = counts > _FEWEST
    if not repeating.any():
        return np.empty(0, np.int64), REPEATED
    times, sites_with = np.unique(counts[repeating], return_counts=True)
    usual = int(times[np.argmax(sites_with)])
    chosen = np.flatnonzero(counts == usual)
    marker = sites[chosen[np.argmin(first[chosen])]]
    return np.flatnonzero(site == marker), REPEATED


def _median(values: Ints) -> float:
    return round(float(np.median(values)) / 1000, 3)
