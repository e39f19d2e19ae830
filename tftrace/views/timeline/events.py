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
from tftrace.views.timeline.columns import (
    Ints,
    codes,
    column,
    combine,
    ints,
    json_object,
    narrow,
    slices,
    texts,
)
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
    event_id = narrow(ints(column(trace, "events", "event_id")))
    n = len(event_id)
    if not n:
        return None
    t0, start, order = _starts(trace, event_id)
    if order is not None:
        event_id = event_id[order]

    def read(name: str) -> pa.ChunkedArray:
        whole = column(trace, "events", name)
        return whole if order is None else whole.take(pa.array(order))

    if not (event_id[1:] > event_id[:-1]).all() and len(np.unique(event_id)) != n:
        raise InputError(f"{trace.name}: some event_id occurs twice in events; rebuild the tables from raw/")
    dur, unfinished = _durations(read("dur_ns"), read("probe"))
    if (dur < 0).any():
        raise InputError(
            f"{trace.name}: event {event_id[dur < 0][0]} has a negative duration; rebuild the tables"
        )
    if int(start[-1]) >= LONGEST_SPAN or int(dur.max()) >= LONGEST_SPAN:
        raise InputError(
            f"{trace.name}: its events lie more than 104 days apart; are the clocks of its files one?"
        )
    span = max(1, *(int((start[part] + dur[part]).max()) for part in slices(n)))
    dur[unfinished] = span - start[unfinished]

    names, name_values = texts(read("name"))
    layer = _layers(read("layer"))
    stack = ints(read("stack_id"))
    extra, extras = _extras(read("attrs"), trace.name, strings)
    kind = kind_of(event_id)
    info, sample = combine(layer, names, kind, stack, extra, unfinished.astype(np.int8))
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
    del names, kind, stack, extra, unfinished
    lanes = assign_lanes(
        start,
        dur,
        layer,
        texts(read("host"), 80),
        ints(read("pid")),
        narrow(ints(read("tid"))),
        texts(read("device"), 80),
        ints(read("stream")),
        trace.manifest,
    )
    return Events(t0, span, start, dur, info, event_id, lanes, infos)


def _starts(trace: Trace, event_id: Ints) -> tuple[int, Ints, Ints | None]:
    """(the first start, ns from it to each start, order of the rows by start and event_id or None if they stand so)."""
    rows = column(trace, "events", "start_ns")
    if rows.null_count:
        raise InputError(f"{trace.name}: {rows.null_count} events have no start_ns; rebuild the tables")
    epoch = ints(rows)
    order = None
    same = epoch[1:] == epoch[:-1]
    if not ((epoch[1:] > epoch[:-1]) | same & (event_id[1:] > event_id[:-1])).all():
        order = np.lexsort((event_id, epoch))
        epoch = epoch[order]
    return int(epoch[0]), epoch - int(epoch[0]), order


def _durations(rows: pa.ChunkedArray, probe: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """(duration of each event, 0 where none was told; whether it was still running when the process ended).

    What others recorded without an end is a moment."""
    probes, values = texts(probe)
    others = np.array([v.startswith("import:") for v in values] + [False], bool)[probes]
    untold = np.asarray(rows.is_null().combine_chunks().to_numpy(zero_copy_only=False))
    dur = ints(rows, null=0)
    return dur if dur.flags.writeable else dur.copy(), untold & ~others


def _layers(rows: pa.ChunkedArray) -> Ints:
    index, values = texts(rows)
    known: Mapping[str, int] = {name: number for number, name in enumerate(LAYERS)}
    return np.array([known.get(v, OTHER) for v in values] + [OTHER], np.int8)[index]


def _extras(rows: pa.ChunkedArray, trace: str, strings: Strings) -> tuple[Ints, list[list[int]]]:
    """(number of each event's shown attributes or -1, [key, value, key, value ..] of each number as
    strings)."""
    if rows.null_count == len(rows):
        return narrow(np.full(len(rows), -1, np.int8)), []
    raw = rows.cast(pa.binary())
    # Most of a large trace's attributes are TensorFlow's ids: a scan for the few keys in C++ spares parsing
    # them.
    wanted = pc.match_substring_regex(raw, '"(' + "|".join(SHOWN_ATTRS) + ')"')
    index, values = codes(pc.if_else(pc.fill_null(wanted, False), raw, pa.scalar(None, pa.binary())))
    seen: dict[tuple[int, ...], int] = {}
    number = np.full(len(values) + 1, -1, np.int32)
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
