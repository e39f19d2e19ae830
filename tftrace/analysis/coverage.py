"""How much time the events of each layer cover, overlaps on one thread or stream counted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tftrace.analysis import native_coverage
from tftrace.analysis.columns import (
    Bools,
    Ints,
    Ranks,
    combined,
    distinct,
    numbers,
    parts,
    sorting,
    table,
    texts,
)
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

_COLUMNS: Final = native_coverage.COLUMNS
_ROWS: Final = 1 << 15
"""Rows that are looked at together: few enough for the processor's caches."""
IN_C: Final = 1 << 19
"""Rows from which on C, which may have to be compiled first, is worth it."""
_NEVER: Final = -(1 << 62)
_OPENS: Final = len(LAYERS)  # counts as a layer below all others


@dataclass(frozen=True)
class Coverage:
    """By the position of a layer in `LAYERS`: the number of its events, the ns that they cover, and the ns covered by
    them and those of the layers below; the last is None of a layer without events."""

    events: list[int]
    own_ns: list[int]
    from_here_ns: list[int | None]


def coverage(trace: Trace, kept: Bools | None = None) -> Coverage:
    """What the events (those of the mask `kept`) cover, from the table events, part by part."""
    if table(trace, "events").num_rows >= IN_C:
        found = native_coverage.covered(parts(trace, "events", _COLUMNS, lambda part, _: part), kept)
        if found is not None:
            return _told(*found)
    return _by_arrays(trace, kept)


def _told(events: Ints, own: Ints, down: Ints) -> Coverage:
    return Coverage(
        events.tolist(), own.tolist(),
        [ns if n else None for n, ns in zip(events.tolist(), down.tolist(), strict=True)],
    )  # fmt: skip


def _by_arrays(trace: Trace, kept: Bools | None) -> Coverage:
    """Without C, or where rows are in no order."""

    def make(part: pa.Table, first: int) -> list[_Part]:
        some = []
        for at in range(0, part.num_rows, _ROWS):
            piece = part.slice(at, _ROWS)
            begin = first + at
            some.append(_Part.of(piece, None if kept is None else kept[begin : begin + piece.num_rows]))
        return some

    def pieces() -> Iterator[_Part]:
        return chain.from_iterable(parts(trace, "events", _COLUMNS, make))

    sweep = _Sweep()
    for part in pieces():
        if not part.in_order or part.begin < sweep.until:
            # tables of others may be in any order: then it takes all rows at once
            sweep = _Sweep()
            sweep.add(_in_order(list(pieces())))
            break
        sweep.add(part)
    return sweep.found()


@dataclass(frozen=True)
class _Part:
    """Some events by thread and then in the order that the table has them: `layer` is the position in `LAYERS`, or -1;
    `thread` a position in `threads`, which says which thread or stream that is."""

    layer: Ranks
    thread: Ints
    start: Ints
    end: Ints
    threads: list[tuple[Any, ...]]
    in_order: bool
    begin: int
    until: int

    @classmethod
    def of(cls, part: pa.Table, kept: Bools | None) -> _Part:
        names = texts(part, "layer")
        place = np.array([LAYERS.index(v) if v in LAYERS else -1 for v in names.values] + [-1], np.int8)
        layer = place[names.codes]
        if kept is not None:
            layer[~kept] = -1
        start, dur = numbers(part, "start_ns").values, numbers(part, "dur_ns").values
        thread, threads = _threads(part)
        order = sorting(thread, len(threads))
        return cls(
            layer[order], thread[order], start[order], (start + np.maximum(dur, 0))[order], threads,
            bool((start[1:] >= start[:-1]).all()), int(start[0]), int(start[-1]),
        )  # fmt: skip


def _threads(part: pa.Table) -> tuple[Ints, list[tuple[Any, ...]]]:
    """A number for the thread, or the stream of a device, of each event, and what each number means."""
    host, device = texts(part, "host"), texts(part, "device")
    stream, tid, pid = (numbers(part, c) for c in ("stream", "tid", "pid"))
    on = stream.valid
    line, lines = distinct(tid.values)
    if on.any():  # streams of a device are no threads
        of_stream = stream.values * (len(device.values) + 1) + device.codes + 1
        line, lines = distinct(np.where(on, lines + of_stream - of_stream.min(), line))
    # all but always there is one host and one process
    more = [c for c in (host.codes, pid.values) if c.min() != c.max()]
    thread, count = combined(line, *(distinct(c)[0] for c in more)) if more else (line, lines)
    first = np.zeros(count, np.int64)
    first[thread[::-1]] = np.arange(len(thread))[::-1]
    return thread, [
        (host.of(row), int(pid.values[row]), device.of(row), int(stream.values[row]))
        if on[row]
        else (host.of(row), int(pid.values[row]), int(tid.values[row]))
        for row in first.tolist()
    ]


def _in_order(given: list[_Part]) -> _Part:
    numbered: dict[tuple[Any, ...], int] = {}
    places = [np.array([numbered.setdefault(t, len(numbered)) for t in p.threads], np.int64) for p in given]
    thread = np.concatenate([place[p.thread] for place, p in zip(places, given, strict=True)])
    layer, start, end = (np.concatenate([getattr(p, c) for p in given]) for c in ("layer", "start", "end"))
    order = np.lexsort((start, thread))
    return _Part(layer[order], thread[order], start[order], end[order], list(numbered), True, 0, 0)


class _Sweep:
    """Goes over the events in the order of their start, and keeps how far each thread is covered by each layer, and by
    it and all below.

    The events of one part are put on one line, thread after thread: each thread is lifted above what the one before can
    reach, and opens with an event without length where it is covered already.

        thread 0, covered to 30:  20..40, 50..60      30..30  20..40  50..60
        thread 1, covered to  0:  10..30         ->   100..100  110..130
    """

    def __init__(self) -> None:
        self.until = _NEVER
        self._threads: dict[tuple[Any, ...], int] = {}
        self._events = np.zeros(len(LAYERS), np.int64)
        self._ns = np.zeros((2, len(LAYERS)), np.int64)
        self._reach = np.full((2, len(LAYERS), 0), _NEVER)

    def add(self, part: _Part) -> None:
        self.until = part.until
        at = np.array([self._threads.setdefault(t, len(self._threads)) for t in part.threads], np.int64)
        more = len(self._threads) - self._reach.shape[2]
        if more:
            self._reach = np.pad(self._reach, ((0, 0), (0, 0), (0, more)), constant_values=_NEVER)
        self._events += np.bincount(part.layer[part.layer >= 0], minlength=len(LAYERS))
        opens = np.searchsorted(part.thread, np.arange(len(at)))
        base = int(part.start.min())
        span = max(int(part.end.max()), int(self._reach[:, :, at].max())) - base + 1
        few = max((1 << 62) // span, 1)  # threads that fit on one line
        for first in range(0, len(at), few):
            mine = slice(opens[first], opens[first + few] if first + few < len(at) else len(part.start))
            lift = (part.thread[mine] - first) * span - base
            starts = opens[first : first + few] - opens[first]
            line = _Line(
                np.insert(part.layer[mine], starts, _OPENS),
                np.insert(part.start[mine] + lift, starts, 0),
                np.insert(part.end[mine] + lift, starts, 0),
            )
            self._cover_all(line, at[first : first + few], base, span)

    def _cover_all(self, line: _Line, at: Ints, base: int, span: int) -> None:
        reach = self._reach[:, :, at]
        lift = np.arange(len(at)) * span
        known = np.maximum(reach - base, 0) + lift
        below: tuple[int, _Line] | None = None  # ns, and the events of the layer below and further down
        for rank, nested in reversed(list(enumerate(line.nested()))):
            own = nested.layer == rank
            if (
                below is not None
                and len(nested.layer) == len(below[1].layer)
                and _same(reach, (1, rank), (1, rank + 1))
            ):
                gained = below[0]
                known[1, rank] = known[1, rank + 1]
            else:
                alone = np.count_nonzero(own) == len(own) - len(at) and _same(reach, (0, rank), (1, rank))
                gained, known[1, rank] = nested.cover(known[1, rank])
                if alone:
                    self._ns[0, rank] += gained
                    known[0, rank] = known[1, rank]
                elif own.any():
                    more, known[0, rank] = nested.where(own | (nested.layer == _OPENS)).cover(known[0, rank])
                    self._ns[0, rank] += more
            self._ns[1, rank] += gained
            below = gained, nested
        self._reach[:, :, at] = np.maximum(reach, known - lift + base)

    def found(self) -> Coverage:
        return _told(self._events, *self._ns)


def _same(reach: Ints, one: tuple[int, int], other: tuple[int, int]) -> bool:
    return np.array_equal(reach[one], reach[other])


@dataclass(frozen=True)
class _Line:
    """Events of several threads on one line of time; `_OPENS` stands at the beginning of each thread."""

    layer: Ranks
    start: Ints
    end: Ints

    def where(self, here: Bools) -> _Line:
        return _Line(self.layer[here], self.start[here], self.end[here])

    def nested(self) -> Iterator[_Line]:
        """For each layer the events of it and of all below."""
        line = self
        for rank in range(len(LAYERS)):
            here = line.layer >= rank
            if not here.all():
                line = line.where(here)
            yield line

    def cover(self, known: Ints) -> tuple[int, Ints]:
        """What these events cover beyond `known`, how far each thread is covered already; and how far it is then."""
        opens = np.flatnonzero(self.layer == _OPENS)
        start, end = self.start.copy(), self.end.copy()
        start[opens] = end[opens] = known
        reach = np.maximum.accumulate(end)
        # never negative: what begins beyond the reach moves it
        gained = int((reach[1:] - np.maximum(reach[:-1], start[1:])).sum())
        return gained, reach[np.append(opens[1:], len(reach)) - 1]
