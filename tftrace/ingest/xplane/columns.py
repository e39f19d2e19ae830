"""Events of a TensorFlow profile in columns that decoders fill, line after line, in place."""

from __future__ import annotations

import ctypes
import mmap
from contextlib import suppress
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.ingest.xplane.events import Column
from tftrace.ingest.xplane.schema import Stat

KINDS: Final = 8
"""Columns that a statistic may have: by the field number of its value."""
_COLUMN: Final = 4  # words of a C `tft_column`: events, bits, rows, capacity
ROWS: Final = 2
"""Where in a row of `Columns.table` the number of rows stands."""
_FIRST: Final = 1 << 8  # rows of a column to begin with
_SLOTS: Final = 64
_MAPPED: Final = 1 << 20  # bytes from which on an array has pages of its own
_HUGE: Final = 1 << 22


class Grown:
    """An array that grows where it is: from a megabyte on its pages move, and nothing is copied. What is not filled yet
    takes no memory. The kernel is asked for huge pages: to provide small ones takes it as long as decoding does."""

    def __init__(self, kind: Any, rows: int) -> None:
        self._kind = np.dtype(kind)
        self._memory: Any = bytearray(rows * self._kind.itemsize)
        self.rows = rows

    @property
    def address(self) -> int:
        return ctypes.addressof(ctypes.c_char.from_buffer(self._memory))

    def filled(self, first: int, last: int) -> npt.NDArray[Any]:
        """These rows, as they stand in here."""
        size = self._kind.itemsize
        whole: npt.NDArray[Any] = np.frombuffer(self._memory, self._kind, last - first, first * size)
        return whole

    def grow(self, rows: int) -> None:
        size = rows * self._kind.itemsize
        if isinstance(self._memory, mmap.mmap):
            try:
                self._memory.resize(size)
            except (BufferError, SystemError):  # somebody still holds rows; a system without mremap
                self._replace(size)
        else:
            self._replace(size)
        if size >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):  # a kernel without them
                self._memory.madvise(mmap.MADV_HUGEPAGE)
        self.rows = rows

    def _replace(self, size: int) -> None:
        larger: Any = (
            bytearray(size) if size < _MAPPED else mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        )
        memoryview(larger)[: len(self._memory)] = memoryview(self._memory)
        self._memory = larger


class Columns:
    """Events, an element each: `start_ns` counts from the start of the event's line, `meta` is the number of its
    metadata. `occurrences` is None where every event stands for itself.

    `table` is what C sees of the statistics: for each slot and kind of value the addresses of its columns, their rows
    and how many there may be.
    """

    def __init__(self) -> None:
        self.events = 0
        self.start_ns, self.dur_ns, self.dur_ps = (Grown(np.int64, _FIRST) for _ in range(3))
        self.meta = Grown(np.int32, _FIRST)
        self.occurrences: Grown | None = None
        self.slots = _SLOTS
        self.table: npt.NDArray[np.int64] = np.zeros((_SLOTS * KINDS, _COLUMN), np.int64)
        self._stats: dict[int, tuple[Grown, Grown]] = {}

    @property
    def capacity(self) -> int:
        return self.meta.rows

    def clear(self) -> None:
        self.events, self.occurrences = 0, None
        self.table[:, ROWS] = 0

    def grow(self, events: int) -> None:
        """Room for so many events and more."""
        rows = _larger(self.capacity, events)
        if rows > self.capacity:
            for column in (self.start_ns, self.dur_ns, self.dur_ps, self.meta):
                column.grow(rows)
            if self.occurrences is not None:
                known = self.occurrences.rows
                self.occurrences.grow(rows)
                self.occurrences.filled(known, rows)[:] = 1

    def count_occurrences(self) -> Grown:
        if self.occurrences is None:
            self.occurrences = Grown(np.int64, _FIRST)
            self.occurrences.grow(self.capacity)
            self.occurrences.filled(0, self.capacity)[:] = 1
        return self.occurrences

    def room_for_slots(self, slots: int) -> None:
        if slots > self.slots:
            larger = np.zeros((max(slots, 2 * self.slots) * KINDS, _COLUMN), np.int64)
            larger[: len(self.table)] = self.table
            self.table, self.slots = larger, len(larger) // KINDS

    def grow_stat(self, number: int, rows: int) -> None:
        """Room for so many rows and more in the column of this slot and kind."""
        both = self._stats.get(number)
        if both is None:
            both = self._stats[number] = Grown(np.int32, _FIRST), Grown(np.uint64, _FIRST)
        capacity = _larger(both[0].rows, rows)
        for part in both:
            if capacity > part.rows:
                part.grow(capacity)
        event, bits = both
        self.table[number] = event.address, bits.address, self.table[number, ROWS], capacity

    def add_stat(self, slot: int, kind: int, event: Any, bits: Any) -> None:
        """More rows of one statistic."""
        self.room_for_slots(slot + 1)
        number = slot * KINDS + kind
        first = int(self.table[number, ROWS])
        last = first + len(event)
        self.grow_stat(number, last)
        for column, values in zip(self._stats[number], (event, bits), strict=True):
            column.filled(first, last)[:] = values
        self.table[number, ROWS] = last

    def forget(self, first: int) -> None:
        """Takes back the events from number `first` on."""
        for number, (event, _) in self._stats.items():
            rows = self.table[number, ROWS]
            self.table[number, ROWS] = np.searchsorted(event.filled(0, int(rows)), first)
        self.events = first

    def written(self, since: npt.NDArray[np.int64]) -> list[npt.NDArray[np.uint64]]:
        """The bits of texts that were added since the rows of all columns were `since`."""
        rows = self.rows()
        begin = np.zeros_like(rows)
        begin[: len(since)] = since
        return [
            self._stats[number][1].filled(int(begin[number]), int(rows[number]))
            for number in np.flatnonzero(rows != begin).tolist()
            if number % KINDS in (Stat.STR, Stat.BYTES)
        ]

    def rows(self) -> npt.NDArray[np.int64]:
        """How many rows each column of a statistic has now."""
        rows: npt.NDArray[np.int64] = self.table[:, ROWS].copy()
        return rows

    def stats(self) -> dict[tuple[int, int], Column]:
        """Columns of the statistics that events have, by slot and field number of the value."""
        rows = self.table[:, ROWS]
        found: dict[tuple[int, int], Column] = {}
        for number in np.flatnonzero(rows).tolist():
            event, bits = self._stats[number]
            count = int(rows[number])
            found[divmod(number, KINDS)] = event.filled(0, count), bits.filled(0, count)
        return found


def _larger(known: int, wanted: int) -> int:
    while known < wanted:
        known *= 4
    return known
