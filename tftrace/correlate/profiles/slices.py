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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from tftrace.correlate.profiles import matching
from tftrace.correlate.profiles.handovers import RUNS, by_key
from tftrace.correlate.profiles.launches import Launches
from tftrace.correlate.profiles.matching import Sides, chunks
from tftrace.correlate.profiles.op_runs import ENTRIES
from tftrace.correlate.tables.columns import NONE, Array, Int
from tftrace.ingest.xplane import device
from tftrace.ingest.xplane.space import Piece, XSpace
from tftrace.ingest.xplane.stats import StatColumns
from tftrace.store.pages import Pages

EVENTS: Final = 1 << 20
"""Events of a slice, about."""
_ROUNDS: Final = 16
_SAMPLED: Final = 256
_RUNS: Final = 64
"""Rows that follow each other, so many times in a line's part of a slice; where more, the rows are listed."""
_EARLIEST: Final = int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class _Thread:
    """A line of the host: `begin` and `end` of its rows; `cuts`, rows at which it may be cut, and their times."""

    line: int
    begin: int
    end: int
    cuts: Array
    times: Array


@dataclass(frozen=True)
class _Handed:
    """Pairs of rows on threads that have to be in one slice: what `hand_over` may join."""

    one: Array
    other: Array

    def pieces(self) -> Iterator[tuple[Int, Int]]:
        for first in range(0, len(self.one), matching.ROWS):
            some = slice(first, first + matching.ROWS)
            yield self.one[some].astype(np.int64), self.other[some].astype(np.int64)


def slices(space: XSpace, tids: Int, launches: Launches, events: int = EVENTS) -> list[list[Piece]] | None:
    """The events of each slice; None where the profile is small, or is not as TensorFlow writes them: events of a
    thread in the order of their time, each thread a line. `tids` are the threads of the lines."""
    if len(space) < 2 * events:
        return None
    pages = space.pages or Pages()
    size = np.diff(space.edges)
    hosts, works = (
        np.flatnonzero(device.lines_of(space, *kinds) & (size > 0)).tolist()
        for kinds in ((device.HOST,), (device.STREAM, device.UNIT, device.PROGRAM))
    )
    if len({int(tids[at]) for at in hosts}) < len(hosts):
        return None
    if not all(_in_order(space, at) for at in hosts):
        return None
    moments = _moments(space, sorted((*hosts, *works)), events)
    root = space.filled(np.bool_, 0)
    threads = [_thread(space, at, root, pages) for at in hosts]
    space.give_back()
    cuts = np.array([[_last(t, moment) for t in threads] for moment in moments.tolist()], np.int64)
    cuts = cuts.reshape(len(moments), len(threads))
    of_line = np.full(len(space.lines), NONE, np.int64)
    of_line[hosts] = np.arange(len(hosts))
    kept = _consistent(space, cuts, threads, _handed(space, hosts, root, pages), of_line)
    cuts, moments = cuts[kept], moments[kept]
    made: list[list[Piece]] = [[] for _ in range(len(cuts) + 1)]
    number_of = {thread.line: number for number, thread in enumerate(threads)}
    for line in sorted((*hosts, *works)):
        if line in number_of:
            number = number_of[line]
            bounds = [threads[number].begin, *cuts[:, number].tolist(), threads[number].end]
            for pieces, (first, last) in zip(made, pairwise(bounds), strict=True):
                if last > first:
                    pieces.append(Piece(first, last))
            continue
        for number, rows in _apart(space, line, launches, cuts, moments, of_line, pages):
            made[number] += _pieces(rows)
        space.give_back()
    return [pieces for pieces in made if pieces]


def _in_order(space: XSpace, line: int) -> bool:
    """Whether the events of a line begin one after the other."""
    before = _EARLIEST
    for piece in chunks(space, [line]):
        start = space.start_ns[piece.first : piece.last]
        if start[0] < before or (start[1:] < start[:-1]).any():
            return False
        before = int(start[-1])
    return True


def _moments(space: XSpace, lines: Sequence[int], events: int) -> Int:
    """Times between which lie about so many events."""
    step = max(min(_SAMPLED, events // 16), 1)
    rows = max(matching.ROWS // step, 1) * step
    sampled: list[Int] = []
    for line in lines:
        begin, end = space.edges[line : line + 2].tolist()
        for first in range(begin, end, rows):
            sampled.append(space.start_ns[first : min(first + rows, end) : step].copy())
            space.give_back()
    starts = np.sort(np.concatenate(sampled))
    return np.asarray(np.unique(starts[max(events // step, 1) :: max(events // step, 1)]), np.int64)


def _thread(space: XSpace, line: int, root: Array, pages: Pages) -> _Thread:
    """A thread, and where it may be cut; marks in `root` what has nothing around it on its thread."""
    begin, end = space.edges[line : line + 2].tolist()
    entry_name = np.array([name in ENTRIES for name in space.names], bool)
    goes_on = np.array([name == "MemoryAllocation" for name in space.names], bool)
    cuts, times = pages.column(np.int64), pages.column(np.int64)

    def may_be_cut(rows: Int) -> None:
        cuts.add(rows)
        times.add(space.start_ns[rows])

    reached = _EARLIEST  # by what began before
    any_counted, open_ = False, np.empty(0, np.int64)
    for piece in _at_once(space, begin, end):
        first = piece.first
        start, name = space.start_ns[first : piece.last], space.name_of(slice(first, piece.last))
        reach = np.maximum(np.maximum.accumulate(start + space.dur_ns[first : piece.last]), reached)
        before = np.concatenate(([reached], reach[:-1]))
        reached = int(reach[-1])
        # of those that begin at once the one around the others may come later
        later = np.append(True, start[1:] > start[:-1])
        begun = np.maximum.accumulate(np.where(later, np.arange(len(start)), 0))
        root[first : piece.last] = before[begun] <= start
        free = later & (before < start)
        # what launched work, and what begins anew: an execution may go on from one such event to the next
        entry = entry_name[name]
        counts = entry | goes_on[name]
        counts[space.stats.of([piece]).integers("correlation_id")[0]] = True
        rows, counted = np.flatnonzero(free), np.flatnonzero(counts)
        following = np.searchsorted(counted, rows)
        behind = following == len(counted)
        none_before = np.full(len(rows), not any_counted) & (following == 0)
        fresh = none_before.copy()
        fresh[~behind] |= entry[counted[following[~behind]]]
        if len(counted):
            if entry[counted[0]]:
                may_be_cut(open_)
            open_ = open_[:0]
            any_counted = True
        may_be_cut(rows[fresh] + first)
        # whether those may be cut at is told by the next event that counts; where there is none, they may
        open_ = np.concatenate([open_, rows[behind & ~none_before] + first])
        space.give_back()
    may_be_cut(open_)
    return _Thread(line, begin, end, cuts.array(), times.array())


def _at_once(space: XSpace, begin: int, end: int) -> Iterator[Piece]:
    """These rows, so many at a time; those that begin at the same moment together."""
    first = begin
    while first < end:
        last = min(first + matching.ROWS, end)
        while last < end:
            start = space.start_ns[last - 1 : min(last + matching.ROWS, end)]
            later = np.flatnonzero(start[1:] > start[:-1])
            if len(later):
                last += int(later[0])
                break
            last += len(start) - 1
        yield Piece(first, last)
        first = last


def _last(thread: _Thread, moment: int) -> int:
    """The row of the last cut at or before the moment; the first row where there is none."""
    at = int(np.searchsorted(thread.times, moment, "right")) - 1
    return int(thread.cuts[at]) if at >= 0 else thread.begin


def _handed(space: XSpace, hosts: Sequence[int], root: Array, pages: Pages) -> _Handed:
    is_run = np.array([name in RUNS for name in space.names], bool)
    several = space.stats.count("_p") + space.stats.count("_c"), 2 * space.stats.count("id")
    by_producer, by_step = (Sides(pages, count, ("row", "key")) for count in several)
    for piece in chunks(space, hosts):
        stats = space.stats.of([piece])
        rows, keys = _keys(stats, "_pt", "_p")
        by_producer.add(1, keys, row=rows + piece.first, key=keys)
        rows, keys = _keys(stats, "_ct", "_c")
        rows = rows + piece.first
        by_producer.add(0, keys[root[rows]], row=rows[root[rows]], key=keys[root[rows]])
        event, ids = stats.integers("id")
        rows, keys = event.astype(np.int64) + piece.first, dense_key(ids)
        begins = is_run[space.name_of(rows)]
        by_step.add(1, keys[begins], row=rows[begins], key=keys[begins])
        by_step.add(0, keys[root[rows]], row=rows[root[rows]], key=keys[root[rows]])
    one, other = pages.column(np.int32), pages.column(np.int32)
    for sides in (by_producer, by_step):
        for asking, giving in sides.parts():
            found = by_key(asking["key"], giving["key"])
            one.add(asking["row"][found >= 0])
            other.add(giving["row"][found[found >= 0]])
    return _Handed(one.array(), other.array())


def _keys(stats: StatColumns, kind: str, ident: str) -> tuple[Int, Int]:
    """Rows with an id of some type, and a key for both."""
    event, ids = stats.integers(ident)
    rows = event.astype(np.int64)
    typed, types = stats.integers(kind)
    at = np.minimum(np.searchsorted(typed, rows), max(len(typed) - 1, 0))
    type_of = np.where(typed[at] == rows, types[at], 0) if len(typed) else np.zeros(len(rows), np.int64)
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed += type_of.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    return rows, (mixed >> np.uint64(1)).astype(np.int64)


def dense_key(ids: Int) -> Int:
    """Ids that `by_key` looks up: NONE, which it takes for none, is an id like others here."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray(mixed >> np.uint64(1), np.int64)


def _consistent(space: XSpace, cuts: Int, threads: list[_Thread], handed: _Handed, of_line: Int) -> Int:
    """Moves the cuts (a row a cut, a column a thread) back until no pair is cut apart; returns those that are left."""
    for _ in range(_ROUNDS):
        np.minimum.accumulate(cuts[::-1], axis=0, out=cuts[::-1])
        fixed, parted = cuts.copy(), False
        for one, other in handed.pieces():
            a, b = (_slice_of(space, fixed, rows, of_line) for rows in (one, other))
            bad = np.flatnonzero(a != b)
            parted |= len(bad) > 0
            earlier = np.where(a[bad] < b[bad], one[bad], other[bad])
            thread = of_line[space.line_of(earlier)]
            _move(cuts, threads, earlier, thread, np.minimum(a, b)[bad], np.maximum(a, b)[bad])
        space.give_back()
        if not parted:
            break
    np.minimum.accumulate(cuts[::-1], axis=0, out=cuts[::-1])
    good = np.ones(len(cuts), np.bool_)
    for one, other in handed.pieces():
        a, b = (_slice_of(space, cuts, rows, of_line) for rows in (one, other))
        apart = np.flatnonzero(a != b)
        low, high = np.minimum(a, b)[apart].tolist(), np.maximum(a, b)[apart].tolist()
        for begin, end in set(zip(low, high, strict=True)):
            good[begin:end] = False
    kept = np.flatnonzero(good)
    before = np.vstack([[[t.begin for t in threads]], cuts[kept]])
    return kept[(np.diff(before, axis=0) > 0).any(axis=1)] if len(kept) else kept


def _move(cuts: Int, threads: list[_Thread], row: Int, thread: Int, low: Int, high: Int) -> None:
    """Moves the cuts from `low` to before `high` of each row's thread to before that row."""
    for k in range(len(cuts)):
        some = (low <= k) & (k < high)
        for at in np.unique(thread[some]).tolist():
            earliest = int(row[some & (thread == at)].min())
            place = int(np.searchsorted(threads[at].cuts, earliest, "right")) - 1
            cuts[k, at] = min(cuts[k, at], threads[at].cuts[max(place, 0)])


def _slice_of(space: XSpace, cuts: Int, rows: Int, of_line: Int) -> Int:
    """The slice of each row of a thread: how many cuts of its thread are at or before it."""
    if not len(cuts):
        return np.zeros(len(rows), np.int64)
    # all cuts of a thread lie behind those of the threads before it in the file
    before = np.searchsorted(cuts.T.ravel(), rows, "right")
    return np.asarray(before - len(cuts) * of_line[space.line_of(rows)], np.int64)


def _apart(
    space: XSpace, line: int, launches: Launches, cuts: Int, moments: Int, of_line: Int, pages: Pages
) -> Iterator[tuple[int, Array]]:
    """Rows of a device's line by slice: each is where its launch is, one without a launch where its time is."""
    columns: dict[int, Any] = {}
    for piece in chunks(space, [line]):
        launch = launches.row[piece.first : piece.last].astype(np.int64)
        of_row = np.searchsorted(moments, space.start_ns[piece.first : piece.last], "right")
        launched = np.flatnonzero(launch >= 0)
        of_row[launched] = _slice_of(space, cuts, launch[launched], of_line)
        order = np.argsort(of_row, kind="stable")
        numbers, begins = np.unique(of_row[order], return_index=True)
        for number, rows in zip(numbers.tolist(), np.split(order, begins[1:]), strict=True):
            if number not in columns:
                columns[number] = pages.column(np.int64)
            columns[number].add(rows + piece.first)
    for number in sorted(columns):
        yield number, columns[number].array()


def _pieces(rows: Array) -> list[Piece]:
    edges = np.flatnonzero(np.diff(rows) != 1) + 1
    if len(edges) < _RUNS:
        bounds = np.concatenate(([0], edges, [len(rows)])).tolist()
        return [Piece(int(rows[a]), int(rows[b - 1]) + 1) for a, b in pairwise(bounds)]
    return [Piece(int(rows[0]), int(rows[-1]) + 1, rows)]
