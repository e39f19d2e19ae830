"""The events of a trace as arrays in the page's order, and what each of them shares with others (its
`info`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tftrace.errors import InputError
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace
from tftrace.views.page import legible
from tftrace.views.timeline.columns import Ints, codes, combine, ints, json_object, table, texts
from tftrace.views.timeline.lanes import OTHER, Lanes, assign_lanes

LONGEST_SPAN = 1 << 53
"""ns that JavaScript's numbers hold exactly: 104 days."""

SHOWN_ATTRS = (
    "shapes", "dtypes", "op_attrs", "implementation", "algorithm", "engine", "knobs", "workspace_bytes",
    "problem", "problem_descriptor", "eager_op", "shape", "tf_op", "kernel_details", "memcpy_details",
)  # fmt: skip
"""Attributes that the page shows. Others, such as step ids, differ from event to event and say nothing to a
reader."""


class Strings:
    """Numbers distinct texts, so that the page holds each once."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}

    def __call__(self, text: str | None) -> int:
        """Number of the text, -1 for none."""
        return -1 if text is None else self._index.setdefault(text, len(self._index))

    def all(self) -> list[str]:
        return list(self._index)


@dataclass(frozen=True)
class Events:
    """Arrays with one entry an event, sorted by (start, event_id): the position is the event's rank in the
    page."""

    t0: int
    """Start of the trace, ns since the epoch. JavaScript's numbers cannot hold times since the epoch in
    ns."""
    span: int
    start: Ints
    """ns since t0."""
    dur: Ints
    info: Ints
    event_id: Ints
    lanes: Lanes
    infos: dict[str, Any]
    """Columns of the distinct infos: name, layer, kind of call, stack, extra, open (see `describe`)."""

    @cached_property
    def numbered(self) -> bool:
        """Whether the rank is the event_id, as in a trace of ours."""
        return bool(np.array_equal(self.event_id, np.arange(len(self.event_id))))

    @cached_property
    def _by_id(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.event_id, kind="stable")
        return order, self.event_id[order]

    def rank(self, event_id: Ints) -> Ints:
        """Rank of each event_id, -1 where no event has it."""
        if self.numbered:
            return np.where((event_id >= 0) & (event_id < len(self.start)), event_id, -1)
        order, sorted_ids = self._by_id
        at = np.minimum(np.searchsorted(sorted_ids, event_id), max(len(order) - 1, 0))
        return (
            np.where(sorted_ids[at] == event_id, order[at], -1) if len(order) else np.full(len(event_id), -1)
        )


def read_events(trace: Trace, strings: Strings, kind_of: Callable[[Ints], Ints]) -> Events | None:
    """The events of the trace, None where it has none; `kind_of` gives the kind of the call of each event_id.

    Raises InputError for an event without a start, a negative duration, two events of one id, attributes that
    are not a JSON object, or times that lie too far apart to be one run's.
    """
    events = table(trace, "events")
    n = events.num_rows
    if not n:
        return None
    event_id = ints(events["event_id"])
    if events["start_ns"].null_count:
        raise InputError(
            f"{trace.name}: {events['start_ns'].null_count} events have no start_ns; rebuild the tables"
        )
    epoch = ints(events["start_ns"])
    later, after = np.diff(epoch), np.diff(event_id)
    if not ((later > 0) | ((later == 0) & (after > 0))).all():
        order = np.lexsort((event_id, epoch))
        events, event_id, epoch = events.take(pa.array(order)), event_id[order], epoch[order]
        after = np.diff(event_id)
    if not (after > 0).all() and len(np.unique(event_id)) != n:
        raise InputError(f"{trace.name}: some event_id occurs twice in events; rebuild the tables from raw/")
    probes, probe_values = texts(events["probe"])
    others = np.array([v.startswith("import:") for v in probe_values] + [False], bool)[probes]
    # what others recorded without an end is a moment; in records of our own it was running when the process ended
    untold = np.asarray(events["dur_ns"].is_null().combine_chunks().to_numpy(zero_copy_only=False))
    unfinished = untold & ~others
    dur = ints(events["dur_ns"], null=0)
    if (dur < 0).any():
        raise InputError(
            f"{trace.name}: event {event_id[dur < 0][0]} has a negative duration; rebuild the tables"
        )
    t0 = int(epoch[0])
    if int(epoch[-1]) - t0 >= LONGEST_SPAN or int(dur.max()) >= LONGEST_SPAN:
        raise InputError(
            f"{trace.name}: its events lie more than 104 days apart; are the clocks of its files one?"
        )
    start = epoch - t0
    span = max(1, int((start + dur).max()))
    dur = np.where(unfinished, span - start, dur)  # still running when the process ended

    names, name_values = texts(events["name"])
    layer = _layers(events["layer"])
    stack = ints(events["stack_id"])
    extra, extras = _extras(events["attrs"], trace.name, strings)
    kind = kind_of(event_id)
    info, sample = combine(layer, names, kind, stack, extra, unfinished.astype(np.int64))
    name_string = np.array([strings(v) for v in name_values] + [-1], np.int64)
    infos = {
        "name": name_string[names[sample]].tolist(),
        "layer": layer[sample].tolist(),
        "kind": kind[sample].tolist(),
        "stack": stack[sample].tolist(),
        "extra": extra[sample].tolist(),
        "open": np.flatnonzero(unfinished[sample]).tolist(),
        "extras": extras,
    }
    lanes = assign_lanes(
        start,
        dur,
        layer,
        texts(events["host"], 80),
        ints(events["pid"]),
        ints(events["tid"]),
        texts(events["device"], 80),
        ints(events["stream"]),
        trace.manifest,
    )
    return Events(t0, span, start, dur, info, event_id, lanes, infos)


def _layers(column: pa.ChunkedArray) -> Ints:
    index, values = texts(column)
    known: Mapping[str, int] = {name: number for number, name in enumerate(LAYERS)}
    return np.array([known.get(v, OTHER) for v in values] + [OTHER], np.int64)[index]


def _extras(column: pa.ChunkedArray, trace: str, strings: Strings) -> tuple[Ints, list[list[int]]]:
    """(number of each event's shown attributes or -1, [key, value, key, value ..] of each number as
    strings)."""
    if column.null_count == len(column):
        return np.full(len(column), -1, np.int64), []
    raw = column.cast(pa.binary())
    # Most of a large trace's attributes are TensorFlow's ids: a scan for the few keys in C++ spares parsing
    # them.
    wanted = pc.match_substring_regex(raw, '"(' + "|".join(SHOWN_ATTRS) + ')"')
    index, values = codes(pc.if_else(pc.fill_null(wanted, False), raw, pa.scalar(None, pa.binary())))
    seen: dict[tuple[int, ...], int] = {}
    number = np.full(len(values) + 1, -1, np.int64)
    for at, value in enumerate(values):
        attrs = json_object(
            value, f"{trace}: attrs {legible(value[:80].decode('utf-8', 'replace'), 40)!r} of events"
        )
        pairs = tuple(_pairs(attrs, strings))
        if pairs:
            number[at] = seen.setdefault(pairs, len(seen))
    return number[index], [list(pairs) for pairs in seen]


def _pairs(attrs: Mapping[str, Any], strings: Strings) -> Iterable[int]:
    for key in SHOWN_ATTRS:
        value = attrs.get(key)
        if value is not None:
            yield strings(key)
            yield strings(plain(value))


def plain(value: Any) -> str:
    """A JSON value as short legible text: strings bare, all else as JSON."""
    if isinstance(value, str):
        return legible(value)
    try:
        return legible(orjson.dumps(value).decode())
    except TypeError:  # integers beyond 64 bits, strings with lone surrogates
        return legible(str(value))
