"""What few of many texts say, by C (native/analysis/texts.c), which looks at Arrow's own memory."""

from __future__ import annotations

import ctypes
from functools import cache
from threading import Lock
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tftrace.analysis import arrow_memory
from tftrace.analysis.arrow_memory import int64, pointer
from tftrace.analysis.columns import Bools, Ints
from tftrace.native.compiling import SOURCES, loops

_SOURCE: Final = SOURCES / "analysis" / "texts.c"


class _Texts(ctypes.Structure):
    """The beginning of the struct `tft_texts`."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("count", "room", "size", "space")),
        *((name, ctypes.c_void_p) for name in ("ends", "hashes", "bytes")),
    ]  # fmt: skip


@cache
def _functions() -> Any:
    functions, _ = loops("texts", _SOURCE, arrow_memory.HEADER)
    if functions is not None:
        functions.tft_texts_new.restype = ctypes.POINTER(_Texts)
        functions.tft_texts_free.argtypes, functions.tft_texts_free.restype = [ctypes.POINTER(_Texts)], None
    return functions


def known(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(column.type))


class Texts:
    """The different texts of rows that are added, each once. Several threads may add at once."""

    def __init__(self, functions: Any) -> None:
        self._functions, self._texts = functions, functions.tft_texts_new()
        if not self._texts:
            raise MemoryError
        self._adding = Lock()

    @classmethod
    def new(cls) -> Texts | None:
        """None where there is no C."""
        functions = _functions()
        return None if functions is None else cls(functions)

    def close(self) -> None:
        self._functions.tft_texts_free(self._texts)

    def add(self, chunk: pa.Array, rows: Ints) -> Ints:
        """The position of the text of each of the `rows`, -1 for null."""
        code: Ints = np.empty(len(rows), np.int64)
        column, data = _memory(chunk)
        with self._adding:
            done = self._functions.tft_texts_add(
                self._texts, ctypes.byref(column), data, int64(len(rows)), pointer(rows), pointer(code)
            )
        if not done:
            raise MemoryError
        return code

    def holding(self, chunk: pa.Array, rows: Ints, part: bytes) -> Bools:
        """Whether the text of each of the `rows` holds `part`; that of null does not."""
        holds: Bools = np.empty(len(rows), np.bool_)
        column, data = _memory(chunk)
        self._functions.tft_holding(
            ctypes.byref(column),
            data,
            int64(len(rows)),
            pointer(rows),
            part,
            int64(len(part)),
            pointer(holds),
        )
        return holds

    def array(self) -> pa.Array:
        """The different texts, by position."""
        found = self._texts.contents
        ends, data = (
            np.array(np.ctypeslib.as_array(ctypes.cast(at, ctypes.POINTER(kind)), (many,)))
            if at and many
            else np.zeros(0, kind)
            for at, many, kind in (
                (found.ends, found.count, ctypes.c_int64), (found.bytes, found.size, ctypes.c_uint8),
            )
        )  # fmt: skip
        begins = np.concatenate([np.zeros(1, np.int64), ends])
        kind, width = (pa.string(), np.int32) if found.size < 1 << 31 else (pa.large_string(), np.int64)
        memory = [None, pa.py_buffer(begins.astype(width)), pa.py_buffer(data)]
        return pa.Array.from_buffers(kind, found.count, memory)


def _memory(chunk: pa.Array) -> tuple[arrow_memory.Column, ctypes.c_void_p]:
    """Where the texts begin, and their bytes."""
    data = chunk.buffers()[2]
    return arrow_memory.Column.of(chunk), ctypes.c_void_p(None if data is None else data.address)
