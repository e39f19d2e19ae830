"""The coverage of layers by C (native/analysis/coverage.c), which looks at Arrow's own memory."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tftrace.analysis.columns import Bools, Ints, spelled
from tftrace.model.layers import LAYERS
from tftrace.model.schemas import EVENTS
from tftrace.native.compiling import SOURCES, loops

_SOURCE: Final = SOURCES / "analysis" / "coverage.c"
_COLUMNS: Final = ("layer", "start_ns", "dur_ns", "stream", "tid", "pid", "device", "host")


class _Column(ctypes.Structure):
    _fields_ = [("values", ctypes.c_void_p), ("valid", ctypes.c_void_p), ("offset", ctypes.c_int64)]


class _Part(ctypes.Structure):
    _fields_ = [
        ("rows", ctypes.c_int64), *((name, ctypes.c_void_p) for name in ("ranks", "hosts", "devices", "kept")),
        *((name, _Column) for name in _COLUMNS),
    ]  # fmt: skip


class _Found(ctypes.Structure):
    """The beginning of the struct `tft_sweep`."""

    _fields_ = [(name, ctypes.c_int64 * len(LAYERS)) for name in ("events", "own", "from_here")]


@cache
def _functions() -> Any:
    """None where they cannot be had."""
    functions, _ = loops("coverage", _SOURCE)
    if functions is not None:
        functions.tft_sweep_new.restype = ctypes.POINTER(_Found)
        functions.tft_sweep_free.argtypes, functions.tft_sweep_free.restype = [ctypes.POINTER(_Found)], None
        functions.tft_sweep_add.argtypes = [ctypes.POINTER(_Found), ctypes.POINTER(_Part)]
        functions.tft_sweep_add.restype = ctypes.c_int
    return functions


def covered(parts: Iterator[pa.Table], kept: Bools | None) -> tuple[Ints, Ints, Ints] | None:
    """By layer the number of events (those of the mask `kept`), the ns that they cover, and those that they and the
    layers below do. None without C, for rows that are not in the order of their start, or columns of other types."""
    functions = _functions()
    if functions is None:
        return None
    sweep = functions.tft_sweep_new()
    if not sweep:
        raise MemoryError
    numbered: dict[str, dict[str | None, int]] = {"host": {}, "device": {}}
    first = 0
    try:
        with closing(parts):  # type: ignore[type-var]
            for part in parts:
                if any(part.schema.field(c).type != EVENTS.field(c).type for c in _COLUMNS):
                    return None
                # of each column in pieces of equal length
                for batch in part.to_batches():
                    here = None if kept is None else kept[first : first + batch.num_rows]
                    first += batch.num_rows
                    if not _added(functions, sweep, batch, here, numbered):
                        return None
        found = sweep.contents
        return tuple(np.array(of, np.int64) for of in (found.events, found.own, found.from_here))  # type: ignore[return-value]
    finally:
        functions.tft_sweep_free(sweep)


def _added(
    functions: Any,
    sweep: Any,
    batch: pa.RecordBatch,
    kept: Bools | None,
    numbered: dict[str, dict[str | None, int]],
) -> bool:
    given = _Part(rows=batch.num_rows)
    held: list[Any] = []  # memory that the struct points to
    for name in _COLUMNS:
        column = batch.column(name)
        if pa.types.is_dictionary(column.type):
            values = spelled(column.dictionary)
            if name == "layer":
                codes: Any = np.array([LAYERS.index(v) if v in LAYERS else -1 for v in values], np.int8)
            else:
                known = numbered[name]
                codes = np.array(
                    [-1 if v is None else known.setdefault(v, len(known)) for v in values], np.int32
                )
            setattr(given, {"layer": "ranks", "host": "hosts", "device": "devices"}[name], codes.ctypes.data)
            held.append(codes)
            column = column.indices
        valid, values_at = column.buffers()
        held.append(column)
        setattr(
            given, name,
            _Column(
                None if values_at is None else values_at.address,
                None if valid is None or not column.null_count else valid.address,
                column.offset,
            ),
        )  # fmt: skip
    if kept is not None:
        mask = np.ascontiguousarray(kept)
        given.kept = mask.ctypes.data
        held.append(mask)
    status = functions.tft_sweep_add(sweep, given)
    if status == 2:
        raise MemoryError
    return bool(status == 0)
