"""What stands above what, by C (native/analysis/nesting.c). Each function takes columns of equal length."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.analysis.arrow_memory import int64, pointer
from tftrace.native.compiling import SOURCES, loops

_SOURCE: Final = SOURCES / "analysis" / "nesting.c"
_Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int32]


class _Events(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("start", "dur", "layer")]


@cache
def _functions() -> Any:
    functions, _ = loops("nesting", _SOURCE)
    return functions


def functions(rows: int) -> Functions | None:
    """None where they cannot be had, or rows have no 32-bit number."""
    found = _functions() if rows < 1 << 31 else None
    return None if found is None else Functions(found)


class Functions:
    def __init__(self, functions: Any) -> None:
        self._functions = functions

    def nest(
        self, line: Rows, lines: int, start: _Array, dur: _Array, layer: _Array
    ) -> tuple[Rows, npt.NDArray[np.int64]]:
        """The innermost event of the same line (0 .. lines - 1) in which each begins, -1 for none; and what those
        inside an event cover of it. Of equal ones that of the upper layer is outside."""
        count = len(line)
        inside, taken = np.empty(count, np.int32), np.zeros(count, np.int64)
        held = [_of(start, np.int64), _of(dur, np.int64), _of(layer, np.int8)]
        events = _Events(*(one.ctypes.data for one in held))
        done = self._functions.tft_nest(
            int64(count), pointer(line), int64(lines), ctypes.byref(events), pointer(inside), pointer(taken)
        )
        if not done:
            raise MemoryError
        return inside, taken

    def link(
        self, child: _Array, parent: _Array, weak: _Array, start: _Array, above: Rows, weakest: _Array
    ) -> None:
        """Puts into `above` what each child is linked to, and into `weakest` how weak that is; they are empty (-1) at
        the beginning, and links come in the order of their table."""
        held = [_of(child, np.int64), _of(parent, np.int64), _of(weak, np.int8), _of(start, np.int64)]
        self._functions.tft_link(
            int64(len(child)), *map(pointer, held), int64(len(above)), pointer(above), pointer(weakest)
        )

    def depths(self, parent: Rows) -> Rows:
        depth: Rows = np.full(len(parent), -2, np.int32)
        self._functions.tft_depths(int64(len(parent)), pointer(parent), pointer(depth))
        return depth

    def shares(self, event: _Array, call: _Array, share: _Array, found: Rows, most: _Array) -> None:
        """Puts into `found` (-1 at the beginning) the call of each event with the largest share in it, which goes into
        `most`; of equal ones the last call."""
        held = [_of(event, np.int64), _of(call, np.int64), _of(share, np.float32)]
        self._functions.tft_shares(
            int64(len(event)), *map(pointer, held), int64(len(found)), pointer(found), pointer(most)
        )

    def inherit(self, inside: Rows, found: Rows) -> None:
        """Gives each event without a call that of what it runs inside."""
        self._functions.tft_inherit(int64(len(found)), pointer(inside), pointer(found))


def _of(values: _Array, kind: Any) -> _Array:
    return np.ascontiguousarray(values, kind)
