"""Arrow columns as numpy arrays and clean text: what leaves this module went through `legible`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tftrace.errors import InputError
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace
from tftrace.store.lazy import LazyTables
from tftrace.views.page import TEXT_LIMIT, legible

Ints = npt.NDArray[np.signedinteger[Any]]
"""Integers. Columns with an entry an event are often 32 bits wide (`narrow`): what is computed of them may need 64."""

SLICE = 1 << 20
"""Rows that are looked at together where a whole column more would be a tenth of a GB."""


def table(trace: Trace, name: str) -> pa.Table:
    """The named table of the trace, empty where the trace has none; columns that it lacks are null.

    Raises InputError where a column cannot be read as the type that the schema gives it.
    """
    schema = TABLES[name]
    return _conform(trace, name, schema, trace.tables[name] if name in trace.tables else schema.empty_table())


def column(trace: Trace, name: str, of: str) -> pa.ChunkedArray:
    """One column of a table, as `table` has it. Of a trace in files it is read for the caller alone, and not kept: all
    columns of ten million events together are more than a GB."""
    schema = pa.schema([TABLES[name].field(of)])
    if isinstance(trace.tables, LazyTables):
        pa.default_memory_pool().release_unused()  # what the column before took
        given = trace.tables.once(name, [of])
    else:
        given = trace.tables[name] if name in trace.tables else schema.empty_table()
    return _conform(trace, name, schema, given).column(0)


def _conform(trace: Trace, name: str, schema: pa.Schema, given: pa.Table) -> pa.Table:
    columns = []
    for field in schema:
        if field.name not in given.column_names:
            columns.append(pa.nulls(given.num_rows, field.type))
            continue
        column = given.column(field.name)
        if column.type != field.type and pa.types.is_integer(field.type):
            try:
                column = column.cast(field.type)
            except pa.ArrowInvalid as error:
                raise InputError(
                    f"{trace.name}: column {field.name} of {name} is {column.type}, "
                    f"not {field.type}: {error}; "
                    "rebuild the tables from raw/"
                ) from error
        columns.append(column)
    return pa.table(columns, names=schema.names)


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def ints(column: pa.ChunkedArray | pa.Array, null: int = -1) -> Ints:
    """An integer column as int64, one of 32 bits as int32, with `null` where it is null."""
    array = _one(column)
    if array.null_count:
        array = pc.fill_null(array, pa.scalar(null, array.type))
    width = np.int32 if pa.types.is_int32(array.type) else np.int64
    return np.asarray(array.to_numpy(zero_copy_only=False)).astype(width, copy=False)


def narrow(values: Ints) -> Ints:
    """The same in 32 bits where they suffice."""
    if len(values) and (int(values.min()) < -(1 << 31) or int(values.max()) >= 1 << 31):
        return values
    return values.astype(np.int32)


def slices(n: int) -> Iterator[slice]:
    """Stretches of n rows, one after another."""
    return (slice(low, min(low + SLICE, n)) for low in range(0, n, SLICE))


def codes(column: pa.ChunkedArray | pa.Array) -> tuple[Ints, list[bytes]]:
    """A text column as (index into the distinct values, distinct values); -1 where it is null."""
    array = _one(column)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    values = [v if v is not None else b"" for v in array.dictionary.cast(pa.binary()).to_pylist()]
    return ints(array.indices), values


def texts(column: pa.ChunkedArray | pa.Array, limit: int = TEXT_LIMIT) -> tuple[Ints, list[str]]:
    """As `codes`, with legible values."""
    index, values = codes(column)
    return index, [legible(decode(v, limit), limit) for v in values]


def decode(raw: bytes, limit: int | None = None) -> str:
    """UTF-8, broken or not. With a limit, the tail of a huge value is counted by bytes and never decoded."""
    if limit is None or len(raw) <= 4 * limit:
        return raw.decode("utf-8", "replace")
    return raw[: 4 * limit].decode("utf-8", "replace") + " " * (len(raw) - 4 * limit)


def json_object(raw: bytes, where: str) -> dict[str, Any]:
    """The JSON object in one cell. Raises InputError, naming `where`, if it is none."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:  # a lone surrogate, which Python writes and reads, or bytes that are not UTF-8
            value = json.loads(raw.decode("utf-8", "replace"), strict=False)
        except ValueError as error:
            raise InputError(f"{where} is not JSON: {error}; rebuild the tables from raw/") from None
    if not isinstance(value, dict):
        raise InputError(f"{where} is JSON but not an object; rebuild the tables from raw/")
    return value


def combine(*keys: Ints) -> tuple[Ints, Ints]:
    """Numbers the distinct combinations of the keys: (number of each row, a row of each number)."""
    n = len(keys[0])
    code, size = narrow(np.zeros(n, np.int8)), 1
    for key in keys if n else ():
        low, span = int(key.min()), int(key.max()) - int(key.min()) + 1
        if span == 1:
            continue
        if size * span > _table_size(n):  # dense again: no overflow however many keys
            code, size = numbered(code)
            key, span = numbered(key)
            low = 0
        size *= span
        if size >= 1 << 31:
            code = code.astype(np.int64)
        code *= span
        for part in slices(n):
            code[part] += key[part] - low
    code, size = numbered(code)
    first = np.zeros(size, np.int64)
    for part in reversed(list(slices(n))):
        first[code[part][::-1]] = np.arange(part.stop - 1, part.start - 1, -1)
    return code, first


def numbered(values: Ints) -> tuple[Ints, int]:
    """(number of each value among the distinct ones in ascending order, how many they are)."""
    if not len(values):
        return values, 0
    low, high = int(values.min()), int(values.max())
    if high - low >= _table_size(len(values)):
        distinct, number = np.unique(values, return_inverse=True)
        return narrow(number), len(distinct)
    # Where the values lie close together a table spares the sorting: of ten million, a second each time.
    there = np.zeros(high - low + 1, bool)
    for part in slices(len(values)):
        there[values[part] - low] = True
    of_value = narrow(np.cumsum(there) - 1)
    number = np.empty(len(values), of_value.dtype)
    for part in slices(len(values)):
        number[part] = of_value[values[part] - low]
    return number, int(of_value[-1]) + 1


def _table_size(n: int) -> int:
    return max(4 * n, 1 << 16)


def order_of(keys: Ints) -> Ints:
    """Order that sorts the keys (at least 0) and keeps equal ones as they stand; numpy sorts 16 bits in linear time."""
    width = np.uint16 if not len(keys) or int(keys.max()) < 1 << 16 else np.int64
    return narrow(np.argsort(keys.astype(width), kind="stable"))
