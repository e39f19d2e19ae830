"""The tables of a trace on disk, of which only what somebody asks for is read: a table, a column, or part by part."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from tftrace.model.schemas import ADDED, TABLES
from tftrace.store.tables import conforming, read_table, readable

T = TypeVar("T")


class LazyTables(Mapping[str, pa.Table]):
    """The tables below `directory`, each read on first use and kept.

    Looking one up raises InputError where its file is missing, cut or holds other columns than
    `tftrace.model.schemas` says.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[str, pa.Table] = {}
        self._lazy: dict[str, LazyTable] = {}

    def __getitem__(self, name: str) -> pa.Table:
        if name not in TABLES:
            raise KeyError(name)
        if name not in self._read:
            self._read[name] = read_table(self._directory, name)
        return self._read[name]

    def lazy(self, name: str) -> LazyTable:
        """The table with columns that are read when they are asked for."""
        if name not in self._lazy:
            self._lazy[name] = LazyTable(self._directory, name)
        return self._lazy[name]

    def once(self, name: str, columns: Sequence[str]) -> pa.Table:
        """These columns of a table; they alone are read, and not kept for whoever asks next."""
        if name in self._read:
            return self._read[name].select(list(columns))
        return read_table(self._directory, name, columns)

    def __contains__(self, name: object) -> bool:
        return name in TABLES  # without reading it

    def forget(self, *names: str) -> None:
        """Keeps these tables no longer: who asks again reads them again."""
        for name in names:
            self._read.pop(name, None)
            self._lazy.pop(name, None)

    def let_go(self) -> None:
        """Keeps no column any longer: who asks again reads it again. Tables that were read whole stay."""
        for lazy in self._lazy.values():
            lazy.let_go()

    def __iter__(self) -> Iterator[str]:
        return iter(TABLES)

    def __len__(self) -> int:
        return len(TABLES)


class LazyTable:
    """One table on disk: `column` reads one column, `parts` some of them part by part. Neither keeps what it read;
    `kept` keeps what somebody made of it.

    All of them raise InputError as looking up a table does.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._directory, self._name = directory, name
        with readable(directory, name) as path:
            self._metadata = pq.read_metadata(path)
        self._stored = frozenset(self._metadata.schema.to_arrow_schema().names)
        self._places = {self._metadata.schema.column(i).path: i for i in range(self._metadata.num_columns)}
        self._kept: dict[Any, Any] = {}
        self._columns: dict[Any, Any] = {}
        self.num_rows: int = self._metadata.num_rows
        self.column_names: list[str] = TABLES[name].names

    def kept(self, key: Any, make: Callable[[], T]) -> T:
        """What `make` gave when it was first asked for `key`."""
        if key not in self._kept:
            self._kept[key] = make()
        found: T = self._kept[key]
        return found

    def kept_column(self, key: Any, make: Callable[[], T]) -> T:
        """The same of what is as long as a column, until `let_go`."""
        if key not in self._columns:
            self._columns[key] = make()
        found: T = self._columns[key]
        return found

    def let_go(self) -> None:
        self._columns.clear()

    def column(self, name: str) -> pa.ChunkedArray:
        if self._absent(name):
            return pa.chunked_array([pa.nulls(self.num_rows, TABLES[self._name].field(name).type)])
        return self.select([name]).column(0)

    def select(self, columns: Sequence[str]) -> pa.Table:
        found = list(self.parts(columns, lambda part, _: part))
        return pa.concat_tables(found) if found else read_table(self._directory, self._name, columns)

    def _absent(self, name: str) -> bool:
        return name not in self._stored and name in ADDED.get(self._name, ())

    def parts(
        self,
        columns: Sequence[str],
        make: Callable[[pa.Table, int], T],
        needed: Callable[[int, int], bool] | None = None,
        rows: int | None = None,
    ) -> Iterator[T]:
        """What `make` gives for these columns of each part of the table and the number of its first row, in order;
        without the parts of which `needed` says so by first row and number of rows. Parts are row groups, or pieces of
        them with that many `rows`, which stay in the processor's caches where what they hold is long.

        Parts are read and made beside each other, one on each core, so that few of them are in memory at a time.
        """
        asked = []
        first = 0
        for group in range(self._metadata.num_row_groups):
            count = self._metadata.row_group(group).num_rows
            if needed is None or needed(first, count):
                asked.append((group, first))
            first += count

        def one(group: int, first: int) -> list[T]:
            found = []
            for part in self._row_group(group, columns, rows):
                found.append(make(part, first))
                first += part.num_rows
            return found

        workers = min(os.cpu_count() or 1, len(asked))
        if workers < 2:
            yield from itertools.chain.from_iterable(itertools.starmap(one, asked))
            return
        with ThreadPoolExecutor(workers) as pool:
            ahead: deque[Future[list[T]]] = deque()
            try:
                for at in asked:
                    if len(ahead) >= workers:
                        yield from _taken(ahead.popleft().result())
                    ahead.append(pool.submit(one, *at))
                while ahead:
                    yield from _taken(ahead.popleft().result())
            finally:
                pool.shutdown(cancel_futures=True)

    def _row_group(self, group: int, columns: Sequence[str], rows: int | None) -> Iterator[pa.Table]:
        asked = [c for c in columns if c in self._stored]
        stored = [c for c in asked if not self._empty(group, c)]
        count = self._metadata.row_group(group).num_rows
        with readable(self._directory, self._name) as path:
            if not stored and asked:
                for first in range(0, count, rows or count):
                    kinds = [TABLES[self._name].field(c).type for c in asked]
                    some = min(rows or count, count - first)
                    part = pa.table([pa.nulls(some, kind) for kind in kinds], asked)
                    yield conforming(part, self._directory, self._name, columns)
                return
            # a file of its own for each thread; what it holds is known already
            file = pq.ParquetFile(path, metadata=self._metadata)
            if rows is None:
                yield self._complete(file.read_row_group(group, stored, use_threads=False), columns)
                return
            for batch in file.iter_batches(rows, [group], stored, use_threads=False):
                yield self._complete(pa.Table.from_batches([batch]), columns)

    def _empty(self, group: int, column: str) -> bool:
        """Whether the file says that all rows of the column are null."""
        rows = self._metadata.row_group(group)
        at = self._places.get(column)
        told = None if at is None else rows.column(at).statistics
        return told is not None and told.has_null_count and 0 < rows.num_rows == told.null_count

    def _complete(self, part: pa.Table, columns: Sequence[str]) -> pa.Table:
        for column in columns:
            if column in self._stored and column not in part.column_names:
                kind = TABLES[self._name].field(column).type
                part = part.append_column(column, pa.nulls(part.num_rows, kind))
        return conforming(part, self._directory, self._name, columns)


def _taken(found: list[T]) -> Iterator[T]:
    """One after the other, of which none is held any longer."""
    found.reverse()
    while found:
        yield found.pop()
