"""The Parquet tables of a trace: written all together, read one by one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tftrace.errors import InputError, UsageError
from tftrace.model.schemas import ADDED, IDS, TABLES

SUFFIX: Final = ".parquet"
REBUILD: Final = "delete that file, and the next command rebuilds the tables from raw/"

_SOUGHT: Final = ("event_id", "call_id", "start_ns", "dur_ns", "tid")
"""Columns of which ranges are asked for: smallest and largest value are written for these alone, which saves a
quarter of the time."""
_OFTEN_EMPTY: Final = ("calls",)
"""Tables with many columns of which most hold nothing: that is counted, and such columns need not be read. Of events it
would cost time where it is scarce."""
_PACKED: Final = ("dur_ns",)
"""Packed as differences, durations are noise: compressing them takes a third of the column's time and gains nothing."""
_GROUP: Final = 1 << 18
"""Rows of a row group: readers hold a few at a time. Four times as many are no faster to write, nor to read."""
_PAGES: Final = (
    {"max_rows_per_page": 1 << 20} if "max_rows_per_page" in signature(pq.ParquetWriter).parameters else {}
)
"""Pages end by their size alone. Newer pyarrow also ends them after 20,000 rows, which costs a tenth of the time where
columns are empty or pack well."""
_BATCH: Final = 1 << 15
"""Rows that Parquet's writer looks at together: of its usual 1,024 each costs it what a batch costs."""


def table_path(directory: Path, name: str) -> Path:
    return directory / (name + SUFFIX)


def missing_tables(directory: Path) -> list[str]:
    """Names of the tables that have no file below `directory`."""
    return [name for name in TABLES if not table_path(directory, name).is_file()]


def read_table(directory: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """One table with the columns and types of its schema first, then whatever columns a later tftrace added; columns
    that an earlier one did not write are null. With `columns`, those of the schema alone.

    Raises InputError where the file is missing, cut or holds other columns than `tftrace.model.schemas` says.
    """
    # read, not mapped: a file that is cut short meanwhile is then an error, and no end of the process
    with readable(directory, name) as path:
        # a file alone is no data set: that would import pandas, too
        table = pq.ParquetFile(path).read(None if columns is None else list(columns))
    return conforming(table, directory, name, columns)


@contextmanager
def readable(directory: Path, name: str) -> Iterator[Path]:
    """The file of a table. What Arrow raises about it within the block becomes an InputError that names it."""
    path = table_path(directory, name)
    if not path.is_file():
        raise InputError(
            f"{path}: is missing; the next command rebuilds it from raw/, else record the run again"
        )
    try:
        yield path
    except (pa.ArrowException, OSError) as error:
        detail = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise InputError(f"{path}: is cut or no Parquet file ({detail}); {REBUILD}") from error


def conforming(table: pa.Table, directory: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """What was read of a table, whole or some columns of it, with the columns and types of its schema."""
    path = table_path(directory, name)
    try:
        if columns is None:
            return _conform(table, TABLES[name], ADDED.get(name, ()))
        wanted = pa.schema([TABLES[name].field(column) for column in columns])
        return _conform(table, wanted, [c for c in ADDED.get(name, ()) if c in columns])
    except (pa.ArrowException, KeyError) as error:
        detail = str(error.args[0]).splitlines()[0] if error.args else type(error).__name__
        raise InputError(f"{path}: is no {name} table of a trace ({detail}); {REBUILD}") from error


def _conform(table: pa.Table, schema: pa.Schema, added: Sequence[str] = ()) -> pa.Table:
    for column in added:
        if column not in table.column_names:
            table = table.append_column(column, pa.nulls(table.num_rows, schema.field(column).type))
    if table.schema.names == schema.names and table.schema.types == schema.types:
        return pa.Table.from_arrays(table.columns, schema=schema)
    absent = [column for column in schema.names if column not in table.column_names]
    if absent:
        raise KeyError(f"no column {', '.join(absent)}")
    columns = {field.name: table[field.name].cast(field.type) for field in schema}
    more = {c: table[c] for c in table.column_names if c not in columns}
    return pa.table({**columns, **more})


def write_tables(directory: Path, tables: Mapping[str, pa.Table | Iterable[pa.Table]]) -> dict[str, int]:
    """Writes the given tables (some or all of `TABLES`), whole or in slices, below `directory`; returns their rows.

    Every file is written beside its place and moved there once all of them are complete, so a full disk or a
    kill leaves the tables that stood there before. Columns are cast to their schema.

    Raises UsageError where they cannot be written, KeyError for a table or column that no schema knows.
    """
    parts = {name: table_path(directory, name).with_suffix(f".{os.getpid()}.part") for name in tables}
    rows: dict[str, int] = {}
    try:
        for name, table in tables.items():
            slices = [table] if isinstance(table, pa.Table) else table
            # a generator would hold each slice while the next one is made
            conform = partial(_conform, schema=TABLES[name], added=ADDED.get(name, ()))
            rows[name] = _write(map(conform, slices), parts[name], name)
        for name, part in parts.items():
            os.replace(part, table_path(directory, name))
    except OSError as error:
        why = error.strerror or str(error).splitlines()[0]
        raise UsageError(
            f"{directory}: the tables cannot be written: {why}; make room or change its rights, "
            "then any command rebuilds them from raw/"
        ) from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return rows


def _write(slices: Iterator[pa.Table], path: Path, name: str) -> int:
    table = next(slices, None)
    rows = 0
    assert table is not None  # an empty table has a slice, too
    count_nulls, ids = name in _OFTEN_EMPTY, IDS.get(name, ())
    empty = [c for c in table.column_names if count_nulls and table[c].null_count == table.num_rows]
    schema = pa.schema([field.with_nullable(field.name not in ids) for field in table.schema])
    with pq.ParquetWriter(path, schema, **_settings(schema, empty)) as writer:
        while table is not None:
            writer.write_table(pa.Table.from_arrays(table.columns, schema=schema), row_group_size=_GROUP)
            rows += table.num_rows
            del table  # before the next one is made
            table = next(slices, None)
    return rows


def _settings(schema: pa.Schema, counted: Sequence[str] = ()) -> dict[str, Any]:
    # Parquet's defaults build a dictionary for every column, ids and times too: that wrote 1.3 M rows/s,
    # dictionaries for names only with delta-packed integers 22 to 29 M rows/s, and smaller files.
    names: list[str] = []
    encodings: dict[str, str] = {}
    compression: dict[str, str] = {}
    for field in schema:
        for path, kind in _leaves(field):
            compression[path] = "none" if path in _PACKED else "zstd"
            if pa.types.is_dictionary(kind) or (path != field.name and pa.types.is_string(kind)):
                names.append(path)
        if pa.types.is_integer(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
    return {
        "compression": compression, "use_dictionary": names, "column_encoding": encodings or None,
        "write_statistics": [name for name in schema.names if name in _SOUGHT or name in counted],
        "write_batch_size": _BATCH, **_PAGES,
    }  # fmt: skip


def _leaves(field: pa.Field, path: str = "") -> Iterator[tuple[str, pa.DataType]]:
    """Columns that Parquet makes of a field, by path, and the type of each."""
    path += field.name
    if pa.types.is_list(field.type):
        yield from _leaves(field.type.value_field.with_name("element"), f"{path}.list.")
    elif pa.types.is_struct(field.type):
        for part in field.type:
            yield from _leaves(part, f"{path}.")
    else:
        yield path, field.type
