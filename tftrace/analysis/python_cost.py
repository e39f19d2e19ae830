"""What a step costs in Python: the time of a step in which the thread that makes the calls is outside the runtime."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from tftrace.analysis.columns import Ints, numbers, parts, positions_in, rows_of, table, texts
from tftrace.correlate.nesting import union_length
from tftrace.model.trace import Trace

GRAPHS: Final = "runs of a graph"
REPEATED: Final = "an eager op that repeats"
_FEWEST: Final = 3
"""Steps of which a median says something."""
_ROWS: Final = 1 << 18


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
    place, begin, end, site, cold_call = _from_python(trace)
    if not len(place):
        return None
    threads, counts = np.unique(place, return_counts=True)
    rows = np.flatnonzero(place == threads[np.argmax(counts)])
    rows = rows[np.argsort(begin[rows], kind="stable")]
    begin, end, site, steady = begin[rows], end[rows], site[rows], cold_call[rows] == 0
    graph = np.append(texts(table(trace, "sites"), "graph").codes, -1)[site]
    marks, told_by = _marks(graph, site)
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


def _from_python(trace: Trace) -> list[Ints]:
    """Of the calls that came from Python and are no node of a graph: thread, begin, end, row of the site, and 1 for
    those in warm-up."""
    sites = table(trace, "sites")
    ids, node = rows_of(sites, "site_id"), np.append(texts(sites, "node").codes, -1) >= 0
    columns = ["site_id", "parent_call_id", "start_ns", "total_ns", "pid", "tid", "warm_up"]

    def make(part: pa.Table, _: int) -> list[Ints]:
        site = positions_in(ids, numbers(part, "site_id"))
        start, total = numbers(part, "start_ns"), numbers(part, "total_ns")
        outer = ~numbers(part, "parent_call_id").valid & start.valid & total.valid & (site >= 0)
        rows = np.flatnonzero(outer & ~node[site])
        pid, tid, warm = (numbers(part, c).values[rows] for c in ("pid", "tid", "warm_up"))
        begin = start.values[rows]
        return [pid * (1 << 32) + tid, begin, begin + total.values[rows], site[rows], warm]

    none = [np.zeros(0, np.int64)] * 5
    found = zip(none, *parts(trace, "calls", columns, make, rows=_ROWS), strict=True)
    return [np.concatenate(column) for column in found]


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
