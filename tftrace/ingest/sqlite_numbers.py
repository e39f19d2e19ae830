"""Whole numbers of an SQLite table in columns, by C (native/reader/rows.c) and the SQLite library that Python uses.

Python's own module makes an object of each value. Where the library cannot be reached, a C compiler is missing, or a
column holds anything but whole numbers and nulls, there is nothing here, and the rows have to be read through that
module.
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

from tftrace.ingest.text_columns import Bool, Int
from tftrace.native.compiling import SOURCES, loops

_SOURCE: Final = SOURCES / "reader" / "rows.c"
_READ_ONLY: Final = 0x1 | 0x40 | 0x8000  # SQLITE_OPEN_READONLY, _URI, _NOMUTEX: one thread uses it
_WIDEST: Final = 1 << 62


class Column(NamedTuple):
    """`value` is 0 where `null`."""

    value: Int
    null: Bool


class NotWholeError(Exception):
    """The rows cannot be had as columns of whole numbers."""


class _Functions(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("step", "type", "number")]


@cache
def _library() -> tuple[Any, Any] | None:
    """SQLite's functions and ours; None where they cannot be had."""
    try:
        import _sqlite3

        sqlite = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
        for name, arguments, result in (
            ("open_v2", "ppip", "i"), ("prepare_v2", "ppipp", "i"), ("finalize", "p", "i"), ("close_v2", "p", "i"),
            ("step", "p", "i"), ("column_type", "pi", "i"), ("column_int64", "pi", "q"),
        ):  # fmt: skip
            function = getattr(sqlite, f"sqlite3_{name}")
            function.argtypes = [_TYPES[a] for a in arguments]
            function.restype = _TYPES[result]
    except (ImportError, OSError, AttributeError):
        return None
    ours, _ = loops("rows", _SOURCE)
    if ours is None:
        return None
    ours.tft_rows.argtypes = [_TYPES[a] for a in "ppiqpp"]
    ours.tft_rows.restype = ctypes.c_int64
    return sqlite, ours


_TYPES: Final[dict[str, Any]] = {"p": ctypes.c_void_p, "i": ctypes.c_int, "q": ctypes.c_int64}


def immutable(path: Path) -> str:
    """What SQLite is told to open this file for reading, without a journal or anything else beside it."""
    return f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"


def numbers(path: Path, query: str, columns: int, rows: int) -> Iterator[list[Column]]:
    """What a query gives, `rows` at a time. Raises NotWholeError, also after some of them, where it cannot be had."""
    library = _library()
    if library is None:
        raise NotWholeError
    sqlite, ours = library
    functions = _Functions(
        *(
            ctypes.cast(getattr(sqlite, f"sqlite3_{name}"), ctypes.c_void_p)
            for name in ("step", "column_type", "column_int64")
        )
    )
    with _statement(sqlite, path, query) as statement:
        count = rows
        while count == rows:
            value, null = np.empty((columns, rows), np.int64), np.empty((columns, rows), np.bool_)
            count = ours.tft_rows(
                ctypes.addressof(functions), statement, columns, rows, value.ctypes.data, null.ctypes.data
            )
            if count < 0:
                raise NotWholeError
            if count:
                yield [Column(value[c, :count], null[c, :count]) for c in range(columns)]


@contextmanager
def _statement(sqlite: Any, path: Path, query: str) -> Iterator[Any]:
    base, statement = ctypes.c_void_p(), ctypes.c_void_p()
    try:
        if sqlite.sqlite3_open_v2(immutable(path).encode(), ctypes.byref(base), _READ_ONLY, None):
            raise NotWholeError
        if sqlite.sqlite3_prepare_v2(base, query.encode(), -1, ctypes.byref(statement), None):
            raise NotWholeError
        yield statement
    finally:
        sqlite.sqlite3_finalize(statement)
        sqlite.sqlite3_close_v2(base)


def combinations(columns: Sequence[Column], rows: int) -> tuple[Int, Int]:
    """The number of the combination of values that each row has, as they come, and a row of each."""
    key, size = np.zeros(rows, np.int64), 1
    for value, null in columns:
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
