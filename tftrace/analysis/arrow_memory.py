"""Arrow's arrays as numpy's and back, by their memory: pyarrow's own way imports pandas, a third of a second."""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.native.compiling import SOURCES

Bools = npt.NDArray[np.bool_]
HEADER: Final = SOURCES / "analysis" / "columns.h"


class Column(ctypes.Structure):
    """A column of whole numbers, the codes of one with a dictionary, or where each text begins, as C has it (`HEADER`).
    Holds no memory."""

    _fields_ = [("values", ctypes.c_void_p), ("valid", ctypes.c_void_p), ("offset", ctypes.c_int64)]

    @classmethod
    def of(cls, array: pa.Array) -> Column:
        valid, values = array.buffers()[:2]
        return cls(
            None if values is None else values.address,
            None if valid is None or not array.null_count else valid.address,
            array.offset,
        )


def pointer(values: npt.NDArray[Any]) -> ctypes.c_void_p:
    """Where numpy's values are, for C; whoever passes it keeps them."""
    return ctypes.c_void_p(values.ctypes.data)


def int64(number: int) -> ctypes.c_int64:
    """The number as C takes it, whatever a function is said to take."""
    return ctypes.c_int64(number)


def is_whole(kind: pa.DataType) -> bool:
    """Whether `values` knows this type: signed integers and booleans."""
    return bool(pa.types.is_signed_integer(kind) or pa.types.is_boolean(kind))


def values(array: pa.Array) -> npt.NDArray[Any]:
    """The values of integers or booleans, which may be Arrow's own memory; where null they are anything."""
    if not len(array):
        return np.zeros(0, np.int64)
    memory = array.buffers()[1]
    if memory is None:  # of a column without any value
        return np.zeros(len(array), np.int64)
    if pa.types.is_boolean(array.type):
        return _bits(memory, array.offset, len(array))
    kind = np.dtype(str(array.type))
    return np.frombuffer(memory, kind, len(array), array.offset * kind.itemsize)


def valid(array: pa.Array) -> Bools:
    """Which rows have a value."""
    if not array.null_count:
        return np.ones(len(array), np.bool_)
    memory = array.buffers()[0]
    return np.zeros(len(array), np.bool_) if memory is None else _bits(memory, array.offset, len(array))


def _bits(memory: pa.Buffer, first: int, count: int) -> Bools:
    begin = first // 8
    some = np.frombuffer(memory, np.uint8, (first + count + 7) // 8 - begin, begin)
    at = first - 8 * begin
    return np.unpackbits(some, bitorder="little")[at : at + count].view(np.bool_)


def numbers(of: npt.NDArray[np.int64]) -> pa.Array:
    """The numbers as Arrow's array, in the same memory."""
    return pa.Array.from_buffers(pa.int64(), len(of), [None, pa.py_buffer(np.ascontiguousarray(of))])


def mask(of: Bools) -> pa.Array:
    return pa.Array.from_buffers(
        pa.bool_(), len(of), [None, pa.py_buffer(np.packbits(of, bitorder="little"))]
    )
