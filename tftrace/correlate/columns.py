"""Grows the columns of a trace's tables chunk by chunk, without an object per event."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.correlate.attributes import NONE, Attributes, dense
from tftrace.model import schemas

__all__ = ["NONE", "Int", "Interner", "TraceBuilder"]

Int = npt.NDArray[np.int64]


class Interner:
    """Strings by number, in the order they were first seen."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._codes: dict[str, int] = {}

    def code(self, value: str | None) -> int:
        if value is None:
            return NONE
        code = self._codes.get(value)
        if code is None:
            code = self._codes[value] = len(self.values)
            self.values.append(value)
        return code

    def codes(self, values: Iterable[str | None]) -> Int:
        return np.fromiter((self.code(v) for v in values), np.int64)


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
ROWS: Final = 1 << 20
"""Rows that are written at once."""


class TraceBuilder:
    """All tables of a trace while they grow. Event numbers are provisional until `tables` sorts them by time."""

    def __init__(self) -> None:
        self.words = Interner()  # layers, names, hosts, devices, probes, rules, grades
        self.attrs = Attributes()
        self._events: dict[str, list[Int]] = {c: [] for c in EVENT_COLUMNS}
        self._links: list[tuple[Int, Int, Int, Int]] = []
        self._event_calls: list[tuple[Int, Int, npt.NDArray[np.float32]]] = []
        self._relayered: list[tuple[Int, int]] = []
        self._described: list[tuple[Int, Int]] = []
        self.event_count = 0
        self.call_count = 0
        self.graphs = self.tf_sessions = 0  # numbers given to those of the processes so far
        self.sites: list[dict[str, Any]] = []
        self._calls: list[dict[str, Int]] = []
        self.stacks: list[list[dict[str, Any]]] = []
        self._stack_ids: dict[Any, int] = {}
        self.algorithms: list[dict[str, Any]] = []

    def events(self, n: int, **columns: Any) -> Int:
        """Adds `n` events and returns their numbers. A column not given is null."""
        for name in EVENT_COLUMNS:
            values = column(n, columns.get(name, NONE))
            self._events[name].append(
                values.astype(np.int32) if name in CODES and values.strides[0] else values
            )
        ids = np.arange(self.event_count, self.event_count + n, dtype=np.int64)
        self.event_count += n
        return ids

    def layers(self) -> set[str]:
        """The layers that have an event so far."""
        codes = {
            int(c) for part in self._events["layer"] for c in np.unique(part[:1] if single(part) else part)
        } - {NONE}
        return {self.words.values[c] for c in codes}

    def first_start(self) -> int | None:
        """The earliest start of any event so far."""
        starts = [int(part.min()) for part in self._events["start_ns"] if len(part)]
        return min(starts, default=None)

    def relayer(self, events: Int, layer: str) -> None:
        """Events that turned out to belong to another layer once their surroundings were known."""
        self._relayered.append((events, self.words.code(layer)))

    def describe(self, events: Int, attrs: Int) -> None:
        """Other attributes (codes of `attrs`) for events of which more became known once their surroundings were."""
        self._described.append((events, attrs))

    def link(self, child: Int, parent: Int, rule: str, evidence: str) -> None:
        """Pairs of equal length; those with a missing side are left out."""
        ok = (child >= 0) & (parent >= 0)
        n = int(ok.sum())
        if n:
            codes = (column(n, self.words.code(rule)), column(n, self.words.code(evidence)))
            self._links.append((child[ok], parent[ok], *codes))

    def belong(self, event: Int, call: Int, share: float | npt.NDArray[np.float64] = 1.0) -> None:
        ok = (event >= 0) & (call >= 0)
        shares = np.broadcast_to(np.asarray(share, np.float32), event.shape)
        if ok.any():
            self._event_calls.append((event[ok], call[ok], shares[ok]))

    def calls(self, n: int, **columns: Any) -> Int:
        chunk = {k: column(n, v) for k, v in columns.items()}
        self._calls.append(
            chunk | {"_n": np.full(1, n, np.int64), "_first": np.full(1, self.call_count, np.int64)}
        )
        ids = np.arange(self.call_count, self.call_count + n, dtype=np.int64)
        self.call_count += n
        return ids

    def fill_calls(self, ids: Int, **columns: Int) -> None:
        """More columns of calls that one `calls` added."""
        if len(ids):
            chunk = self._chunk(ids)
            chunk.update({k: column(len(ids), v) for k, v in columns.items()})

    def place_calls(self, ids: Int, device: Int) -> None:
        """The device of calls that one `calls` added, for those whose work was seen on one; NONE leaves it as it is."""
        if len(ids):
            chunk = self._chunk(ids)
            chunk["device"] = np.where(device != NONE, device, chunk.get("device", NONE))

    def _chunk(self, ids: Int) -> dict[str, Int]:
        return next(
            c for c in self._calls if int(c["_first"][0]) == int(ids[0]) and int(c["_n"][0]) == len(ids)
        )

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
        """All tables, in slices of at most ROWS rows that are made when they are asked for."""
        columns = {name: _concat(parts) for name, parts in self._events.items()}
        # from here on each column stands once
        self._events = {name: [values] for name, values in columns.items()}
        if self._relayered:
            columns["layer"] = columns["layer"].copy()
        for ids, layer in self._relayered:
            columns["layer"][ids] = layer
        if self._described:
            columns["attrs"] = columns["attrs"].copy()
        for ids, attrs in self._described:
            columns["attrs"][ids] = attrs
        order = np.argsort(columns["start_ns"], kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        child, parent, rule, evidence = (_concat([part[i] for part in self._links]) for i in range(4))
        event, call = _concat([p[0] for p in self._event_calls]), _concat([p[1] for p in self._event_calls])
        shares = [part[2] for part in self._event_calls]
        share = np.concatenate(shares) if shares else np.empty(0, np.float32)
        stacks = pa.table(
            {"stack_id": pa.array(range(len(self.stacks)), pa.int32()), "frames": self.stacks},
            schema=schemas.STACKS,
        )
        return {
            "events": self._sliced(schemas.EVENTS, columns | {"event_id": place}, order),
            "links": self._sliced(
                schemas.LINKS, {"child_id": child, "parent_id": parent, "rule": rule, "evidence": evidence},
                renumbered={"child_id": place, "parent_id": place},
            ),
            "sites": [self._sites()],
            "calls": self._sliced(schemas.CALLS, self._call_columns()),
            "event_calls": self._sliced(
                schemas.EVENT_CALLS, {"event_id": event, "call_id": call, "share": share},
                renumbered={"event_id": place},
            ),
            "stacks": [stacks],
            "algorithms": [_rows(schemas.ALGORITHMS, self.algorithms)],
        }  # fmt: skip

    def _sliced(
        self, schema: pa.Schema, columns: Mapping[str, Any], order: Int | None = None,
        renumbered: Mapping[str, Int] | None = None,
    ) -> Iterator[pa.Table]:  # fmt: skip
        """`columns` in the order of the rows in `order`; those `renumbered` hold places in the arrays given there."""
        count = len(columns[schema.names[0]])
        for first in range(0, max(count, 1), ROWS):
            rows = slice(first, first + ROWS) if order is None else order[first : first + ROWS]
            part = {name: columns[name][rows] for name in schema.names}
            for name, place in (renumbered or {}).items():
                part[name] = place[part[name]]
            yield self._table(schema, part)

    def _call_columns(self) -> dict[str, Any]:
        result: dict[str, Any] = {"call_id": np.arange(self.call_count)}
        for field in schemas.CALLS:
            if field.name == "call_id":
                continue
            parts = [
                chunk[field.name] if field.name in chunk else column(int(chunk["_n"][0]), NONE)
                for chunk in self._calls
            ]
            result[field.name] = _concat(parts)
        return result

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
                arrays.append(self.attrs.texts(values))
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


def single(values: Int) -> bool:
    """Whether one value stands for all rows."""
    return values.strides == (0,)


def _concat(parts: list[Int]) -> Int:
    """The parts as one column; one value that all of them have in common stays one value."""
    filled = [part for part in parts if len(part)]
    if filled and all(single(part) and part[0] == filled[0][0] for part in filled):
        return np.broadcast_to(filled[0][0], sum(map(len, filled)))
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _rows(schema: pa.Schema, rows: list[dict[str, Any]]) -> pa.Table:
    arrays = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if pa.types.is_dictionary(field.type):
            arrays.append(pa.array(values, field.type.value_type).dictionary_encode())
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)
