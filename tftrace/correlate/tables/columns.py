"""Grows the columns of a trace's tables chunk by chunk, without an object per event; on disk where they are many."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.correlate.tables.attributes import NONE, Attributes, Interner, dense
from tftrace.correlate.tables.memory import give_back
from tftrace.correlate.tables.scratch import Kept, Scratch, in_order, in_turn, merged, narrow, single
from tftrace.model import schemas
from tftrace.store.pages import Pages

__all__ = ["NONE", "Int", "Interner", "TraceBuilder"]

Int = npt.NDArray[np.int64]
Array = npt.NDArray[Any]


def numbered(*keys: Int) -> Int:
    """The same number for equal combinations of keys, from 0 on without a gap."""
    out = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        low, high = (int(key.min()), int(key.max())) if len(key) else (0, 0)
        span = high - low + 1
        if span * (len(out) + 1) >= 1 << 62:
            key, low, span = dense(key), 0, len(out) + 1
        out = dense(out * span + (key - low))
    return out


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def taken(values: Int, at: Int) -> Int:
    """`values` at the rows `at`; NONE where a row is NONE."""
    if not len(values):
        return np.full(len(at), NONE, np.int64)
    return np.where(at >= 0, values[np.maximum(at, 0)], NONE)


def column(n: int, value: int | Sequence[int] | Int) -> Int:
    """`n` values; one that all rows have in common takes no memory, and cannot be written to."""
    return np.broadcast_to(np.int64(value), n) if np.isscalar(value) else np.asarray(value, np.int64)  # type: ignore[arg-type]


EVENT_COLUMNS = (
    "layer", "name", "start_ns", "dur_ns", "host", "pid", "tid", "device", "stream", "correlation_id", "stack_id",
    "probe", "attrs",
)  # fmt: skip


CODES: Final = frozenset({"layer", "name", "host", "device", "probe", "stack_id"})
"""Columns of small numbers of our own."""
ROWS: Final = 1 << 19
"""Rows that are written at once .."""
CALL_ROWS: Final = 1 << 18
""".. and of `calls`, which has the most columns."""
TEXT_BYTES: Final = 1 << 27
"""Bytes of attributes that are written at once, about."""
_TURN: Final = 1 << 40
"""Rows that may be added at a time."""


class TraceBuilder:
    """All tables of a trace while they grow. Event numbers are provisional until they are written, sorted by time.

    What is many goes to a file in `directory` (default: where temporary files go) and is read again slice by slice.
    """

    def __init__(self, directory: Path | None = None, scratch: Scratch | None = None) -> None:
        self.words = Interner()  # layers, names, hosts, devices, probes, rules, grades
        self.pages = Pages(directory)  # for what lives while the trace grows
        self.attrs = Attributes(self.pages)
        self._scratch = scratch or Scratch(directory)
        self._events: list[dict[str, Kept]] = []  # each in the order of time
        self._links: list[dict[str, Kept]] = []
        self._event_calls: list[dict[str, Kept]] = []
        self._relayered: list[tuple[Int, Int]] = []
        self._described: list[tuple[Int, Int]] = []
        self._layers: set[int] = set()
        self._first_start: int | None = None
        self._turns = 0
        self.event_count = 0
        self.call_count = 0
        self.graphs = self.tf_sessions = 0  # numbers given to those of the processes so far
        self.sites: list[dict[str, Any]] = []
        self._calls: list[dict[str, Kept]] = []
        self._renumbered = False
        self.stacks: list[list[dict[str, Any]]] = []
        self._stack_ids: dict[Any, int] = {}
        self.algorithms: list[dict[str, Any]] = []

    def turns(self, count: int) -> list[int]:
        """Places in the order of what is added: rows that are added in several pieces have the place of the first, so
        that they lie where they would as one."""
        self._turns += count
        return [(self._turns - count + n) * _TURN for n in range(count)]

    @contextmanager
    def side_by_side(self) -> Iterator[Callable[[], None]]:
        """Yields what is called before each of several parts that come one after the other in time: what the parts add
        has the same places in the order of what is added."""
        first = last = self._turns

        def begins_anew() -> None:
            nonlocal last
            last, self._turns = max(last, self._turns), first

        yield begins_anew
        self._turns = max(last, self._turns)

    def events(self, n: int, **columns: Any) -> Int:
        """Adds `n` events and returns their numbers. A column not given is null. `order`, place of `turns` and rank in
        it, decides between events that begin at once; default: that in which they are added."""
        ids = np.arange(self.event_count, self.event_count + n, dtype=np.int64)
        self.event_count += n
        if not n:
            return ids
        made = {name: column(n, columns.get(name, NONE)) for name in EVENT_COLUMNS}
        start = made["start_ns"]
        rank = self._rank(n, columns)
        rows: Int | None = None
        if (start[1:] < start[:-1]).any() or (rank[1:] < rank[:-1]).any():
            rows = in_order(start, rank)
        chunk: dict[str, Kept] = {}
        for name, values in {**made, "_id": ids, "_order": rank}.items():
            if not single(values):
                values = values.astype(np.int32) if name in CODES else values
                values = values if rows is None else values[rows]
                values = values if name in ("start_ns", "_order") else narrow(values)
            chunk[name] = self._scratch.keep(values)
        self._events.append(chunk)
        layer = made["layer"]
        self._layers |= {int(c) for c in np.unique(layer[:1] if single(layer) else layer)} - {NONE}
        first = int(start.min())
        self._first_start = first if self._first_start is None else min(first, self._first_start)
        return ids

    def _rank(self, n: int, columns: dict[str, Any]) -> Int:
        given: Int | None = columns.pop("order", None)
        return np.arange(n) + self.turns(1)[0] if given is None else given

    def layers(self) -> set[str]:
        """The layers that have an event so far."""
        return {self.words.values[c] for c in self._layers}

    def first_start(self) -> int | None:
        """The earliest start of any event so far."""
        return self._first_start

    def relayer(self, events: Int, layer: str) -> None:
        """Events that turned out to belong to another layer once their surroundings were known."""
        self._relayered.append((events, column(len(events), self.words.code(layer))))

    def describe(self, events: Int, attrs: Int) -> None:
        """Other attributes (codes of `attrs`) for events of which more became known once their surroundings were."""
        self._described.append((events, attrs))

    def link(self, child: Int, parent: Int, rule: str, evidence: str) -> None:
        """Pairs of equal length; those with a missing side are left out."""
        ok = (child >= 0) & (parent >= 0)
        n = int(ok.sum())
        if n:
            self._links.append(
                self._kept(
                    child_id=child[ok], parent_id=parent[ok], rule=column(n, self.words.code(rule)),
                    evidence=column(n, self.words.code(evidence)),
                )
            )  # fmt: skip

    def belong(self, event: Int, call: Int, share: float | npt.NDArray[np.float64] = 1.0) -> None:
        ok = (event >= 0) & (call >= 0)
        shares = np.broadcast_to(np.asarray(share, np.float32), event.shape)
        if ok.any():
            self._event_calls.append(self._kept(event_id=event[ok], call_id=call[ok], share=shares[ok]))

    def _kept(self, **columns: Array) -> dict[str, Kept]:
        return {name: self._scratch.keep(narrow(values)) for name, values in columns.items()}

    def calls(self, n: int, **columns: Any) -> Int:
        """Adds `n` calls and returns their numbers, which are provisional where `order`, ascending, says that they lie
        elsewhere (see `events`). A column not given is null."""
        ids = np.arange(self.call_count, self.call_count + n, dtype=np.int64)
        self.call_count += n
        if n:
            self._renumbered |= "order" in columns
            rank = self._rank(n, columns)
            chunk = self._kept(**{k: column(n, v) for k, v in columns.items()}, _id=ids)
            self._calls.append(chunk | {"_order": self._scratch.keep(rank)})
        return ids

    def fill_calls(self, ids: Int, **columns: Int) -> None:
        """More columns of calls that one `calls` added."""
        if len(ids):
            chunk = self._chunk(int(ids[0]))
            chunk.update(self._kept(**{k: column(len(ids), v) for k, v in columns.items()}))

    def place_calls(self, ids: Int, device: Int) -> None:
        """The device of calls that one `calls` added, for those whose work was seen on one; NONE leaves it as it is."""
        if len(ids):
            chunk = self._chunk(int(ids[0]))
            known = chunk["device"].whole() if "device" in chunk else NONE
            chunk.update(self._kept(device=column(len(ids), np.where(device != NONE, device, known))))

    def map_calls(self, first: int, name: str, values: Int) -> None:
        """Replaces a column of the calls that one `calls` added, of which `first` is the first: it held places in
        `values`."""
        chunk = self._chunk(first)
        chunk.update(self._kept(**{name: values[chunk[name].whole()]}))

    def _chunk(self, first: int) -> dict[str, Kept]:
        return self._calls[bisect_left(self._calls, first, key=lambda c: int(c["_id"].read(0, 1)[0]))]

    def site(self, **fields: Any) -> int:
        self.sites.append(fields)
        return len(self.sites) - 1

    def stack(self, key: Any, frames: list[dict[str, Any]]) -> int:
        number = self._stack_ids.get(key)
        if number is None:
            number = self._stack_ids[key] = len(self.stacks)
            self.stacks.append(frames)
        return number

    # -- tables

    def tables(self) -> dict[str, pa.Table]:
        """All tables, whole; for traces of any size see `streams`."""
        return {name: pa.concat_tables(parts).unify_dictionaries() for name, parts in self.streams().items()}

    def streams(self) -> dict[str, Iterable[pa.Table]]:
        """All tables, in slices of at most ROWS rows that are made when they are asked for; events and calls get their
        numbers meanwhile, so that they have to be taken before what refers to them."""
        give_back()
        width = np.int32 if self.event_count < 1 << 31 else np.int64
        event = self.pages.filled(width, self.event_count, NONE)
        call = self.pages.filled(width, self.call_count if self._renumbered else 0, NONE)
        stacks = pa.table(
            {"stack_id": pa.array(range(len(self.stacks)), pa.int32()), "frames": self.stacks},
            schema=schemas.STACKS,
        )
        return {
            "events": self._event_slices(event),
            "links": self._sliced(schemas.LINKS, self._links, child_id=event, parent_id=event),
            "sites": [self._sites()],
            "calls": self._call_slices(call),
            "event_calls": self._sliced(
                schemas.EVENT_CALLS, self._event_calls, event_id=event,
                **({"call_id": call} if self._renumbered else {}),
            ),
            "stacks": [stacks],
            "algorithms": [_rows(schemas.ALGORITHMS, self.algorithms)],
        }  # fmt: skip

    def _event_slices(self, place: Array) -> Iterator[pa.Table]:
        """The events by time; `place` becomes the number of each."""
        names = ("_id", *EVENT_COLUMNS)
        layers, attrs = _overlay(self._relayered), _overlay(self._described)
        first = 0
        for part in merged(self._events, "start_ns", "_order", names, ROWS):
            ids = part.pop("_id")
            count = len(ids)
            place[ids] = np.arange(first, first + count, dtype=place.dtype)
            part["layer"], part["attrs"] = layers(ids, part["layer"]), attrs(ids, part["attrs"])
            part["event_id"] = np.arange(first, first + count)
            first += count
            yield from self._event_tables(part)
            del part  # before the next one is read
        if not first:
            yield schemas.EVENTS.empty_table()

    def _event_tables(self, part: dict[str, Any]) -> Iterator[pa.Table]:
        """The rows in one or several slices: so many as memory should hold with their attributes as texts."""
        codes = np.asarray(part["attrs"], np.int64)
        at = 0
        while at < len(codes):
            texts = self.attrs.texts(codes[at:], TEXT_BYTES)
            behind = at + len(texts)
            columns = {name: values[at:behind] for name, values in part.items()}
            table = self._table(schemas.EVENTS, columns | {"attrs": texts})
            at = behind
            yield table
            del table, texts  # before the next ones are made
            self.give_back()

    def give_back(self) -> None:
        self.pages.give_back()
        give_back()

    def _call_slices(self, place: Array) -> Iterator[pa.Table]:
        names = [field.name for field in schemas.CALLS if field.name != "call_id"]
        chunks = [
            {n: c.get(n) or Kept(column(len(c["_id"]), NONE)) for n in (*names, "_id", "_order")}
            for c in self._calls
        ]
        first = 0
        for part in merged(chunks, "_order", "_order", ("_id",), ROWS) if self._renumbered else ():
            place[part["_id"]] = np.arange(first, first + len(part["_id"]), dtype=place.dtype)
            first += len(part["_id"])
        first = 0
        for part in merged(chunks, "_order", "_order", names, CALL_ROWS):
            part["call_id"] = np.arange(first, first + len(part["site_id"]))
            first += len(part["call_id"])
            if self._renumbered:
                part["parent_call_id"] = taken(place, part["parent_call_id"])
            yield self._table(schemas.CALLS, part)
            self.give_back()
        if not first:
            yield schemas.CALLS.empty_table()

    def _sliced(
        self, schema: pa.Schema, chunks: list[dict[str, Kept]], **renumbered: Int
    ) -> Iterator[pa.Table]:
        """The rows in their order; those `renumbered` hold places in the arrays given there."""
        for part in in_turn(chunks, schema.names, ROWS):
            yield self._table(schema, part | {name: place[part[name]] for name, place in renumbered.items()})
            self.pages.give_back()
        if not chunks:
            yield schema.empty_table()

    def _sites(self) -> pa.Table:
        rows = [dict(site, site_id=i) for i, site in enumerate(self.sites)]
        return _rows(schemas.SITES, rows)

    def _table(self, schema: pa.Schema, columns: dict[str, Any]) -> pa.Table:
        arrays = []
        for field in schema:
            values = columns[field.name]
            if pa.types.is_dictionary(field.type):
                arrays.append(_dictionary(values, self.words.values))
            elif field.name == "attrs":
                arrays.append(values)
            elif pa.types.is_boolean(field.type):
                arrays.append(pa.array(values == 1, mask=values == NONE, type=field.type))
            elif pa.types.is_floating(field.type):
                arrays.append(pa.array(values, type=field.type))
            else:
                arrays.append(pa.array(values, mask=values == NONE).cast(field.type))
        return pa.Table.from_arrays(arrays, schema=schema)


def _dictionary(codes: Int, values: list[str]) -> pa.DictionaryArray:
    """Only the values in use, so that each column carries its own small dictionary."""
    missing = codes == NONE
    present = np.zeros(len(values) + 1, bool)
    present[codes] = True  # NONE, the last element, is no value
    used = np.flatnonzero(present[:-1])
    place = np.zeros(len(values) + 1, np.int32)
    place[used] = np.arange(len(used), dtype=np.int32)
    indices = pa.array(place[codes], mask=missing)
    texts = [values[i].encode("utf-8", "replace").decode("utf-8") for i in used]
    return pa.DictionaryArray.from_arrays(indices, pa.array(texts, pa.string()))


def _overlay(told: list[tuple[Int, Int]]) -> Callable[[Int, Int], Int]:
    """What puts values in the place of those of some events; of several for one event the last counts."""
    if not any(len(ids) for ids, _ in told):
        return lambda ids, values: values
    events = np.concatenate([ids for ids, _ in told])
    order = np.argsort(events, kind="stable")
    events, values = events[order], np.concatenate([values for _, values in told])[order]
    last = np.append(events[1:] != events[:-1], True)
    events, values = events[last], values[last]

    def laid(ids: Int, under: Int) -> Int:
        at = np.minimum(np.searchsorted(events, ids), len(events) - 1)
        return np.where(events[at] == ids, values[at], under)

    return laid


def _rows(schema: pa.Schema, rows: list[dict[str, Any]]) -> pa.Table:
    arrays = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if pa.types.is_dictionary(field.type):
            arrays.append(pa.array(values, field.type.value_type).dictionary_encode())
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
