"""The ways of a flame graph by C (native/analysis/ways.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.analysis import arrow_memory
from tftrace.analysis.arrow_memory import Column, int64, pointer
from tftrace.native.compiling import SOURCES, loops

_SOURCE: Final = SOURCES / "analysis" / "ways.c"
_WAY: Final = np.dtype([(name, np.int32) for name in ("above", "depth", "name", "first", "layer")])
Rows = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class _Ways(ctypes.Structure):
    """The beginning of the struct `tft_ways`."""

    _fields_ = [("count", ctypes.c_int64), ("ways", ctypes.c_void_p)]


class _Pointers(ctypes.Structure):
    """The structs `tft_rows` and `tft_sums`, as far as they are pointers."""

    _fields_ = [(name, ctypes.c_void_p) for name in "abcde"]


@cache
def _functions() -> Any:
    functions, _ = loops("ways", _SOURCE, arrow_memory.HEADER)
    if functions is not None:
        functions.tft_ways_new.restype = ctypes.POINTER(_Ways)
        functions.tft_ways_free.argtypes, functions.tft_ways_free.restype = [ctypes.POINTER(_Ways)], None
    return functions


def available() -> bool:
    return _functions() is not None


def ways(
    parent: Rows, layer: npt.NDArray[np.int8], name: Rows, kept: npt.NDArray[np.bool_] | None
) -> npt.NDArray[Any]:
    """Makes of `parent`, in which is no circle, the number of the way that each event goes, -1 for those that are not
    `kept`; returns the ways in no order: the one `above` (-1 at the top), `depth`, `layer`, code of the `name`, and the
    `first` event."""
    functions = _functions()
    found = functions.tft_ways_new()
    if not found:
        raise MemoryError
    with closing(_Freed(functions.tft_ways_free, found)):
        rows = _Pointers(*(None if one is None else one.ctypes.data for one in (name, layer, kept)))
        if not functions.tft_ways_found(found, int64(len(parent)), ctypes.byref(rows), pointer(parent)):
            raise MemoryError
        size = found.contents.count * _WAY.itemsize
        return np.frombuffer(ctypes.string_at(found.contents.ways, size) if size else b"", _WAY)


def summed(parts: Iterator[tuple[Rows, pa.Array, Ints]], place: Rows) -> tuple[Ints, Floats, Floats, Ints]:
    """By the `place` of a way: how many events go it, their length, what they spend themselves, and the longest of
    them. `parts` have of some events the way, the length and the own time."""
    functions, count = _functions(), len(place)
    events, longest = np.zeros(count, np.int64), np.zeros(count, np.int64)
    total, own = np.zeros(count), np.zeros(count)
    sums = _Pointers(*(one.ctypes.data for one in (place, events, longest, total, own)))
    for way, dur, spent in parts:
        lengths = Column.of(dur)
        functions.tft_ways_add(
            int64(len(way)), pointer(way), ctypes.byref(lengths), pointer(spent), ctypes.byref(sums)
        )
    return events, total, own, longest


class _Freed:
    def __init__(self, free: Any, what: Any) -> None:
        self._free, self._what = free, what

    def close(self) -> None:
        self._free(self._what)
