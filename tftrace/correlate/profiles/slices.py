"""Cuts a profile into slices that have nothing to do with each other: each is joined by itself, with the same outcome.

On each thread a slice begins where nothing runs, and at work that no earlier one goes on with. What is handed from one
thread to another is in one slice with what hands it over, and work of a device with its launch. A cut that cannot have
that is left out: then a slice is larger.

    thread 1   [FunctionRun 7      ]   [FunctionRun 8      ]
    thread 2      [Process 7   ]          [Process 8   ]
    stream        [k] [k]  [k]                [k]  [k] [k]
                                     |
    moment                       |          a thread is cut where something begins, at or before the moment ..
    thread 2                           |    .. so that 8 is in one slice: behind the cut, as its run is
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from tftrace.correlate.profiles.handovers import RUNS, by_key
from tftrace.correlate.profiles.launches import Launches
from tftrace.correlate.profiles.op_runs import ENTRIES
from tftrace.correlate.tables.columns import NONE, Int
from tftrace.ingest.xplane import device
from tftrace.ingest.xplane.space import Piece, XSpace

Bools = npt.NDArray[np.bool_]

EVENTS: Final = 1 << 20
"""Events of a slice, about."""
_ROUNDS: Final = 16
_SAMPLED: Final = 256


@dataclass(frozen=True)
class _Thread:
    """A line of the host: `begin` and `end` of its rows; `cuts`, rows at which it may be cut, and their times."""

    line: int
    begin: int
    end: int
    cuts: Int
    times: Int


def slices(space: XSpace, tids: Int, launches: Launches, events: int = EVENTS) -> list[list[Piece]] | None:
    """The events of each slice; None where the profile is small, or is not as TensorFlow writes them: events of a
    thread in the order of their time, each thread a line. `tids` are the threads of the lines."""
    count = len(space)
    if count < 2 * events:
        return None
    edge = np.searchsorted(space.line, np.arange(len(space.lines) + 1))
    hosts = [
        at for at, line in enumerate(space.lines)
        if line.plane_name.startswith("/host:CPU") and edge[at + 1] > edge[at]
    ]  # fmt: skip
    kinds = device.line_kinds(space)
    works = [at for at, k in enumerate(kinds) if k not in (None, device.DERIVED) and edge[at + 1] > edge[at]]
    if len({int(tids[at]) for at in hosts}) < len(hosts):
        return None
    if any((np.diff(space.start_ns[edge[at] : edge[at + 1]]) < 0).any() for at in hosts):
        return None
    moments = _moments(space, [(int(edge[at]), int(edge[at + 1])) for at in (*hosts, *works)], events)
    root = np.zeros(count, np.bool_)
    threads = _threads(space, hosts, edge, root)
    cuts = np.array([[_last(t, moment) for t in threads] for moment in moments.tolist()], np.int64)
    cuts = cuts.reshape(len(moments), len(threads))
    index = np.full(len(space.lines), NONE, np.int64)
    index[hosts] = np.arange(len(hosts))
    kept = _consistent(cuts, threads, *_handed(space, root, index))
    cuts, moments = cuts[kept], moments[kept]
    of_launch = np.full(count, NONE, np.int16 if len(cuts) < 1 << 15 else np.int32)
    for at, thread in enumerate(threads):
        bounds = [thread.begin, *cuts[:, at].tolist(), thread.end]
        for number, (first, last) in enumerate(pairwise(bounds)):
            of_launch[first:last] = number
    made: list[list[Piece]] = [[] for _ in range(len(cuts) + 1)]
    lines = sorted(
        [(thread.line, at) for at, thread in enumerate(threads)] + [(line, NONE) for line in works]
    )
    for line, at in lines:
        if at != NONE:
            bounds = [threads[at].begin, *cuts[:, at].tolist(), threads[at].end]
            for number, (first, last) in enumerate(pairwise(bounds)):
                if last > first:
                    made[number].append(Piece(first, last))
            continue
        first, last = int(edge[line]), int(edge[line + 1])
        launch = launches.row[first:last]
        of_row = np.where(
            launch >= 0, of_launch[launch], np.searchsorted(moments, space.start_ns[first:last], "right")
        )
        order = np.argsort(of_row, kind="stable")
        bounds = np.searchsorted(of_row[order], np.arange(len(made) + 1)).tolist()
        for number, (low, high) in enumerate(pairwise(bounds)):
            rows = order[low:high] + first
            if len(rows):
                low, high = int(rows[0]), int(rows[-1]) + 1
                made[number].append(Piece(low, high, rows if high - low > len(rows) else None))
    return [pieces for pieces in made if pieces]


def _moments(space: XSpace, lines: Sequence[tuple[int, int]], events: int) -> Int:
    """Times between which lie about so many events."""
    step = max(min(_SAMPLED, events // 16), 1)
    starts = np.sort(np.concatenate([space.start_ns[first:last:step] for first, last in lines]))
    return np.asarray(np.unique(starts[max(events // step, 1) :: max(events // step, 1)]), np.int64)


def _threads(space: XSpace, hosts: list[int], edge: Int, root: Bools) -> list[_Thread]:
    """The threads, and where each may be cut; marks in `root` what has nothing around it on its thread."""
    entry_name = np.array([name in ENTRIES for name in space.names], bool)
    goes_on = np.array([name == "MemoryAllocation" for name in space.names], bool)
    told, _ = space.stats.integers("correlation_id")
    threads = []
    for at in hosts:
        first, last = int(edge[at]), int(edge[at + 1])
        start, end = space.start_ns[first:last], space.start_ns[first:last] + space.dur_ns[first:last]
        reach = np.maximum.accumulate(end)
        # of those that begin at once the one around the others may come later
        begun = np.maximum.accumulate(
            np.where(np.append(True, start[1:] > start[:-1]), np.arange(len(start)), 0)
        )
        root[first:last] = (begun == 0) | (reach[begun - 1] <= start)
        free = np.append(True, (reach[:-1] < start[1:]) & (start[:-1] < start[1:]))
        # what launched work, and what begins anew: an execution may go on from one such event to the next
        name = space.name_code[first:last]
        entry = entry_name[name]
        counts = entry | goes_on[name]
        low, high = np.searchsorted(told, np.array((first, last), told.dtype)).tolist()
        counts[told[low:high] - first] = True
        rows = np.flatnonzero(free)
        counted = np.flatnonzero(counts)
        following = np.searchsorted(counted, rows)
        fresh = (following == 0) | (following == len(counted))
        some = np.flatnonzero(~fresh)
        fresh[some] = entry[counted[following[some]]]
        rows = rows[fresh]
        threads.append(_Thread(at, first, last, rows + first, start[rows]))
    return threads


def _last(thread: _Thread, moment: int) -> int:
    """The row of the last cut at or before the moment; the first row where there is none."""
    at = int(np.searchsorted(thread.times, moment, "right")) - 1
    return int(thread.cuts[at]) if at >= 0 else thread.begin


def _handed(space: XSpace, root: Bools, index: Int) -> tuple[Int, Int, Int, Int]:
    """Pairs of rows on threads that have to be in one slice, with the threads of both: what `hand_over` may join."""

    def column(stat: str) -> tuple[Int, Int]:
        event, values = space.stats.integers(stat)
        event = event.astype(np.int64)
        mine = index[space.line[event]] != NONE
        return event[mine], values[mine]

    def keys(kind: str, ident: str) -> tuple[Int, Int]:
        rows, ids = column(ident)
        typed, types = column(kind)
        at = np.minimum(np.searchsorted(typed, rows), max(len(typed) - 1, 0))
        type_of = np.where(typed[at] == rows, types[at], 0) if len(typed) else np.zeros(len(rows), np.int64)
        mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed += type_of.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
        mixed ^= mixed >> np.uint64(29)
        return rows, (mixed >> np.uint64(1)).astype(np.int64)

    producers, produced = keys("_pt", "_p")
    consumers, consumed = keys("_ct", "_c")
    asking = root[consumers]
    consumers, consumed = consumers[asking], consumed[asking]
    first = by_key(consumed, produced)
    rows, ids = column("id")
    begins = np.isin(space.name_code[rows], [at for at, name in enumerate(space.names) if name in RUNS])
    runs, run_ids = rows[begins], dense_key(ids[begins])
    rows, ids = rows[root[rows]], dense_key(ids[root[rows]])
    step = by_key(ids, run_ids)
    one = np.concatenate([consumers[first >= 0], rows[step >= 0]])
    other = np.concatenate([producers[first[first >= 0]], runs[step[step >= 0]]])
    return one, other, index[space.line[one]], index[space.line[other]]


def dense_key(ids: Int) -> Int:
    """Ids that `by_key` looks up: NONE, which it takes for none, is an id like others here."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray(mixed >> np.uint64(1), np.int64)


def _consistent(
    cuts: Int, threads: list[_Thread], one: Int, other: Int, thread_one: Int, thread_other: Int
) -> Int:
    """Moves the cuts (a row a cut, a column a thread) back until no pair is cut apart; returns those that are left."""
    for _ in range(_ROUNDS):
        np.minimum.accumulate(cuts[::-1], axis=0, out=cuts[::-1])
        low, high = _parted(cuts, one, other, thread_one, thread_other)
        bad = np.flatnonzero(low != high)
        if not len(bad):
            break
        first = low[bad] < _slice_of(cuts, other[bad], thread_other[bad])
        row = np.where(first, one[bad], other[bad])
        thread = np.where(first, thread_one[bad], thread_other[bad])
        for k in range(len(cuts)):
            some = (low[bad] <= k) & (k < high[bad])
            for at in np.unique(thread[some]).tolist():
                earliest = int(row[some & (thread == at)].min())
                place = int(np.searchsorted(threads[at].cuts, earliest, "right")) - 1
                cuts[k, at] = min(cuts[k, at], threads[at].cuts[max(place, 0)])
    np.minimum.accumulate(cuts[::-1], axis=0, out=cuts[::-1])
    low, high = _parted(cuts, one, other, thread_one, thread_other)
    good = np.ones(len(cuts), np.bool_)
    for begin, end in {(int(a), int(b)) for a, b in zip(low, high, strict=True) if a != b}:
        good[begin:end] = False
    kept = np.flatnonzero(good)
    before = np.vstack([[[t.begin for t in threads]], cuts[kept]])
    return kept[(np.diff(before, axis=0) > 0).any(axis=1)] if len(kept) else kept


def _parted(cuts: Int, one: Int, other: Int, thread_one: Int, thread_other: Int) -> tuple[Int, Int]:
    a, b = _slice_of(cuts, one, thread_one), _slice_of(cuts, other, thread_other)
    return np.minimum(a, b), np.maximum(a, b)


def _slice_of(cuts: Int, rows: Int, thread: Int) -> Int:
    found = np.zeros(len(rows), np.int64)
    for cut in cuts:
        found += rows >= cut[thread]
    return found
