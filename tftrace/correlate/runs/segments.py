"""Cuts what was recorded of a process into segments that have nothing to do with each other, so that memory for joining
follows the largest of them and not the length of the run.

A cut is a moment at which nothing that was recorded is running, on any thread, and no window of the profiler is open.
The records of each kind, which are numbered as they begin, have to be cut there too: all before it have smaller numbers
than all after it, and none refers to one on the other side.

    thread 1   [Conv2D][Relu]    [Conv2D][Relu]
    thread 2      [share]           [share]
    window                  [    ]
                            |    |       |
                            no   no      a cut: something begins there, and nothing runs on

Where something runs all the time, as a call that lasts as long as the process, there is no cut, and one segment is all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np

from tftrace.agent import contract
from tftrace.correlate.libraries.onednn_lines import Lines, OnednnLines
from tftrace.correlate.tables.columns import Array, Int
from tftrace.ingest.agent_raw import RawProcess, Records
from tftrace.ingest.cudnn.calls import CudnnCalls

RECORDS: Final = 1 << 19
"""Records of a segment, about."""
_SAMPLED: Final = 32
_MARGIN_NS: Final = 1_000_000  # around a window, whose times are another clock's
_NEVER: Final = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Segment:
    """`raw`: the process with the records of the segment, which refer to each other by their places there; `record`:
    number of its first dispatch record in the process."""

    raw: RawProcess
    record: int
    lines: Lines
    cudnn: CudnnCalls


def whole(raw: RawProcess, lines: OnednnLines, cudnn: CudnnCalls) -> Segment:
    """All that was recorded, as one."""
    return Segment(raw, 0, lines.part(slice(None), slice(None), 0), cudnn)


@dataclass(frozen=True)
class _Some:
    """Records that follow each other, from number `first` on: `key` says on which side of a moment each lies, from
    `begin` to `end` it ran, and `refers` to a record of another kind, or NONE. All times are raw."""

    first: int
    key: Int
    begin: Int
    end: Int
    refers: Int | None = None


def segments(
    raw: RawProcess, lines: OnednnLines, cudnn: CudnnCalls, records: int = RECORDS
) -> Iterator[Segment]:
    """One after the other, in the order of time; at least one. What a segment holds is copied for it."""
    bounds = _bounds(raw, lines, cudnn, records)
    if len(bounds) == 2:
        yield whole(raw, lines, cudnn)
        return
    for number, (low, high) in enumerate(pairwise(bounds)):
        dispatch, itt, told, repeated, calls = (slice(a, b) for a, b in zip(low.at, high.at, strict=True))
        made = replace(
            raw,
            dispatch=_counted_from(raw.dispatch[dispatch], parent=dispatch.start),
            itt=_counted_from(raw.itt[itt], parent=itt.start, call=dispatch.start),
            windows=[w for w in raw.windows if low.moment <= int(w["open"]) < high.moment],
        )
        some = replace(
            cudnn,
            records=_counted_from(cudnn.records[calls], call=dispatch.start),
            work=cudnn.work[calls],
            unreadable=0 if number else cudnn.unreadable,
        )
        yield Segment(made, dispatch.start, lines.part(told, repeated, itt.start), some)
        raw.give_back()


@dataclass(frozen=True)
class _Bound:
    """A moment, and the first record of each kind behind it."""

    moment: int
    at: tuple[int, ...]


def _bounds(raw: RawProcess, lines: OnednnLines, cudnn: CudnnCalls, records: int) -> list[_Bound]:
    counts = len(raw.dispatch), len(raw.itt), lines.whole, lines.repeated, len(cudnn.records)
    ends = [_Bound(0, (0, 0, 0, 0, 0)), _Bound(_NEVER, counts)]
    if sum(counts) < 2 * records:
        return ends
    moments = _moments(raw)
    dispatch = _placed(moments, _dispatches(raw), counts[0])
    itt = _placed(moments, _tasks(raw, raw.itt), counts[1], dispatch.first)
    told = _placed(moments, _lines(lines.whole_pieces()), counts[2], itt.first)
    repeated = _placed(moments, _lines(lines.repeated_pieces()), counts[3], itt.first)
    calls = _placed(moments, _tasks(raw, cudnn.records), counts[4], dispatch.first)
    kinds = (dispatch, itt, told, repeated, calls)
    windows = _placed(moments, _windows(raw.windows), len(raw.windows))
    good = np.flatnonzero(np.logical_and.reduce([k.good for k in kinds]) & windows.still)
    before = sum(k.first[good] for k in kinds)
    wanted = np.unique(np.searchsorted(before, np.arange(records, sum(counts), records)))
    chosen = good[wanted[wanted < len(good)]]
    inner = [_Bound(int(moments[m]), tuple(int(k.first[m]) for k in kinds)) for m in chosen.tolist()]
    return [ends[0], *inner, ends[1]]


def _moments(raw: RawProcess) -> Int:
    """Times at which calls began, some of them."""
    found = [some["t0"][::_SAMPLED].copy() for _, some in raw.pieces(raw.dispatch)]
    times = np.unique(np.concatenate([np.empty(0, np.int64), *found]))
    return np.asarray(times[times > 0], np.int64)


@dataclass(frozen=True)
class _Placed:
    """For each moment: `first`, the first record behind it; `still`, whether none was running; `good`, whether all
    before it have smaller numbers, and none refers across it, as well."""

    first: Int
    still: Array
    good: Array


def _placed(moments: Int, pieces: Iterator[_Some], count: int, others: Int | None = None) -> _Placed:
    """`others`: the first records behind the moments of the kind that these refer to."""
    n = len(moments)
    running = np.zeros(n + 1, np.int64)  # how many more than at the moment before
    last, first = (
        np.full(n + 1, -1, np.int64),
        np.full(n + 1, count, np.int64),
    )  # between one moment and the next
    highest, lowest = np.full(n + 1, -1, np.int64), np.full(n + 1, _NEVER)
    for some in pieces:
        behind = np.searchsorted(moments, some.key, "right")  # so many moments
        rows = np.arange(some.first, some.first + len(some.key))
        written = some.key > 0
        np.maximum.at(last, behind[written], rows[written])
        np.minimum.at(first, behind[written], rows[written])
        begun, ended = (
            np.searchsorted(moments, some.begin, "right"),
            np.searchsorted(moments, some.end, "left"),
        )
        over = written & (ended > begun)
        np.add.at(running, begun[over], 1)
        np.add.at(running, ended[over], -1)
        if some.refers is not None:
            told = written & (some.refers >= 0)
            np.maximum.at(highest, behind[told], some.refers[told])
            np.minimum.at(lowest, behind[told], some.refers[told])
    still = np.cumsum(running)[:n] == 0
    after = np.minimum.accumulate(first[:0:-1])[::-1]
    good = still & (np.maximum.accumulate(last[:n]) < after)
    if others is not None:
        good &= np.maximum.accumulate(highest[:n]) < others
        good &= np.minimum.accumulate(lowest[:0:-1])[::-1] >= others
    return _Placed(after, still, good)


def _dispatches(raw: RawProcess) -> Iterator[_Some]:
    for at, some in raw.pieces(raw.dispatch):
        still_open = some["status"] == contract.STATUS.index("open")
        yield _Some(at, some["t0"], some["t0"], np.where(still_open, _NEVER, some["t1"]))


def _tasks(raw: RawProcess, records: Records) -> Iterator[_Some]:
    """Tasks of oneDNN, or calls into cuDNN."""
    for at, some in raw.pieces(records):
        end = np.where(some["t1"] > 0, some["t1"], _NEVER)
        yield _Some(at, some["t0"], some["t0"], end, some["call"].astype(np.int64) - 1)


def _lines(pieces: Iterator[tuple[int, Int, Any, Int]]) -> Iterator[_Some]:
    """Lines have the time of their end alone; a task that one was printed under may be as long."""
    for at, end, ms, itt in pieces:
        yield _Some(at, end, end - (np.maximum(ms, 0) * 1e6).astype(np.int64), end, itt)


def _windows(windows: list[dict[str, Any]]) -> Iterator[_Some]:
    for at, window in enumerate(windows):
        opened = int(window["open"])
        closed = window.get("closed") or window.get("close")
        begin = min(int(window.get("asked") or opened), opened) - _MARGIN_NS
        end = _NEVER if closed is None else int(closed) + _MARGIN_NS
        yield _Some(at, *(np.array([t], np.int64) for t in (opened, begin, end)))


def _counted_from(records: Records, **first: int) -> Records:
    """The same records, whose references (number + 1, or 0) are counted from other ones."""
    made: Records = records.copy()
    for name, skipped in first.items():
        made[name] = np.where(made[name] > skipped, made[name] - np.uint64(skipped), np.uint64(0))
    return made
