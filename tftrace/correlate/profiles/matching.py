"""Rows of a large profile matched by an id, a part of the ids at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from tftrace.correlate.tables.columns import Int
from tftrace.ingest.xplane.space import Piece, XSpace
from tftrace.store.pages import Growing, Pages

ROWS: Final = 1 << 20
"""Events that are looked at together."""
_IDS: Final = 1 << 21
"""Ids that are matched together, about."""
_MIXED: Final = np.uint64(0x9E3779B97F4A7C15)


def chunks(space: XSpace, lines: Iterable[int]) -> Iterator[Piece]:
    """Goes over the events of these lines, so many at a time, each time of one line. What is on disk of the columns
    leaves memory after each."""
    for line in lines:
        begin, end = (int(edge) for edge in space.edges[line : line + 2])
        for first in range(begin, end, ROWS):
            yield Piece(first, min(first + ROWS, end))
            space.give_back()


class Sides:
    """Two sides of rows with the columns `names`, apart by a hash of their ids, on disk where they are many."""

    def __init__(self, pages: Pages | None, ids: int, names: Sequence[str]) -> None:
        self._pages = pages or Pages()
        self._parts = max(-(-ids // _IDS), 1)
        self._columns: list[tuple[dict[str, Growing], ...]] = [
            tuple({name: self._pages.column(np.int64) for name in names} for _ in range(2))
            for _ in range(self._parts)
        ]

    def add(self, side: int, ids: Int, **columns: Int) -> None:
        """More rows of side 0 or 1; those that may be matched have equal `ids`."""
        part = ((ids.view(np.uint64) * _MIXED) >> np.uint64(33)) % np.uint64(self._parts)
        for number, sides in enumerate(self._columns):
            rows = slice(None) if self._parts == 1 else np.flatnonzero(part == number)
            for name, values in columns.items():
                sides[side][name].add(values[rows])

    def parts(self) -> Iterator[tuple[dict[str, Int], dict[str, Int]]]:
        """Both sides of each part, in the order in which they were added."""
        for sides in self._columns:
            one, other = ({name: column.array() for name, column in side.items()} for side in sides)
            yield one, other
            self._pages.give_back()
