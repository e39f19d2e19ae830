"""Columns of texts that are larger than memory should hold, in files without a name as the arrays of `pages` are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tftrace.store.pages import Pages


class Texts:
    """Arrays of texts, put down one behind the other: looked at once all of them are there, or one by one before."""

    def __init__(self, pages: Pages) -> None:
        self._bytes, self._edges = pages.column(np.uint8), pages.column(np.int32)
        self._places: list[tuple[int, int, int]] = []  # of each array its length, and where its columns begin

    def add(self, texts: pa.StringArray) -> int:
        """The number of this array, which has no nulls."""
        self._places.append((len(texts), self._edges.rows, self._bytes.rows))
        if len(texts):
            _, edges, data = texts.buffers()
            ends = np.frombuffer(edges, np.int32)[texts.offset : texts.offset + len(texts) + 1]
            self._edges.add(ends - ends[0])
            if ends[-1] > ends[0]:
                self._bytes.add(np.frombuffer(data, np.uint8)[ends[0] : ends[-1]])
        return len(self._places) - 1

    def part(self, number: int) -> pa.StringArray:
        """One of them, before all are there."""
        count, first, begin = self._places[number]
        if not count:
            return pa.array([], pa.string())
        edges = self._edges.part(first, first + count + 1)
        data = self._bytes.part(begin, begin + int(edges[-1])) if edges[-1] else edges[:0]
        return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(edges), pa.py_buffer(data)])

    def arrays(self) -> list[pa.StringArray]:
        """All of them by number, in the memory of their columns. Nothing can be added afterwards."""
        data, edges = (pa.py_buffer(column.array()) for column in (self._bytes, self._edges))
        return [
            pa.Array.from_buffers(
                pa.string(), count, [None, edges.slice(4 * first, 4 * (count + 1)), data.slice(begin)]
            )
            if count
            else pa.array([], pa.string())
            for count, first, begin in self._places
        ]
