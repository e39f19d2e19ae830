"""Arrow columns of a trace as numpy arrays: codes of repeated texts, integers with validity, positions of ids.

Everything here is linear in the rows and free of Python loops over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.analysis import arrow_memory
from tftrace.errors import InputError
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace
from tftrace.store.lazy import LazyTable, LazyTables

T = TypeVar("T")
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.signedinteger[Any]]
Bools = npt.NDArray[np.bool_]
Ranks = npt.NDArray[np.int8]

PART = 1 << 20
"""Rows of a part of a table in memory; on disk its row groups are the parts."""


@dataclass(frozen=True)
class Texts:
    """A text column: `values[codes[i]]` is the text of row i, code -1 is null. Codes have 32 or 64 bits."""

    codes: Codes
    values: list[str]

    def of(self, row: int) -> str | None:
        code = int(self.codes[row])
        return None if code < 0 else self.values[code]

    def at(self, rows: Ints) -> Texts:
        """The texts of these rows."""
        return Texts(self.codes[rows], self.values)

    def where(self, fits: Bools) -> Bools:
        """Mask of the rows whose text is one of the `values` picked by `fits` (one flag a value)."""
        return np.append(fits, False)[self.codes]


@dataclass(frozen=True)
class Numbers:
    """An integer column: `values[i]` is 0 where `valid[i]` is False."""

    values: Ints
    valid: Bools


def table(trace: Trace, name: str) -> pa.Table | LazyTable:
    """The named table, empty where the trace has none. Of a trace on disk each column is read when it is asked for."""
    if name not in trace.tables:
        return TABLES[name].empty_table()
    if isinstance(trace.tables, LazyTables):
        return trace.tables.lazy(name)
    return trace.tables[name]


def whole(trace: Trace, name: str) -> pa.Table:
    """The named table with all of its columns."""
    return trace.tables[name] if name in trace.tables else TABLES[name].empty_table()


def parts(
    trace: Trace,
    name: str,
    columns: Sequence[str],
    make: Callable[[pa.Table, int], T],
    needed: Callable[[int, int], bool] | None = None,
    rows: int | None = None,
) -> Iterator[T]:
    """What `make` gives for these columns of each part of a table and the number of its first row, in order. Parts are
    made beside each other, on all cores; those are left out of which `needed` says so by first row and number of rows.
    On disk they are row groups, or pieces of `rows` of them.

    For what looks at each row once: never are all rows in memory.
    """
    source = table(trace, name)
    if isinstance(source, LazyTable):
        yield from source.parts(columns, make, needed, rows)
        return
    asked = {
        c: source.column(c)
        if c in source.column_names
        else pa.nulls(source.num_rows, TABLES[name].field(c).type)
        for c in columns
    }
    known = pa.table(asked)
    for first in range(0, known.num_rows, PART):
        part = known.slice(first, PART)
        if needed is None or needed(first, part.num_rows):
            yield make(part, first)


def rows_where(
    trace: Trace, name: str, columns: Sequence[str], picked: Callable[[pa.Table], Bools]
) -> pa.Table:
    """These columns of the rows for which `picked` holds; it is asked part by part."""

    def make(part: pa.Table, _: int) -> pa.Table:
        return part.filter(arrow_memory.mask(picked(part)))

    found = list(parts(trace, name, columns, make))
    return pa.concat_tables(found) if found else TABLES[name].empty_table().select(list(columns))


def let_go(trace: Trace) -> None:
    """Of a trace on disk no column is in memory afterwards: for what looks at several traces one by one."""
    if isinstance(trace.tables, LazyTables):
        trace.tables.let_go()


def flags(trace: Trace, name: str, column: str) -> Bools:
    """Which rows of a boolean column hold true."""
    found = parts(trace, name, [column], lambda part, _: numbers(part, column).values == 1)
    return np.concatenate([np.zeros(0, np.bool_), *found])


def events_of(trace: Trace, calls_picked: Bools) -> Bools:
    """Mask of the events that belong to at least one of the picked calls (a flag for each row of calls)."""
    calls, events = table(trace, "calls"), table(trace, "events")
    call_rows, event_rows = rows_of(calls, "call_id"), rows_of(events, "event_id")
    picked = np.append(calls_picked, False)

    def make(part: pa.Table, _: int) -> Ints:
        call = positions_in(call_rows, numbers(part, "call_id"))
        event = positions_in(event_rows, numbers(part, "event_id"))
        return event[picked[call] & (event >= 0)]

    mask = np.zeros(events.num_rows, bool)
    for event in parts(trace, "event_calls", ["call_id", "event_id"], make):
        mask[event] = True
    return mask


def texts(source: pa.Table | LazyTable, name: str) -> Texts:
    """The column as codes; a column that the table lacks is all null. Raises InputError where it holds no text."""
    if isinstance(source, LazyTable):
        return source.kept_column((texts, name), lambda: _texts_on_disk(source, name))
    if name not in source.column_names:
        return Texts(np.full(source.num_rows, -1, np.int64), [])
    return _texts(source.column(name), name)


def _texts_on_disk(source: LazyTable, name: str) -> Texts:
    code = np.empty(source.num_rows, np.int32)
    known: dict[str, int] = {}
    for part, first in source.parts([name], lambda part, first: (_texts(part.column(name), name), first)):
        number = np.array([*(known.setdefault(v, len(known)) for v in part.values), -1], np.int32)
        code[first : first + len(part.codes)] = number[part.codes]
    return Texts(code, list(known))


def codes(array: pa.DictionaryArray) -> Ints:
    """The code of each row, -1 for null."""
    indices = array.indices
    found = np.array(arrow_memory.values(indices), np.int64)
    if indices.null_count:
        found[~arrow_memory.valid(indices)] = -1
    return found


def joined(column: pa.ChunkedArray) -> pa.Array:
    """The dictionary-encoded column in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.unify_dictionaries().combine_chunks()


def _texts(column: pa.ChunkedArray, name: str) -> Texts:
    if not pa.types.is_dictionary(column.type):
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise InputError(f"column {name} holds {column.type}, not text; rebuild the tables from raw/")
        column = column.dictionary_encode()
    if not column.num_chunks:
        return Texts(np.zeros(0, np.int64), [])
    if column.num_chunks > 1:
        column = column.unify_dictionaries()
    code = np.empty(len(column), np.int64)
    at = 0
    for chunk in column.chunks:
        here = code[at : at + len(chunk)]
        here[:] = arrow_memory.values(chunk.indices)
        if chunk.indices.null_count:
            here[~arrow_memory.valid(chunk.indices)] = -1
        at += len(chunk)
    # a dictionary may itself hold a null
    values = spelled(column.chunk(0).dictionary)
    if None in values:
        code[np.isin(code, [i for i, v in enumerate(values) if v is None])] = -1
    return Texts(code, [str(v) for v in values])


def spelled(array: pa.Array) -> list[Any]:
    """The texts; one that is no UTF-8, as a program may give it, with marks where it is not."""
    try:
        values: list[Any] = array.to_pylist()
    except UnicodeDecodeError:
        values = [
            v if v is None else v.decode("utf-8", "replace") for v in array.cast(pa.binary()).to_pylist()
        ]
    return values


def numbers(source: pa.Table | LazyTable, name: str) -> Numbers:
    """The integer (or boolean) column with its validity; a column that the table lacks is all null."""
    if isinstance(source, LazyTable):
        return source.kept_column((numbers, name), lambda: _numbers(source.column(name), name))
    if name not in source.column_names:
        return Numbers(np.zeros(source.num_rows, np.int64), np.zeros(source.num_rows, np.bool_))
    return _numbers(source.column(name), name)


def _numbers(column: pa.ChunkedArray, name: str) -> Numbers:
    if column.num_chunks == 1 and column.type == pa.int64() and not column.null_count:
        return Numbers(arrow_memory.values(column.chunk(0)), np.ones(len(column), np.bool_))
    values, valid = np.zeros(len(column), np.int64), np.zeros(len(column), np.bool_)
    at = 0
    for chunk in column.chunks:
        here = slice(at, at + len(chunk))
        at += len(chunk)
        if chunk.null_count == len(chunk):
            continue
        if not arrow_memory.is_whole(chunk.type):
            chunk = _whole(chunk, name)
        values[here] = arrow_memory.values(chunk)
        if chunk.null_count:
            valid[here] = arrow_memory.valid(chunk)
            values[here][~valid[here]] = 0
        else:
            valid[here] = True
    return Numbers(values, valid)


def _whole(chunk: pa.Array, name: str) -> pa.Array:
    try:
        return chunk.cast(pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            f"column {name} holds {chunk.type}, not whole numbers; rebuild the tables from raw/"
        ) from error


class Positions:
    """Row positions of ids. Ids that are the row numbers, as in a trace of ours, cost nothing to look up."""

    def __init__(self, ids: Ints) -> None:
        self._n = len(ids)
        self._order: Ints | None = None
        if not bool((ids == np.arange(len(ids))).all()):
            self._order = np.argsort(ids, kind="stable")
            self._sorted = ids[self._order]

    @classmethod
    def counted(cls, n: int) -> Positions:
        """Of ids 0 .. n - 1."""
        made = cls(np.zeros(0, np.int64))
        made._n = n
        return made

    @property
    def are_rows(self) -> bool:
        """Whether the ids are 0 .. n - 1."""
        return self._order is None

    def of(self, wanted: Ints) -> Ints:
        """Position of each wanted id, -1 where the table has no such row."""
        if self._order is None:
            if len(wanted) and wanted.min() >= 0 and wanted.max() < self._n:
                return wanted
            return np.where((wanted >= 0) & (wanted < self._n), wanted, -1)
        at = np.minimum(np.searchsorted(self._sorted, wanted), self._n - 1)
        return np.where(self._sorted[at] == wanted, self._order[at], -1)


def positions(source: pa.Table | LazyTable, name: str, wanted: Numbers | Ints) -> Ints:
    """Rows of `source` whose `name` is each of `wanted`; -1 where there is none, or where `wanted` is null."""
    return positions_in(rows_of(source, name), wanted)


def positions_in(rows: Positions, wanted: Numbers | Ints) -> Ints:
    """The same for a column of ids that was looked at already."""
    if isinstance(wanted, Numbers):
        known = rows.of(wanted.values)
        return known if wanted.valid.all() else np.where(wanted.valid, known, -1)
    return rows.of(wanted)


def rows_of(source: pa.Table | LazyTable, name: str) -> Positions:
    """The rows of a column of ids."""
    if isinstance(source, LazyTable):
        return source.kept_column((Positions, name), lambda: _rows_of(source, name))
    return Positions(numbers(source, name).values)


def _rows_of(source: LazyTable, name: str) -> Positions:
    def is_row(part: pa.Table, first: int) -> bool:
        ids = part.column(name)
        if ids.null_count or ids.type != pa.int64():
            return False
        begins = np.cumsum([first, *map(len, ids.chunks)]).tolist()
        return all(
            np.array_equal(arrow_memory.values(chunk), np.arange(at, at + len(chunk)))
            for at, chunk in zip(begins, ids.chunks, strict=False)
        )

    if all(source.parts([name], is_row, rows=1 << 16)):
        return Positions.counted(source.num_rows)
    return Positions(numbers(source, name).values)


def combined(*codes: Codes) -> tuple[Ints, int]:
    """One code for each distinct row of the given code columns (-1 allowed), and how many there are.

        a  b            code
        0  4             0
        1  4      ->     1
        0  4             0
        0 -1             2

    Numbered by first appearance.
    """
    n = len(codes[0])
    key = np.zeros(n, np.int64)
    for column in codes:
        span = int(column.max(initial=-1)) + 2
        if n and int(key.max()) > (1 << 62) // span:
            key, _ = distinct(key)
        key = key * span + (column + 1)
    return distinct(key)


def distinct(values: Ints) -> tuple[Ints, int]:
    """The same number for equal values, by first appearance, and how many there are."""
    found = arrow_memory.numbers(values.astype(np.int64, copy=False)).dictionary_encode()
    return codes(found), len(found.dictionary)


def counted(codes: Ints, span: int) -> tuple[Ints, Ints]:
    """The different codes (0 .. span - 1), rising, and how many rows have each."""
    if span > max(8 * len(codes), 1 << 16):
        return np.unique(codes, return_counts=True)
    counts = np.bincount(codes, minlength=1)
    found = np.flatnonzero(counts)
    return found, counts[found]


def sorting(codes: Ints, count: int) -> Ints:
    """The order of the rows by code (0 .. count - 1), which leaves rows of one code in the order they have."""
    narrow = codes.astype(np.int16) if count <= 1 << 15 else codes  # short ones are sorted in linear time
    return np.asarray(np.argsort(narrow, kind="stable"), np.int64)
