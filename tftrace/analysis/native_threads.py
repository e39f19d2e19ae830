"""Parts of the table of events as C has them (native/analysis/threads.h): columns in Arrow's own memory, with what
tells threads apart."""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.analysis import arrow_memory
from tftrace.analysis.columns import spelled
from tftrace.model.layers import LAYERS
from tftrace.model.schemas import EVENTS
from tftrace.native.compiling import SOURCES

HEADERS: Final = (arrow_memory.HEADER, SOURCES / "analysis" / "threads.h")
THREAD: Final = ("stream", "tid", "pid", "device", "host")
"""Columns that say which thread or stream an event is of."""
COLUMNS: Final = ("layer", "start_ns", "dur_ns", *THREAD)
_TEXTS: Final = {"layer": "ranks", "host": "hosts", "device": "devices"}


class Part(ctypes.Structure):
    _fields_ = [
        ("rows", ctypes.c_int64), *((name, ctypes.c_void_p) for name in ("ranks", "hosts", "devices")),
        *((name, arrow_memory.Column) for name in COLUMNS),
    ]  # fmt: skip


def known(part: pa.Table) -> bool:
    """Whether a part's columns are of the types that C knows."""
    return all(part.schema.field(c).type == EVENTS.field(c).type for c in COLUMNS)


class Threads:
    """Numbers the texts that name hosts and devices, the same in every part."""

    def __init__(self) -> None:
        self._numbered: dict[str, dict[str, int]] = {"host": {}, "device": {}}

    def part(self, batch: pa.RecordBatch) -> tuple[Part, list[Any]]:
        """The columns `COLUMNS` as C has them, and what holds their memory."""
        given = Part(rows=batch.num_rows)
        held: list[Any] = []
        for name in COLUMNS:
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
