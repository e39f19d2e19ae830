"""What stands above what, by C (native/analysis/nesting.c). Rows have 32-bit numbers, -1 for none."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.analysis.arrow_memory import int64, pointer
from tftrace.analysis.lengths import Lengths
from tftrace.analysis.native_threads import HEADERS, Part, Threads, known
from tftrace.native.compiling import SOURCES, loops

_SOURCE: Final = SOURCES / "analysis" / "nesting.c"
_Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int32]


class _Nest(ctypes.Structure):
    """The beginning of the struct `tft_nest`."""

    _fields_ = [("longs", ctypes.c_int64), ("longer", ctypes.POINTER(ctypes.c_int64))]


class _Told(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("layer", "inside", "own", "later")]


@cache
def _functions() -> Any:
    functions, _ = loops("nesting", _SOURCE, *HEADERS)
    if functions is not None:
        functions.tft_nest_new.restype = ctypes.POINTER(_Nest)
        functions.tft_nest_free.argtypes, functions.tft_nest_free.restype = [ctypes.POINTER(_Nest)], None
        functions.tft_nest_add.argtypes = [
            ctypes.POINTER(_Nest),
            ctypes.POINTER(Part),
            ctypes.POINTER(_Told),
        ]
        functions.tft_nest_end.argtypes = [ctypes.POINTER(_Nest), ctypes.POINTER(_Told)]
    return functions


def functions(rows: int) -> Functions | None:
    """None where they cannot be had, or rows have no 32-bit number."""
    found = _functions() if rows < 1 << 31 else None
    return None if found is None else Functions(found)


@dataclass(frozen=True)
class Starts:
    """Which rows begin later than the one in front of them: a bit each, and how many stand before each 64 of them."""

    later: npt.NDArray[np.uint64]
    before: Rows


@dataclass(frozen=True)
class Nested:
    """`inside`: the innermost event of the same thread in which each begins, of equal ones that of the upper layer
    being outside; `layer`: its position, their number for none; `own`: what those inside do not cover."""

    inside: Rows
    layer: npt.NDArray[np.int8]
    own: Lengths
    starts: Starts


class Functions:
    def __init__(self, functions: Any) -> None:
        self._functions = functions

    def nest(self, parts: Iterator[pa.Table], rows: int) -> Nested | None:
        """Of the events, in parts with the columns `native_threads.COLUMNS`; None for rows that are not in the order of
        their start, or columns of other types."""
        layer, inside, own = np.empty(rows, np.int8), np.empty(rows, np.int32), np.empty(rows, np.int32)
        later = np.zeros(rows // 64 + 1, np.uint64)
        told = _Told(*(one.ctypes.data for one in (layer, inside, own, later)))
        nest = self._functions.tft_nest_new()
        if not nest:
            raise MemoryError
        threads = Threads()
        with closing(_Freed(self._functions.tft_nest_free, nest)):
            for part in parts:
                if not known(part):
                    return None
                for batch in part.to_batches():
                    given, _held = threads.part(batch)
                    if status := self._functions.tft_nest_add(nest, given, told):
                        if status == 2:
                            raise MemoryError
                        return None
            if not self._functions.tft_nest_end(nest, told):
                raise MemoryError
            found = nest.contents
            longer = np.zeros((0, 2), np.int64)
            if found.longs:
                longer = np.ctypeslib.as_array(found.longer, (found.longs, 2)).copy()
        longer = longer[np.argsort(longer[:, 0], kind="stable")]
        before = np.empty(len(later), np.int32)
        self._functions.tft_starts(int64(len(later)), pointer(later), pointer(before))
        return Nested(inside, layer, Lengths(own, longer[:, 0], longer[:, 1]), Starts(later, before))

    def link(
        self, child: _Array, parent: _Array, weak: _Array, starts: Starts, above: Rows, weakest: _Array
    ) -> None:
        """Puts into `above` what each child is linked to, and into `weakest` how weak that is; they are empty (-1) at
        the beginning, and links come in the order of their table."""
        held = [_of(child, np.int64), _of(parent, np.int64), _of(weak, np.int8), starts.later, starts.before]
        self._functions.tft_link(
            int64(len(child)), *map(pointer, held), int64(len(above)), pointer(above), pointer(weakest)
        )

    def parents(self, of: Nested, linked: int, above: Rows) -> None:
        """Makes of `above`, what each event is linked to, its parent: that counts for those inside nothing or of the
        layer `linked`, and not in a circle nor below one; all others have what they are inside of."""
        state = np.zeros(len(above), np.uint8)
        self._functions.tft_parents(
            int64(len(above)), pointer(of.inside), pointer(of.layer), ctypes.c_int8(linked), pointer(above),
            pointer(state),
        )  # fmt: skip

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


class _Freed:
    def __init__(self, free: Any, what: Any) -> None:
        self._free, self._what = free, what

    def close(self) -> None:
        self._free(self._what)


def _of(values: _Array, kind: Any) -> _Array:
    return np.ascontiguousarray(values, kind)
