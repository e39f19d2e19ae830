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
    """Some columns of the rows in `rows` of a table, in that order."""

    def __init__(self, trace: Trace, name: str, columns: Sequence[str], rows: Ints) -> None:
        some = Ascending(rows)

        def make(part: pa.Table, first: int) -> dict[str, Texts | Numbers]:
            here = some.within(first, part.num_rows)
            found: dict[str, Texts | Numbers] = {}
            for column in columns:
                if pa.types.is_integer(TABLES[name].field(column).type):
                    data = numbers(part, column)
                    found[column] = Numbers(data.values[here], data.valid[here])
                else:
                    found[column] = _texts_at(part.column(column), column, here)
            return found

        self._some, self._parts = some, list(parts(trace, name, columns, make))

    def numbers(self, column: str) -> Numbers:
        found = [part[column] for part in self._parts]
        values, valid = ([getattr(one, what) for one in found] for what in ("values", "valid"))
        return Numbers(
            self._some.back(np.concatenate([np.zeros(0, np.int64), *values])),
            self._some.back(np.concatenate([np.zeros(0, np.bool_), *valid])),
        )

    def texts(self, column: str) -> Texts:
        """Numbered as those of the whole column are."""
        numbered: dict[str, int] = {}
        codes = [np.zeros(0, np.int64)]
        for part in self._parts:
            one = part[column]
            assert isinstance(one, Texts)
            known = np.array([*(numbered.setdefault(v, len(numbered)) for v in one.values), -1], np.int64)
            codes.append(known[one.codes])
        return Texts(self._some.back(np.concatenate(codes)), list(numbered))


class Ascending:
    """Rows in the order that a table has them."""

    def __init__(self, rows: Ints) -> None:
        self._order = None if (rows[1:] >= rows[:-1]).all() else np.argsort(rows, kind="stable")
        self._rows = rows if self._order is None else rows[self._order]

    def within(self, first: int, count: int) -> Ints:
        """Those of a part of the table, counted from its first row."""
        begin, end = np.searchsorted(self._rows, (first, first + count))
        return self._rows[begin:end] - first

    def back(self, values: npt.NDArray[V]) -> npt.NDArray[V]:
        """What was found, in the order in which the rows were given."""
        if self._order is None:
            return values
        given = np.empty_like(values)
        given[self._order] = values
        return given


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
