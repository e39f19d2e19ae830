"""Activities of an Nsight Systems export: the rows of one table in columns, put together some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.ingest.sqlite_columns import Column, combinations
from tftrace.store.pages import Pages

Array = npt.NDArray[Any]
Int = npt.NDArray[np.int64]
NONE: Final = -1
NUMBER: Final = -2

RANGES: Final = (59, 60, 34)
"""eventType of NVTX: push/pop range, start/end range, mark."""
_COPY: Final = {1: "HtoD", 2: "DtoH", 8: "DtoD", 9: "HtoH", 10: "PtoP"}
_NUMBERS: Final = ("start", "end", "globalTid", "globalPid", "deviceId", "streamId", "correlationId")
COLUMNS: Final = (*_NUMBERS, "eventType", "text", "copyKind")
"""Those that rows of any table may have."""
_EACH: Final = frozenset({"gridId", "rangeId", "callchainId"})
"""Further columns that may tell each row from all others."""
_KEPT: Final = (np.int32, np.int64, np.int64, np.int32, np.int32, np.int64, np.int64, np.int64)


@dataclass(frozen=True)
class Further:
    """Further columns of a table that stand side by side. `code` says for each row which of `values` it has, the
    combinations there are; a value is None where a row has none. Of a column that tells rows apart, `code` is NUMBER
    where its value is in `number`, and NONE where a row has none; what is no whole number there is in `values`.
    """

    names: tuple[str, ...]
    code: Array
    values: list[tuple[Any, ...]]
    number: Int | None = None

    def at(self, row: int) -> tuple[Any, ...]:
        """The values of a row."""
        code = int(self.code[row])
        if self.number is None or code >= 0:
            return self.values[code]
        return (int(self.number[row]) if code == NUMBER else None,)


@dataclass(frozen=True)
class Activity:
    """The rows of one table as columns of equal length; times in ns since the epoch, -1 where a row has no value.

    `name` holds codes into `names`; `end_ns` is -1 for what never ended. `further` are the other columns, in the order
    of the table.
    """

    kind: str  # kernel, memcpy, memset, runtime, driver, cudnn, cublas, nvtx
    names: list[str]
    name: Array
    start_ns: Int
    end_ns: Int
    pid: Array
    tid: Array
    device: Int
    stream: Int
    correlation: Int
    further: list[Further]

    def __len__(self) -> int:
        return len(self.name)


class _Group:
    """Further columns while they grow."""

    def __init__(self, names: Sequence[str], each: bool, pages: Pages) -> None:
        self.names, self.each = tuple(names), each
        self.values: dict[tuple[Any, ...], int] = {}
        self.code = pages.column(np.int32)
        self.number = pages.column(np.int64) if each else None

    def of(self, key: tuple[Any, ...]) -> int:
        return self.values.setdefault(key, len(self.values))

    def take_rows(self, column: dict[str, tuple[Any, ...]], count: int) -> None:
        if self.number is None:
            keys = zip(*(column[name] for name in self.names), strict=True)
            self.code.add(np.fromiter((self.of(key) for key in keys), np.int32, count))
            return
        values = column[self.names[0]]
        codes = (NONE if v is None else NUMBER if type(v) is int else self.of((v,)) for v in values)
        self.code.add(np.fromiter(codes, np.int32, count))
        self.number.add(np.fromiter((v if type(v) is int else 0 for v in values), np.int64, count))

    def take_columns(self, column: dict[str, Column], code: Callable[..., Int]) -> None:
        if self.number is None:
            self.code.add(code(self.names, self.of))
            return
        told = column[self.names[0]]
        codes, value = np.where(told.null, NONE, NUMBER), told.value
        if told.texts is not None:
            some = np.flatnonzero(~told.null)
            codes[some], value = [self.of((text,)) for text in told.at(some)], np.zeros_like(value)
        self.code.add(codes)
        self.number.add(value)

    def further(self) -> Further:
        number = None if self.number is None else self.number.array()
        return Further(self.names, self.code.array(), list(self.values), number)


class Making:
    """The columns of one table as they are put together, some rows at a time."""

    def __init__(
        self, kind: str, name_columns: tuple[str, ...], kept: list[str], texts: dict[int, str], shift: int,
        pages: Pages,
    ) -> None:  # fmt: skip
        self.kind, self.texts, self.shift = kind, texts, shift
        self.naming = ("text", "copyKind", *name_columns)
        self.names: dict[str, int] = {}
        self.name_of: dict[tuple[Any, ...], int] = {}
        self.groups = [
            _Group((name,) if each else names, each, pages)
            for each, found in groupby(kept, lambda name: name in _EACH)
            for names in [list(found)]
            for name in (names if each else names[:1])
        ]
        self.columns = [pages.column(kind) for kind in _KEPT]

    def take_rows(self, column: dict[str, tuple[Any, ...]], count: int) -> None:
        """Values as SQLite has them, of any type."""
        nothing = (None,) * count
        told = [column.get(c, nothing) for c in self.naming]
        told = [
            values if c == "copyKind" else _told_apart(values)
            for c, values in zip(self.naming, told, strict=True)
        ]
        named = list(zip(*told, strict=True))
        for key in dict.fromkeys(named):
            self._name(key)
        self._take(
            np.array([self.name_of[key] for key in named], np.int64),
            {c: _ints(column.get(c, nothing)) for c in _NUMBERS},
        )
        for group in self.groups:
            group.take_rows(column, count)

    def take_columns(self, column: dict[str, Column], count: int) -> None:
        """Whole numbers, texts and nulls."""
        nothing = Column(np.zeros(count, np.int64), np.ones(count, np.bool_))
        if self.kind == "nvtx":
            value, null, texts = column.get("eventType", nothing)
            rows = np.flatnonzero(np.isin(value, RANGES) & ~null & (texts is None))
            count = len(rows)
            column = {name: Column(v[rows], n[rows], t) for name, (v, n, t) in column.items()}
            nothing = Column(nothing.value[:count], nothing.null[:count])
        if not count:
            return

        def codes(names: Sequence[str], code: Callable[[tuple[Any, ...]], int]) -> Int:
            columns = [column.get(c, nothing) for c in names]
            number, rows = combinations(columns, count)
            keys = zip(*(some.at(rows) for some in columns), strict=True)
            return np.array([code(key) for key in keys], np.int64)[number]

        def numbers(name: str) -> Int:
            value, null, texts = column.get(name, nothing)
            return np.where(null | (texts is not None), NONE, value)

        self._take(codes(self.naming, self._name), {c: numbers(c) for c in _NUMBERS})
        for group in self.groups:
            group.take_columns(column, codes)

    def _name(self, key: tuple[Any, ...]) -> int:
        code = self.name_of.get(key)
        if code is None:
            text, copy, *ids = key
            name = _name(self.kind, text, ids, copy, self.texts)
            code = self.name_of[key] = self.names.setdefault(name, len(self.names))
        return code

    def _take(self, name: Int, number: dict[str, Int]) -> None:
        start, end, own = (number[c] for c in ("start", "end", "globalTid"))
        whole = np.where(own >= 0, own, number["globalPid"])
        found = (
            name,
            np.where(start >= 0, start + self.shift, NONE),
            np.where(end >= 0, end + self.shift, NONE),
            np.where(whole >= 0, whole >> 24 & 0xFFFFFF, NONE),
            np.where(own >= 0, own & 0xFFFFFF, NONE),
            *(number[c] for c in ("deviceId", "streamId", "correlationId")),
        )
        for column, values in zip(self.columns, found, strict=True):
            column.add(values)

    def activity(self) -> Activity:
        name, start, end, pid, tid, device, stream, correlation = (column.array() for column in self.columns)
        return Activity(
            kind=self.kind, names=list(self.names), name=name, start_ns=start, end_ns=end, pid=pid, tid=tid,
            device=device, stream=stream, correlation=correlation,
            further=[group.further() for group in self.groups],
        )  # fmt: skip


def _name(kind: str, text: Any, ids: list[Any], copy: Any, texts: dict[int, str]) -> str:
    if kind == "memcpy":
        return f"Memcpy{_COPY.get(copy, '')}"
    if kind == "memset":
        return "Memset"
    if text is not None:
        return str(text)
    found = next((texts[i] for i in ids if isinstance(i, int) and i in texts), None)
    return found if found is not None else f"({kind} without a name)"


def _told_apart(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """With fractions as text: 1.0 is no id, though it is equal to 1."""
    return tuple(str(v) if type(v) is float else v for v in values) if float in map(type, values) else values


def _ints(values: tuple[Any, ...]) -> Int:
    """Whole numbers; -1 for null and for anything else (SQLite holds any type in any column)."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return np.array(values, np.int64)
    if int not in kinds:
        return np.full(len(values), NONE, np.int64)
    return np.fromiter((v if type(v) is int else NONE for v in values), np.int64, len(values))
