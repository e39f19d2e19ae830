"""What every event spends itself, and which event stands above it: what flame graphs, steps and waterfalls are summed
from. Of a large trace C says so part by part, and what is kept of an event takes few bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.analysis import native_nesting
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
from tftrace.analysis.lengths import Lengths
from tftrace.analysis.native_threads import COLUMNS
from tftrace.correlate.nesting import nest
from tftrace.model.layers import EVIDENCE, LAYERS
from tftrace.model.trace import Trace

IN_C: Final = 1 << 19
"""Rows from which on C, which may have to be compiled first, is worth it."""
_ROWS: Final = 1 << 16
"""Rows that are looked at together: what is made of them then stays in the processor's caches."""
OTHER = len(LAYERS)
"""Layer of what tftrace itself did."""
_LINKED: Final = LAYERS.index("device")
"""Layer of events whose link goes before what they are inside of."""


Whole = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True)
class OwnTime:
    """One entry an event, in the order of the events table; rows are positions in it, -1 for none."""

    inside: Whole
    """The innermost event of the same thread or stream in which it begins."""
    layer: Whole
    """Position in `LAYERS`, or `OTHER`."""
    own: Lengths
    """ns in which nothing inside it runs: over one thread these add up to the time covered by its events."""
    nested: native_nesting.Nested | None = None
    """The same, where C found it."""


def own_time(trace: Trace) -> OwnTime:
    """Nesting and own times of the events, from the table events.

    runtime  0 ........ 100            own  30
    kernel      20 .. 90               own  70 - 50
    library       30 . 80              own  50
    device (a stream)    70 .... 120   own  50
    """
    count = table(trace, "events").num_rows
    fast = native_nesting.functions(count) if count >= IN_C else None
    if fast is not None:
        found = fast.nest(parts(trace, "events", COLUMNS, lambda part, _: part, rows=_ROWS), count)
        if found is not None:
            return OwnTime(found.inside, found.layer, found.own, found)
    layer, start, dur = _read(trace)
    inside, _ = nest(_lines(trace), start, start + dur, layer.astype(np.int64))
    child = np.flatnonzero(inside >= 0)
    above = inside[child]
    within = np.minimum(start[child] + dur[child], start[above] + dur[above]) - start[child]
    taken = np.bincount(above, weights=within, minlength=count).astype(np.int64)
    return OwnTime(inside, layer, Lengths.of(dur - taken))


def parents(trace: Trace, of: OwnTime) -> Whole:
    """What stands above each event in a chain: what it is inside of, else the event of another thread that it is linked
    to. Work of a device has its link first: the thread of a pool runs whatever it is given.

        runtime  0 ........ 100            -
        library       30 . 80              runtime
        device (a stream)    70 .... 120   library, which it is linked to

    Of several links to one event the one of the strongest evidence counts, then that to the event that began last.
    """
    if of.nested is not None:
        return _parents_in_c(trace, of.nested)
    linked = _linked(trace, _read(trace)[1])
    by_link = (linked >= 0) & ((of.inside < 0) | (of.layer == _LINKED))
    parent = np.where(by_link, linked, of.inside)
    # A link that makes a circle counts for nothing.
    return np.where(depths(parent) < 0, of.inside, parent)


def _read(trace: Trace) -> tuple[npt.NDArray[np.int8], Ints, Ints]:
    """Layer, start and length of the events."""

    events = table(trace, "events")
    names = texts(events, "layer")
    place = np.array([LAYERS.index(v) if v in LAYERS else OTHER for v in names.values] + [OTHER], np.int8)
    dur = np.maximum(numbers(events, "dur_ns").values, 0)
    return place[names.codes], numbers(events, "start_ns").values, dur


def _parents_in_c(trace: Trace, nested: native_nesting.Nested) -> Whole:
    count = len(nested.inside)
    fast = native_nesting.functions(count)
    assert fast is not None
    ids = rows_of(table(trace, "events"), "event_id")

    def make(part: pa.Table, _: int) -> tuple[Ints, Ints, npt.NDArray[np.int8]]:
        grade = texts(part, "evidence")
        known = [EVIDENCE.index(v) if v in EVIDENCE else len(EVIDENCE) for v in grade.values]
        child, parent = (positions_in(ids, numbers(part, c)) for c in ("child_id", "parent_id"))
        return child, parent, np.array([*known, len(EVIDENCE)], np.int8)[grade.codes]

    above, weakest = np.full(count, -1, np.int32), np.zeros(count, np.int8)
    for child, parent, weak in parts(trace, "links", ["child_id", "parent_id", "evidence"], make, rows=_ROWS):
        fast.link(child, parent, weak, nested.starts, above, weakest)
    del weakest
    fast.parents(nested, _LINKED, above)
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
    if of.nested is not None:
        return _call_of_in_c(trace, of.nested)
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


def _call_of_in_c(trace: Trace, nested: native_nesting.Nested) -> native_nesting.Rows:
    count = len(nested.inside)
    fast = native_nesting.functions(count)
    assert fast is not None
    calls, events = rows_of(table(trace, "calls"), "call_id"), rows_of(table(trace, "events"), "event_id")

    def make(part: pa.Table, _: int) -> tuple[Ints, Ints, npt.NDArray[np.float32]]:
        event, call = (
            positions_in(events, numbers(part, "event_id")),
            positions_in(calls, numbers(part, "call_id")),
        )
        return event, call, np.asarray(part.column("share").to_numpy(), np.float32)

    found, most = np.full(count, -1, np.int32), np.zeros(count, np.float32)
    for event, call, share in parts(trace, "event_calls", ["event_id", "call_id", "share"], make, rows=_ROWS):
        fast.shares(event, call, share, found, most)
    del most
    fast.inherit(nested.inside, found)
    return found
