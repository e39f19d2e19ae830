"""The coverage of layers by C (native/analysis/coverage.c), which looks at Arrow's own memory."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tftrace.analysis.columns import Bools, Ints
from tftrace.analysis.native_threads import COLUMNS, HEADERS, Part, Threads, known
from tftrace.model.layers import LAYERS
from tftrace.native.compiling import SOURCES, loops

__all__ = ["COLUMNS", "covered"]

_SOURCE: Final = SOURCES / "analysis" / "coverage.c"


class _Found(ctypes.Structure):
    """The beginning of the struct `tft_sweep`."""

    _fields_ = [(name, ctypes.c_int64 * len(LAYERS)) for name in ("events", "own", "from_here")]


@cache
def _functions() -> Any:
    """None where they cannot be had."""
    functions, _ = loops("coverage", _SOURCE, *HEADERS)
    if functions is not None:
        functions.tft_sweep_new.restype = ctypes.POINTER(_Found)
        functions.tft_sweep_free.argtypes, functions.tft_sweep_free.restype = [ctypes.POINTER(_Found)], None
        functions.tft_sweep_add.argtypes = [ctypes.POINTER(_Found), ctypes.POINTER(Part), ctypes.c_void_p]
        functions.tft_sweep_add.restype = ctypes.c_int
    return functions


def covered(parts: Iterator[pa.Table], kept: Bools | None) -> tuple[Ints, Ints, Ints] | None:
    """By layer the number of events (those of the mask `kept`), the ns that they cover, and those that they and the
    layers below do; `parts` hold `COLUMNS`. None without C, for rows that are not in the order of their start, or
    columns of other types."""
    functions = _functions()
    if functions is None:
        return None
    sweep = _Sweep(functions)
    first = 0
    with closing(sweep):
        for part in parts:
            if not known(part):
                return None
            for batch in part.to_batches():
                here = None if kept is None else kept[first : first + batch.num_rows]
                first += batch.num_rows
                if not sweep.add(batch, here):
                    return None
        found = sweep.found.contents
        return np.array(found.events), np.array(found.own), np.array(found.from_here)


class _Sweep:
    """The struct `tft_sweep`."""

    def __init__(self, functions: Any) -> None:
        self._functions, self.found = functions, functions.tft_sweep_new()
        if not self.found:
            raise MemoryError
        self._threads = Threads()

    def close(self) -> None:
        self._functions.tft_sweep_free(self.found)

    def add(self, batch: pa.RecordBatch, kept: Bools | None) -> bool:
        """False where a row begins before the one in front of it: the sweep is then of no use any more."""
        given, _held = self._threads.part(batch)
        mask = None if kept is None else np.ascontiguousarray(kept)
        status = self._functions.tft_sweep_add(self.found, given, None if mask is None else mask.ctypes.data)
        if status == 2:
            raise MemoryError
        return bool(status == 0)
