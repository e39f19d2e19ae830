"""Containment of intervals on one thread, in linear passes instead of an interval join."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int = npt.NDArray[np.int64]

_PASSES = 64
"""Deeper than calls are nested; a profile of which all events lie at one instant goes as deep as it is long."""


def nest(tid: Int, start: Int, end: Int, rank: Int) -> tuple[Int, Int]:
    """The innermost interval of the same thread in which each interval begins.

    Before: rows of (tid, start, end), any order; `rank` breaks ties of equal intervals, lower is outer.
    After: (parent, depth): index of the parent row or -1, and the number of intervals around it.

        tid start end            parent depth
    a    1     0  90                -1     0
    b    1    10  40                 a     1
    c    1    20  30        ->       b     2
    d    1    50  60                 a     1
    e    2    20  30                -1     0

    Each pass takes the outermost of what is left (no earlier interval of the thread still runs at its start), so there
    are as many passes as the deepest nesting; what lies deeper than _PASSES is swept one by one.
    """
    n = len(start)
    parent, depth = np.full(n, -1, np.int64), np.zeros(n, np.int64)
    if n == 0:
        return parent, depth
    order = np.lexsort((rank, -end, start, tid))
    thread = np.concatenate(([0], np.cumsum(np.diff(tid[order]) != 0)))
    s, e = start[order], end[order]
    floor = np.iinfo(np.int64).min
    left = np.arange(n)  # positions in `order` not placed yet
    level = 0
    above = np.empty(0, np.int64)  # positions placed in the pass before
    while len(left):
        t = thread[left]
        running = running_max(e[left], t)
        before = np.concatenate(([floor], running[:-1]))
        first = np.concatenate(([True], t[1:] != t[:-1]))
        outer = first | (s[left] >= before)
        placed = left[outer]
        if level:
            parent[order[placed]] = order[above[np.searchsorted(above, placed) - 1]]
        depth[order[placed]] = level
        above, left = placed, left[~outer]
        level += 1
        if level == _PASSES and len(left):
            inner, steps = _swept(thread[left], s[left], e[left])
            outermost = inner < 0
            parent[order[left]] = order[left[np.maximum(inner, 0)]]
            parent[order[left[outermost]]] = order[above[np.searchsorted(above, left[outermost]) - 1]]
            depth[order[left]] = level + steps
            break
    return parent, depth


def _swept(thread: Int, start: Int, end: Int) -> tuple[Int, Int]:
    """The same for intervals in the order of thread and time: (place of the parent or -1, number of those around)."""
    parent, depth = np.full(len(start), -1, np.int64), np.zeros(len(start), np.int64)
    running: list[int] = []
    now = -1
    ends = end.tolist()
    for at, (one, begin) in enumerate(zip(thread.tolist(), start.tolist(), strict=True)):
        if one != now:
            now, running = one, []
        while running and ends[running[-1]] <= begin:
            running.pop()
        if running:
            parent[at], depth[at] = running[-1], len(running)
        running.append(at)
    return parent, depth


def past(parent: Int, rows: Int, first: int, last: int) -> Int:
    """What is around each of `rows`, past the rows from `first` up to `last`: the nearest other ancestor, or -1.

    `parent` is as `nest` gives it. Where two clocks differ a little, an event that is around a call of a library may
    seem to begin inside it, and to be what a launch in that call is in.
    """
    up: Int = parent[rows]
    while (between := (up >= first) & (up < last)).any():
        up[between] = parent[up[between]]
    return up


def running_max(values: Int, group: Int) -> Int:
    """Running maximum that starts anew with each group; groups are runs of equal, rising numbers."""
    span = int(values.max()) - int(values.min()) + 1
    groups = int(group[-1]) + 1
    if groups * span < 1 << 62:
        base = int(values.min())
        lifted: Int = np.maximum.accumulate(values - base + group * span)
        return np.asarray(lifted - group * span + base, np.int64)
    out: Int = values.copy()
    edges = np.flatnonzero(np.diff(group)) + 1
    for part in np.split(np.arange(len(values)), edges):
        out[part] = np.maximum.accumulate(values[part])
    return out


def union_length(group: Int, start: Int, end: Int, groups: int) -> Int:
    """Total length covered by the intervals of each group (0 .. groups - 1), overlaps counted once."""
    total = np.zeros(groups, np.int64)
    if len(start) == 0:
        return total
    order = np.lexsort((start, group))
    g, s, e = group[order], start[order], end[order]
    reach = running_max(e, np.concatenate(([0], np.cumsum(np.diff(g) != 0))))
    before = np.concatenate(([0], reach[:-1]))
    fresh = np.concatenate(([True], g[1:] != g[:-1]))
    covered = e - np.maximum(s, np.where(fresh, s, before))
    np.add.at(total, g, np.maximum(covered, 0))
    return total


def latest_before(group: Int, start: Int, wanted: Int, at: Int) -> Int:
    """The row of the same group that began last before or at each moment: of `group[row] == wanted`, the greatest
    `start[row] <= at`. -1 where there is none; of equal starts, the later row."""
    n = len(group)
    order = np.lexsort(
        (
            np.concatenate([np.zeros(n, np.int8), np.ones(len(at), np.int8)]),
            np.concatenate([start, at]),
            np.concatenate([group, wanted]),
        )
    )
    seen = np.maximum.accumulate(np.where(order < n, np.arange(len(order)), -1))
    asked = order >= n
    found = np.where(seen >= 0, order[seen], -1)
    result = np.full(len(at), -1, np.int64)
    result[order[asked] - n] = found[asked]
    same = result >= 0
    same[same] = group[result[same]] == wanted[same]
    return np.where(same, result, -1)
