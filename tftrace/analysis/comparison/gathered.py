"""Times by what they are of, gathered part by part of a table, in as few bytes as they take."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tftrace.analysis.columns import Bools, Codes, Ints, counted, sorting

Times = npt.NDArray[np.signedinteger[Any]]
Pieces = list[tuple[int, bool, Times]]


def pieces(number: Codes, count: int, ns: Ints, cold: Bools) -> Pieces:
    """The times of each number (0 .. count - 1) that is there, those in warm-up (`cold`) apart, in the order of the
    rows."""
    cell = number.astype(np.int64) * 2 + cold
    order = sorting(cell, 2 * count)
    cells, counts = counted(cell, 2 * count)
    ends = np.cumsum(counts)
    short = not len(ns) or (int(ns.min()) >= -(1 << 31) and int(ns.max()) < 1 << 31)
    times = ns.astype(np.int32)[order] if short else ns[order]
    return [
        (at // 2, bool(at % 2), times[end - size : end])
        for at, size, end in zip(cells.tolist(), counts.tolist(), ends.tolist(), strict=True)
    ]


class Gathered:
    """Pieces of several parts, by key."""

    def __init__(self) -> None:
        self._pieces: dict[Hashable, tuple[list[Times], list[Times]]] = {}

    def add(self, key: Hashable, cold: bool, times: Times) -> None:
        self._pieces.setdefault(key, ([], []))[cold].append(times)

    def times(self, key: Hashable) -> tuple[Times, Times]:
        """Those of steady state and those in warm-up, which are then kept here no longer."""
        none = np.zeros(0, np.int32)
        steady, cold = self._pieces.pop(key, ([], []))
        return np.concatenate([none, *steady]), np.concatenate([none, *cold])

    def __contains__(self, key: Hashable) -> bool:
        return key in self._pieces

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._pieces)
