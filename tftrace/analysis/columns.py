"""Arrow columns of a trace as numpy arrays: codes of repeated texts, integers with validity, positions of ids.

Everything here is linear in the rows and free of Python loops over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tftrace.errors import InputError
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Texts:
    """A text column: `values[codes[i]]` is the text of row i, code -1 is null."""

    codes: Ints
    values: list[str]

    def of(self, row: int) -> str | None:
        code = int(self.codes[row])
        return None if code < 0 else self.values[code]

    def where(self, fits: Bools) -> Bools:
        """Mask of the rows whose text is one of the `values` picked by `fits` (one flag a value)."""
        return np.append(fits, False)[self.codes]


@dataclass(frozen=True)
class Numbers:
    """An integer column: `values[i]` is 0 where `valid[i]` is False."""

    values: Ints
    valid: Bools


def table(trace: Trace, name: str, *columns: str) -> pa.Table:
    """The named table, or some columns of it; empty where the trace has none. Of a trace on disk only what is asked for
    is read."""
    if name not in trace.tables:
        return TABLES[name].empty_table()
    if columns and isinstance(trace.tables, Selective):
        return trace.tables.some(name, columns)
    return trace.tables[name]


@runtime_checkable
class Selective(Protocol):
    """Tables that can be read in part."""

    def some(self, name: str, columns: Sequence[str]) -> pa.Table: ...


def _array(source: pa.Table, name: str) -> pa.Array | None:
    if name not in source.column_names:
        return None
    column = source.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    joined = column.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):  # what pyarrow gives for a column without chunks
        return joined.chunk(0) if joined.num_chunks else pa.array([], joined.type)
    return joined


def texts(source: pa.Table, name: str) -> Texts:
    """The column as codes; a column that the table lacks is all null. Raises InputError where it holds no text."""
    array = _array(source, name)
    if array is None:
        return Texts(np.full(source.num_rows, -1, np.int64), [])
    if not pa.types.is_dictionary(array.type):
        if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
            raise InputError(f"column {name} holds {array.type}, not text; rebuild the tables from raw/")
        array = array.dictionary_encode()
    codes = np.asarray(
        pc.fill_null(array.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False), np.int64
    )
    # a dictionary may itself hold a null
    try:
        values = array.dictionary.to_pylist()
    except UnicodeDecodeError:  # a name that is no UTF-8, as a program may give it
        raw = array.dictionary.cast(pa.binary()).to_pylist()
        values = [v if v is None else v.decode("utf-8", "replace") for v in raw]
    if None in values:
        codes = np.where(np.isin(codes, [i for i, v in enumerate(values) if v is None]), -1, codes)
    return Texts(codes, [str(v) for v in values])


def numbers(source: pa.Table, name: str) -> Numbers:
    """The integer (or boolean) column with its validity; a column that the table lacks is all null."""
    array = _array(source, name)
    if array is None:
        return Numbers(np.zeros(source.num_rows, np.int64), np.zeros(source.num_rows, np.bool_))
    try:
        filled = pc.fill_null(array.cast(pa.int64()), 0)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            f"column {name} holds {array.type}, not whole numbers; rebuild the tables from raw/"
        ) from error
    valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    return Numbers(np.asarray(filled.to_numpy(zero_copy_only=False), np.int64), valid)


class Positions:
    """Row positions of ids. Ids that are the row numbers, as in a trace of ours, cost nothing to look up."""

    def __init__(self, ids: Ints) -> None:
        self._n = len(ids)
        self._dense = bool((ids == np.arange(len(ids))).all())
        self._order = None if self._dense else np.argsort(ids, kind="stable")
        self._sorted = None if self._order is None else ids[self._order]

    def of(self, wanted: Ints) -> Ints:
        """Position of each wanted id, -1 where the table has no such row."""
        if self._order is None or self._sorted is None:
            return np.where((wanted >= 0) & (wanted < self._n), wanted, -1)
        at = np.minimum(np.searchsorted(self._sorted, wanted), self._n - 1)
        return np.where(self._sorted[at] == wanted, self._order[at], -1)


def positions(source: pa.Table, name: str, wanted: Numbers | Ints) -> Ints:
    """Rows of `source` whose `name` is each of `wanted`; -1 where there is none, or where `wanted` is null."""
    found = Positions(numbers(source, name).values)
    if isinstance(wanted, Numbers):
        return np.where(wanted.valid, found.of(wanted.values), -1)
    return found.of(wanted)


def combined(*codes: Ints) -> tuple[Ints, int]:
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
    found = pa.array(values).dictionary_encode()
    return np.asarray(found.indices.to_numpy(), np.int64), len(found.dictionary)


def sorting(codes: Ints, count: int) -> Ints:
    """The order of the rows by code (0 .. count - 1), which leaves rows of one code in the order they have."""
    narrow = codes.astype(np.int16) if count <= 1 << 15 else codes  # short ones are sorted in linear time
    return np.asarray(np.argsort(narrow, kind="stable"), np.int64)
