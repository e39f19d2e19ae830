"""Arrow's arrays as numpy's and back, by their memory: pyarrow's own way imports pandas, a third of a second."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bools = npt.NDArray[np.bool_]


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
