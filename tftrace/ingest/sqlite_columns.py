"""Rows of an SQLite table in columns, by C (native/reader/rows.c) and the SQLite library that Python uses.

Python's own module makes an object of each value. Where the library cannot be reached, a C compiler is missing, or a
column holds anything but whole numbers or texts, and nulls, there is nothing here, and the rows have to be read through
that module.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.ingest.text_columns import Bool, Int, texts_by_number
from tftrace.native.compiling import SOURCES, loops

TEXTS: Final = 1 << 22
"""Bytes of texts that are read at once; a row with more is not read here."""

_SOURCE: Final = SOURCES / "reader" / "rows.c"
_READ_ONLY: Final = 0x1 | 0x40 | 0x8000  # SQLITE_OPEN_READONLY, _URI, _NOMUTEX: one thread uses it
_INTEGER, _TEXT, _NULL = 1, 3, 5
_WIDEST: Final = 1 << 62
_TYPES: Final[dict[str, Any]] = {"p": ctypes.c_void_p, "i": ctypes.c_int, "q": ctypes.c_int64}


class Column(NamedTuple):
    """`value` is 0 where `null`; where there are `texts`, it is the number of one of them."""

    value: Int
    null: Bool
    texts: list[str] | None = None

    def at(self, rows: Int) -> list[Any]:
        """The values of these rows, None for null."""
        texts = self.texts
        values = self.value[rows].tolist()
        told = values if texts is None else [texts[v] if texts else None for v in values]
        return [None if null else v for v, null in zip(told, self.null[rows].tolist(), strict=True)]


class NotPlainError(Exception):
    """The rows cannot be had as columns."""


class _Functions(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("step", "type", "number", "text", "bytes")]


class _Table(ctypes.Structure):
    _fields_ = [
        ("sqlite", ctypes.POINTER(_Functions)), ("statement", ctypes.c_void_p), ("columns", ctypes.c_int64),
        ("room", ctypes.c_int64), ("values", ctypes.c_void_p), ("kinds", ctypes.c_void_p), ("texts", ctypes.c_void_p),
        ("texts_room", ctypes.c_int64), ("state", ctypes.c_int64),
    ]  # fmt: skip


@cache
def _library() -> tuple[Any, Any, _Functions] | None:
    """SQLite's functions, ours, and those of SQLite's that ours call; None where they cannot be had."""
    try:
        import _sqlite3

        sqlite = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
        for name, arguments, result in (
            ("open_v2", "ppip", "i"), ("prepare_v2", "ppipp", "i"), ("finalize", "p", "i"), ("close_v2", "p", "i"),
        ):  # fmt: skip
            function = getattr(sqlite, f"sqlite3_{name}")
            function.argtypes, function.restype = [_TYPES[a] for a in arguments], _TYPES[result]
        called = ("step", "column_type", "column_int64", "column_text", "column_bytes")
        functions = _Functions(
            *(ctypes.cast(getattr(sqlite, f"sqlite3_{name}"), ctypes.c_void_p) for name in called)
        )
    except (ImportError, OSError, AttributeError):
        return None
    ours, _ = loops("rows", _SOURCE)
    if ours is None:
        return None
    ours.tft_rows.argtypes, ours.tft_rows.restype = [ctypes.POINTER(_Table)], ctypes.c_int64
    return sqlite, ours, functions


def immutable(path: Path) -> str:
    """What SQLite is told to open this file for reading, without a journal or anything else beside it."""
    return f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"


def columns_of(path: Path, query: str, columns: int, rows: int) -> Iterator[list[Column]]:
    """What a query gives, up to `rows` at a time. Raises NotPlainError, also after some of them, where it cannot be
    had."""
    library = _library()
    if library is None:
        raise NotPlainError
    sqlite, ours, functions = library
    values, kinds = np.empty((columns, rows), np.int64), np.empty((columns, rows), np.uint8)
    texts = np.empty(TEXTS, np.uint8)
    with _statement(sqlite, path, query) as statement:
        table = _Table(
            ctypes.pointer(functions), statement, columns, rows, values.ctypes.data, kinds.ctypes.data,
            texts.ctypes.data, len(texts), 0,
        )  # fmt: skip
        while count := ours.tft_rows(table):
            if count < 0:
                raise NotPlainError
            yield [_column(values[c, :count].copy(), kinds[c, :count], texts) for c in range(columns)]


def _column(values: Int, kinds: npt.NDArray[np.uint8], texts: npt.NDArray[np.uint8]) -> Column:
    null = kinds == _NULL
    rows = np.flatnonzero(kinds == _TEXT)
    if not len(rows):
        return Column(values, null)
    if (kinds == _INTEGER).any():
        raise NotPlainError
    first = values[rows] >> 32
    last = first + (values[rows] & 0xFFFFFFFF)
    values[rows], found = texts_by_number(texts[: last[-1]].tobytes(), first, last)
    return Column(values, null, [text.decode("utf-8", "replace") for text in found])


@contextmanager
def _statement(sqlite: Any, path: Path, query: str) -> Iterator[Any]:
    base, statement = ctypes.c_void_p(), ctypes.c_void_p()
    try:
        if sqlite.sqlite3_open_v2(immutable(path).encode(), ctypes.byref(base), _READ_ONLY, None):
            raise NotPlainError
        if sqlite.sqlite3_prepare_v2(base, query.encode(), -1, ctypes.byref(statement), None):
            raise NotPlainError
        yield statement
    finally:
        sqlite.sqlite3_finalize(statement)
        sqlite.sqlite3_close_v2(base)


def combinations(columns: Sequence[Column], rows: int) -> tuple[Int, Int]:
    """The number of the combination of values that each row has, as they come, and a row of each."""
    key, size = np.zeros(rows, np.int64), 1
    for value, null, _ in columns:
        part, span = _from_zero(value, null)
        if span == 1:
            continue
        if size * span >= _WIDEST:
            (key, size), (part, span) = _numbered(key), _numbered(part)
        key, size = key * span + part, size * span
    code, _ = _numbered(key)
    return code, np.flatnonzero(np.diff(np.maximum.accumulate(code), prepend=-1))


def _from_zero(value: Int, null: Bool) -> tuple[Int, int]:
    """Numbers that differ where these do, and one more than the largest of them; null is the smallest."""
    some = bool(null.any())
    known = value[~null] if some else value
    if not len(known):
        return np.zeros(len(value), np.int64), 1
    low, high = int(known.min()), int(known.max())
    if high - low >= _WIDEST:
        number, count = _numbered(value)
        return (np.where(null, 0, number + 1), count + 1) if some else (number, count)
    if not some:
        return value - low, high - low + 1
    return np.where(null, 0, value - low + 1), high - low + 2


def _numbered(key: npt.NDArray[np.int64]) -> tuple[Int, int]:
    encoded = pa.array(key).dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(), np.int64), len(encoded.dictionary)
