"""What every event spends itself, and which event stands above it: what flame graphs, steps and waterfalls are summed
from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tftrace.analysis.columns import Bools, Ints, combined, numbers, positions, table, texts
from tftrace.correlate.nesting import nest
from tftrace.model.layers import EVIDENCE, LAYERS
from tftrace.model.trace import Trace

OTHER = len(LAYERS)
"""Layer of what tftrace itself did."""


@dataclass(frozen=True)
class OwnTime:
    """Arrays with one entry an event, in the order of the events table; rows are positions in it, -1 for none."""

    inside: Ints
    """The innermost event of the same thread or stream in which it begins."""
    parent: Ints
    """What stands above it in a chain: `inside`, else the event of another thread that it is linked to. Work of a
    device has its link first: the thread of a pool runs whatever it is given."""
    layer: Ints
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
    names = texts(events, "layer")
    place = np.array([LAYERS.index(v) if v in LAYERS else OTHER for v in names.values] + [OTHER], np.int64)
    layer = place[names.codes]
    start, dur = numbers(events, "start_ns").values, np.maximum(numbers(events, "dur_ns").values, 0)
    inside, _ = nest(_lines(trace), start, start + dur, layer)
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


def depths(parent: Ints) -> Ints:
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


def call_of(trace: Trace, of: OwnTime) -> Ints:
    """Row of the call that each event counts for, -1 for none: that with the largest share in it, of equal ones the
    innermost; an event that belongs to none counts for the call of what it runs inside."""
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
