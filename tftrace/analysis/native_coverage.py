"""The coverage of layers, and threads told apart, by C (native/analysis/coverage.c), which looks at Arrow's own
memory."""

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
from tftrace.analysis.columns import Bools, Ints, spelled
from tftrace.model.layers import LAYERS
from tftrace.model.schemas import EVENTS
from tftrace.native.compiling import SOURCES, loops

_SOURCE: Final = SOURCES / "analysis" / "coverage.c"
THREAD: Final = ("stream", "tid", "pid", "device", "host")
"""Columns that say which thread or stream an event is of."""
COLUMNS: Final = ("layer", "start_ns", "dur_ns", *THREAD)
_TEXTS: Final = {"layer": "ranks", "host": "hosts", "device": "devices"}


class _Part(ctypes.Structure):
    _fields_ = [
        ("rows", ctypes.c_int64), *((name, ctypes.c_void_p) for name in ("ranks", "hosts", "devices", "kept")),
        *((name, arrow_memory.Column) for name in COLUMNS),
    ]  # fmt: skip


class _Found(ctypes.Structure):
    """The beginning of the struct `tft_sweep`."""

    _fields_ = [(name, ctypes.c_int64 * len(LAYERS)) for name in ("events", "own", "from_here")]


@cache
def _functions() -> Any:
    """None where they cannot be had."""
    functions, _ = loops("coverage", _SOURCE, arrow_memory.HEADER)
    if functions is not None:
        functions.tft_sweep_new.restype = ctypes.POINTER(_Found)
        functions.tft_sweep_free.argtypes, functions.tft_sweep_free.restype = [ctypes.POINTER(_Found)], None
        functions.tft_sweep_add.argtypes = [ctypes.POINTER(_Found), ctypes.POINTER(_Part)]
        functions.tft_sweep_add.restype = ctypes.c_int
        functions.tft_sweep_number.argtypes = [
            ctypes.POINTER(_Found),
            ctypes.POINTER(_Part),
            ctypes.c_void_p,
        ]
        functions.tft_sweep_number.restype = ctypes.c_int64
    return functions


def covered(parts: Iterator[pa.Table], kept: Bools | None) -> tuple[Ints, Ints, Ints] | None:
    """By layer the number of events (those of the mask `kept`), the ns that they cover, and those that they and the
    layers below do. None without C, for rows that are not in the order of their start, or columns of other types."""
    functions = _functions()
    if functions is None:
        return None
    sweep = _Sweep(functions)
    first = 0
    with closing(sweep):
        for part in parts:
            if not _known(part, COLUMNS):
                return None
            for batch in part.to_batches():
                here = None if kept is None else kept[first : first + batch.num_rows]
                first += batch.num_rows
                if not sweep.add(batch, here):
                    return None
        found = sweep.found.contents
        return np.array(found.events), np.array(found.own), np.array(found.from_here)


def threads(parts: Iterator[pa.Table], rows: int) -> tuple[npt.NDArray[np.int32], int] | None:
    """The number of each event's thread or stream, and how many there are; `parts` hold the columns `THREAD`. None
    without C, or for columns of other types."""
    functions = _functions()
    if functions is None:
        return None
    number: npt.NDArray[np.int32] = np.empty(rows, np.int32)
    sweep = _Sweep(functions)
    first = count = 0
    with closing(sweep):
        for part in parts:
            if not _known(part, THREAD):
                return None
            for batch in part.to_batches():
                count = sweep.number(batch, number[first : first + batch.num_rows])
                first += batch.num_rows
    return number, count


def _known(part: pa.Table, columns: tuple[str, ...]) -> bool:
    return all(part.schema.field(c).type == EVENTS.field(c).type for c in columns)


class _Sweep:
    """The struct `tft_sweep`."""

    def __init__(self, functions: Any) -> None:
        self._functions, self.found = functions, functions.tft_sweep_new()
        if not self.found:
            raise MemoryError
        self._numbered: dict[str, dict[str, int]] = {"host": {}, "device": {}}

    def close(self) -> None:
        self._functions.tft_sweep_free(self.found)

    def add(self, batch: pa.RecordBatch, kept: Bools | None) -> bool:
        """False where a row begins before the one in front of it: the sweep is then of no use any more."""
        given, _held = self._given(batch, COLUMNS)
        mask = None if kept is None else np.ascontiguousarray(kept)
        given.kept = None if mask is None else mask.ctypes.data
        status = self._functions.tft_sweep_add(self.found, given)
        if status == 2:
            raise MemoryError
        return bool(status == 0)

    def number(self, batch: pa.RecordBatch, into: npt.NDArray[np.int32]) -> int:
        given, _held = self._given(batch, THREAD)
        count = self._functions.tft_sweep_number(self.found, given, into.ctypes.data)
        if count < 0:
            raise MemoryError
        return int(count)

    def _given(self, batch: pa.RecordBatch, columns: tuple[str, ...]) -> tuple[_Part, list[Any]]:
        """The columns as C has them, and what holds their memory."""
        given = _Part(rows=batch.num_rows)
        held: list[Any] = []
        for name in columns:
            column = batch.column(name)
            if name in _TEXTS:
                codes = self._codes(name, spelled(column.dictionary))
                setattr(given, _TEXTS[name], codes.ctypes.data)
                held.append(codes)
                column = column.indices
            held.append(column)
            setattr(given, name, arrow_memory.Column.of(column))
        return given, held

    def _codes(self, name: str, values: list[Any]) -> npt.NDArray[Any]:
        if name == "layer":
            return np.array([LAYERS.index(v) if v in LAYERS else -1 for v in values], np.int8)
        known = self._numbered[name]
        return np.array([-1 if v is None else known.setdefault(v, len(known)) for v in values], np.int32)
