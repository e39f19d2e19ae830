"""Levels of detail: what stands for the events of a view that holds too many to draw.

Level k shows every event of at least w_k = 256 ns * 4^k exactly, and merges the shorter ones of a row whose
starts fall into one bucket of w_k:

    row 7, ns    |A 300|  |B 90||C 40|        |D 5000 .. |
    level 0      |A 300|  |B+C n=2 busy=130|  |D 5000 .. |     w_0 = 256: A and D are exact

A block knows how many events it stands for, their summed time, and the longest of them with its name. A long
event cannot be swallowed by a block, nor lie inside one: it would have to start and end within a bucket
shorter than itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from tftrace.views.timeline import columns
from tftrace.views.timeline.columns import Ints, slices

FINEST_WIDTH = 256
"""w_0 in ns. Finer levels would save nothing: hardly any event of a trace is shorter."""
COARSEST_BUCKETS = 600
"""Buckets over the whole trace at the coarsest level: about two pixels each on a wide screen."""


@dataclass(frozen=True)
class Blocks:
    """Merged events of one level, one entry a block, sorted by (row, t0). Times in ns."""

    row: Ints
    t0: Ints
    t1: Ints
    count: Ints
    busy: Ints
    longest: Ints
    info: Ints
    """`info` of the longest event."""

    def __len__(self) -> int:
        return len(self.row)


def widths(span: int) -> Ints:
    """w_k of every level for a trace of `span` ns."""
    levels = [FINEST_WIDTH]
    while span / levels[-1] > COARSEST_BUCKETS:
        levels.append(levels[-1] * 4)
    return np.array(levels, np.int64)


def duration_class(dur: Ints, w: Ints) -> Ints:
    """The finest level that merges an event is one above its class: -1 for dur < w_0, k for w_k <= dur <
    w_(k+1)."""
    found = np.empty(len(dur), np.int8)
    for part in slices(len(dur)):
        found[part] = np.searchsorted(w, dur[part], side="right") - 1
    return found


def merge(row: Ints, t: Ints, dur: Ints, info: Ints, width: int) -> Blocks:
    """The blocks of one level. Input: the events shorter than `width`, sorted by (row, t), disjoint in a
    row."""
    bucket = t // width
    edge = np.flatnonzero(np.r_[True, (row[1:] != row[:-1]) | (bucket[1:] != bucket[:-1])][: len(row)])
    if not len(edge):
        return Blocks(*(np.zeros(0, np.int64) for _ in range(7)))
    count = np.diff(np.r_[edge, len(row)])
    longest = np.maximum.reduceat(dur, edge)
    block = np.repeat(np.arange(len(edge)), count)
    is_longest = np.flatnonzero(dur == longest[block])
    of_block = block[is_longest]
    pick = np.flatnonzero(np.r_[True, of_block[1:] != of_block[:-1]])
    return Blocks(
        row[edge],
        t[edge],
        np.maximum.reduceat(t + dur, edge),
        count,
        np.add.reduceat(dur, edge),
        longest,
        info[is_longest[pick]],
    )


def merge_all(order: Ints, row: Ints, t: Ints, dur: Ints, info: Ints, width: int) -> Blocks:
    """`merge` of the events that `order` names, which sorts them by (row, t): of a stretch of them at a time, each up
    to where a block ends."""
    none = np.zeros(0, np.int64)
    parts, low, size = [merge(none, none, none, none, width)], 0, columns.SLICE
    while low < len(order):
        at = order[low : low + size + 1]
        if len(at) > size:
            bucket = t[at] // width
            edges = np.flatnonzero((row[at][1:] != row[at][:-1]) | (bucket[1:] != bucket[:-1]))
            if not len(edges):  # one block holds them all
                size *= 2
                continue
            at = at[: edges[-1] + 1]
        parts.append(merge(row[at], t[at], dur[at], info[at], width))
        low, size = low + len(at), columns.SLICE
    return Blocks(
        *(columns.narrow(np.concatenate([getattr(p, f.name) for p in parts])) for f in fields(Blocks))
    )


def useful_levels(row: Ints, t: Ints, cls: Ints, w: Ints, order: Ints) -> list[int]:
    """Levels worth carrying, finest first: each at most halves what the one before draws; -1 is all events
    exact. `order` sorts the events by (row, t)."""
    shown = np.zeros(len(w), np.int64)
    last: list[tuple[int, int] | None] = [None] * len(w)  # row and bucket of each level's last event so far
    for part in slices(len(order)):
        at = order[part]
        rows, times, classes = row[at], t[at], cls[at]
        for k in range(len(w)):
            short = classes < k
            r, b = rows[short], times[short] // int(w[k])
            shown[k] += len(at) - len(r)
            if len(r):
                shown[k] += np.count_nonzero((r[1:] != r[:-1]) | (b[1:] != b[:-1]))
                shown[k] += (int(r[0]), int(b[0])) != last[k]
                last[k] = int(r[-1]), int(b[-1])
    kept, cost = [-1], len(order)
    for k, drawn in enumerate(shown.tolist()):
        if drawn <= cost / 2 or (k == len(w) - 1 and drawn < cost):
            kept.append(k)
            cost = drawn
    return kept
