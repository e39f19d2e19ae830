"""What every event spends itself, and which event stands above it: what flame graphs, steps and waterfalls are summed
from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.analysis import native_coverage, native_nesting
from tftrace.analysis.columns import (
    Bools,
    Ints,
    combined,
    numbers,
    parts,
    positions,
    positions_in,
    rows_of,
    table,
    texts,
)
from tftrace.correlate.nesting import nest
from tftrace.model.layers import EVIDENCE, LAYERS
from tftrace.model.trace import Trace

IN_C: Final = 1 << 19
"""Rows from which on C, which may have to be compiled first, is worth it."""
_ROWS: Final = 1 << 16
"""Rows that are looked at together: what is made of them then stays in the processor's caches."""
OTHER = len(LAYERS)
"""Layer of what tftrace itself did."""


Whole = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True)
class OwnTime:
    """Arrays with one entry an event, in the order of the events table; rows are positions in it, -1 for none."""

    inside: Whole
    """The innermost event of the same thread or stream in which it begins."""
    parent: Whole
    """What stands above it in a chain: `inside`, else the event of another thread that it is linked to. Work of a
    device has its link first: the thread of a pool runs whatever it is given."""
    layer: Whole
    """Position in `LAYERS`, or `OTHER`."""
    dur: Ints
    own: Ints
    """ns in which nothing inside it runs: over one thread these add up to the time covered by its events."""


def own_time(trace: Trace) -> OwnTime:
    """Nesting, parents and own times of the events, from the tables events and links.

        runtime  0 ........ 100            own  30
        kernel      20 .. 90               own  70 - 50
        library       30 . 80              own  50
        device (a stream)    70 .... 120   own  50, parent: the library call that it is linked to

    Of several links to one event the one of the strongest evidence counts, then that to the event that began last.
    """
    events = table(trace, "events")
    fast = _in_c(trace)
    layer, start, dur = _read(trace)
    if fast is not None:
        lines = native_coverage.threads(
            parts(trace, "events", native_coverage.THREAD, lambda part, _: part, rows=_ROWS), events.num_rows
        )
        if lines is not None:
            return _own_time_in_c(fast, trace, lines, layer, start, dur)
    inside, _ = nest(_lines(trace), start, start + dur, layer.astype(np.int64))
    child = np.flatnonzero(inside >= 0)
    above = inside[child]
    within = np.minimum(start[child] + dur[child], start[above] + dur[above]) - start[child]
    taken = np.bincount(above, weights=within, minlength=events.num_rows).astype(np.int64)
    linked = _linked(trace, start)
    by_link = (linked >= 0) & ((inside < 0) | (layer == LAYERS.index("device")))
    parent = np.where(by_link, linked, inside)
    # A link that makes a circle counts for nothing.
    parent = np.where(depths(parent) < 0, inside, parent)
    return OwnTime(inside, parent, layer, dur, dur - taken)


def _in_c(trace: Trace) -> native_nesting.Functions | None:
    rows = table(trace, "events").num_rows
    return native_nesting.functions(rows) if rows >= IN_C else None


def _read(trace: Trace) -> tuple[npt.NDArray[np.int8], Ints, Ints]:
    """Layer, start and length of the events."""

    count = table(trace, "events").num_rows
    layer, start, dur = (np.zeros(count, kind) for kind in (np.int8, np.int64, np.int64))

    def make(part: pa.Table, first: int) -> None:
        here = slice(first, first + part.num_rows)
        names = texts(part, "layer")
        place = np.array([LAYERS.index(v) if v in LAYERS else OTHER for v in names.values] + [OTHER], np.int8)
        layer[here] = place[names.codes]
        start[here] = numbers(part, "start_ns").values
        np.maximum(numbers(part, "dur_ns").values, 0, out=dur[here])

    for _ in parts(trace, "events", ["layer", "start_ns", "dur_ns"], make, rows=_ROWS):
        pass
    return layer, start, dur


def _own_time_in_c(
    fast: native_nesting.Functions,
    trace: Trace,
    lines: tuple[native_nesting.Rows, int],
    layer: npt.NDArray[np.int8],
    start: Ints,
    dur: Ints,
) -> OwnTime:
    inside, taken = fast.nest(*lines, start, dur, layer)
    parent = _linked_in_c(fast, trace, start)
    by_link = (parent >= 0) & ((inside < 0) | (layer == LAYERS.index("device")))
    np.copyto(parent, inside, where=~by_link)
    circles = fast.depths(parent) < 0
    np.copyto(parent, inside, where=circles)
    np.subtract(dur, taken, out=taken)
    return OwnTime(inside, parent, layer, dur, taken)


def _linked_in_c(fast: native_nesting.Functions, trace: Trace, start: Ints) -> native_nesting.Rows:
    ids = rows_of(table(trace, "events"), "event_id")

    def make(part: pa.Table, _: int) -> tuple[Ints, Ints, npt.NDArray[np.int8]]:
        grade = texts(part, "evidence")
        known = [EVIDENCE.index(v) if v in EVIDENCE else len(EVIDENCE) for v in grade.values]
        child, parent = (positions_in(ids, numbers(part, c)) for c in ("child_id", "parent_id"))
        return child, parent, np.array([*known, len(EVIDENCE)], np.int8)[grade.codes]

    above, weakest = np.full(len(start), -1, np.int32), np.zeros(len(start), np.int8)
    for child, parent, weak in parts(trace, "links", ["child_id", "parent_id", "evidence"], make, rows=_ROWS):
        fast.link(child, parent, weak, start, above, weakest)
    return above


def _lines(trace: Trace) -> Ints:
    """Number of each event's thread or device stream."""
    events = table(trace, "events")
    stream, tid, pid = (numbers(events, c) for c in ("stream", "tid", "pid"))
    device = np.where(stream.valid, texts(events, "device").codes, -1)
    place = np.where(stream.valid, stream.values, tid.values)
    return combined(
        texts(events, "host").codes, pid.values, device, stream.valid.astype(np.int64), _dense(place)
    )[0]


def _dense(values: Ints) -> Ints:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _linked(trace: Trace, start: Ints) -> Ints:
    events, links = table(trace, "events"), table(trace, "links")
    child, parent = (positions(events, "event_id", numbers(links, c)) for c in ("child_id", "parent_id"))
    grade = texts(links, "evidence")
    strength = np.array(
        [EVIDENCE.index(v) if v in EVIDENCE else len(EVIDENCE) for v in grade.values], np.int64
    )
    weak = np.append(strength, len(EVIDENCE))[grade.codes]
    there = (child >= 0) & (parent >= 0) & (child != parent)
    child, parent, weak = child[there], parent[there], weak[there]
    order = np.lexsort((start[parent], -weak, child))  # the last of a child's is the one to keep
    above = np.full(events.num_rows, -1, np.int64)
    above[child[order]] = parent[order]
    return above


def depths(parent: Whole) -> Whole:
    """How many events stand above each; -1 where it lies in a circle, or below one."""
    fast = native_nesting.functions(len(parent)) if len(parent) >= IN_C else None
    if fast is not None:
        return fast.depths(np.ascontiguousarray(parent, np.int32))
    depth = np.where(parent < 0, 0, -1)
    waiting = np.flatnonzero(parent >= 0)
    while len(waiting):
        above = depth[parent[waiting]]
        known: Bools = above >= 0
        if not known.any():
            break
        depth[waiting[known]] = above[known] + 1
        waiting = waiting[~known]
    return depth


def call_of(trace: Trace, of: OwnTime) -> Whole:
    """Row of the call that each event counts for, -1 for none: that with the largest share in it, of equal ones the
    innermost; an event that belongs to none counts for the call of what it runs inside."""
    fast = _in_c(trace)
    if fast is not None:
        return _call_of_in_c(fast, trace, of)
    events, members, calls = (table(trace, n) for n in ("events", "event_calls", "calls"))
    call = positions(calls, "call_id", numbers(members, "call_id"))
    event = positions(events, "event_id", numbers(members, "event_id"))
    share = np.nan_to_num(np.asarray(members.column("share").to_numpy(), np.float64), nan=1.0)
    there = (call >= 0) & (event >= 0)
    order = np.lexsort((call[there], share[there], event[there]))
    found = np.full(events.num_rows, -1, np.int64)
    found[event[there][order]] = call[there][order]
    waiting = np.flatnonzero((found < 0) & (of.inside >= 0))
    depth = depths(of.inside)
    for level in np.unique(depth[waiting]).tolist():
        mine = waiting[depth[waiting] == level]
        found[mine] = found[of.inside[mine]]
    return found


def _call_of_in_c(fast: native_nesting.Functions, trace: Trace, of: OwnTime) -> native_nesting.Rows:
    calls, events = rows_of(table(trace, "calls"), "call_id"), rows_of(table(trace, "events"), "event_id")

    def make(part: pa.Table, _: int) -> tuple[Ints, Ints, npt.NDArray[np.float32]]:
        event, call = (
            positions_in(events, numbers(part, "event_id")),
            positions_in(calls, numbers(part, "call_id")),
        )
        return event, call, np.asarray(part.column("share").to_numpy(), np.float32)

    found, most = np.full(len(of.dur), -1, np.int32), np.zeros(len(of.dur), np.float32)
    for event, call, share in parts(trace, "event_calls", ["event_id", "call_id", "share"], make, rows=_ROWS):
        fast.shares(event, call, share, found, most)
    fast.inherit(np.ascontiguousarray(of.inside, np.int32), found)
    return found
