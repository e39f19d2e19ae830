"""Some rows of a table that is read part by part: what other rows hold is left behind at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.analysis import arrow_memory
from tftrace.analysis.columns import Ints, Numbers, Texts, numbers, parts, spelled, texts
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace

V = TypeVar("V", np.int64, np.bool_)


class Picked:
    """Some columns of the rows in `rows` of a table, in that order. `piece` is how many rows of it are read together;
    less than a row group takes less memory where there are many columns."""

    def __init__(
        self, trace: Trace, name: str, columns: Sequence[str], rows: Ints, piece: int | None = None
    ) -> None:
        some = Ascending(rows)
        self._numbers = {
            c: Numbers(np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_))
            for c in columns
            if pa.types.is_integer(TABLES[name].field(c).type)
            or pa.types.is_boolean(TABLES[name].field(c).type)
        }
        self._texts = {
            c: Texts(np.full(len(rows), -1, np.int64), []) for c in columns if c not in self._numbers
        }

        def make(part: pa.Table, first: int) -> tuple[dict[str, Texts], slice | Ints]:
            here, to = some.placed(first, part.num_rows)
            for column, into in self._numbers.items():
                _put_numbers(part, column, here, into, to)
            return {c: _texts_at(part.column(c), c, here) for c in self._texts}, to

        numbered: dict[str, dict[str, int]] = {c: {} for c in self._texts}
        for found, to in parts(trace, name, columns, make, rows=piece):
            for column, one in found.items():
                of = numbered[column]
                known = np.array([*(of.setdefault(v, len(of)) for v in one.values), -1], np.int64)
                self._texts[column].codes[to] = known[one.codes]
        for column, of in numbered.items():
            self._texts[column].values.extend(of)

    def numbers(self, column: str) -> Numbers:
        return self._numbers[column]

    def texts(self, column: str) -> Texts:
        """Numbered as those of the whole column are."""
        return self._texts[column]


class Ascending:
    """Rows in the order that a table has them."""

    def __init__(self, rows: Ints) -> None:
        self._order = None if (rows[1:] >= rows[:-1]).all() else np.argsort(rows, kind="stable")
        self._rows = rows if self._order is None else rows[self._order]

    def __len__(self) -> int:
        return len(self._rows)

    def within(self, first: int, count: int) -> Ints:
        """Those of a part of the table, counted from its first row."""
        return self.placed(first, count)[0]

    def placed(self, first: int, count: int) -> tuple[Ints, slice | Ints]:
        """The same, and where they stand in the order in which the rows were given."""
        begin, end = self._rows.searchsorted((first, first + count)).tolist()
        here = slice(begin, end)
        return self._rows[here] - first, here if self._order is None else self._order[here]

    def back(self, values: npt.NDArray[V]) -> npt.NDArray[V]:
        """What was found, in the order in which the rows were given."""
        if self._order is None:
            return values
        given = np.empty_like(values)
        given[self._order] = values
        return given


def _put_numbers(part: pa.Table, name: str, rows: Ints, into: Numbers, to: slice | Ints) -> None:
    """Puts what some rows of a part hold into `to` of what is all null so far."""
    column = part.column(name)
    if column.null_count == len(column):
        return
    if column.num_chunks != 1 or not arrow_memory.is_whole(column.type):
        whole = numbers(part, name)
        into.values[to], into.valid[to] = whole.values[rows], whole.valid[rows]
        return
    values = arrow_memory.values(column.chunk(0))[rows]
    if not column.null_count:
        into.values[to], into.valid[to] = values, True
        return
    valid = arrow_memory.valid(column.chunk(0))[rows]
    into.values[to], into.valid[to] = np.where(valid, values, 0), valid


def _texts_at(column: pa.ChunkedArray, name: str, rows: Ints) -> Texts:
    """The texts of some rows, whose codes alone are looked at."""
    if (
        column.num_chunks != 1
        or not pa.types.is_dictionary(column.type)
        or column.chunk(0).dictionary.null_count
    ):
        return texts(pa.table({name: column}), name).at(rows)
    indices = column.chunk(0).indices
    code = arrow_memory.values(indices)[rows].astype(np.int64)
    if indices.null_count:
        code[~arrow_memory.valid(indices)[rows]] = -1
    return Texts(code, [str(v) for v in spelled(column.chunk(0).dictionary)])
