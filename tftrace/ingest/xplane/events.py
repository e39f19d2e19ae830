"""What the lines of a TensorFlow profile share: texts, names of statistics, what ids stand for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from tftrace.ingest.xplane.schema import Stat

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
UInt64s = npt.NDArray[np.uint64]
Rows = TypeVar("Rows", Int32s, Int32s | Int64s)
Column = tuple[Int32s, UInt64s]
"""(events, ascending; bits of the value at each: of texts and references codes of `Texts`)."""


class PlaneIds:
    """What the ids of one plane stand for, as numbers that are given to each when an event first uses it."""

    def __init__(
        self, stat: Callable[[int], int], meta: Callable[[int], int], reference: Callable[[int], int]
    ) -> None:
        """By id: the slot of a statistic (negative where it is not wanted), the number of an event's metadata, the
        code of the name that a reference means."""
        self.stat, self.meta, self.reference = cache(stat), cache(meta), cache(reference)


class Texts:
    """Distinct texts (str, invalid UTF-8 replaced) and bytes, by code."""

    def __init__(self) -> None:
        self.values: list[str | bytes] = []
        self._codes: dict[str | bytes, int] = {}

    def code(self, value: str | bytes) -> int:
        code = self._codes.setdefault(value, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code

    def written(self, raw: bytes, kind: int) -> int:
        return self.code(text(raw) if kind == Stat.STR else raw)


class Slots:
    """Names of statistics by number, given to each when it is first met on an event."""

    SKIPPED: Final = -1

    def __init__(self, wanted: Collection[str] | None) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._wanted = wanted

    def number(self, name: str) -> int:
        if self._wanted is not None and name not in self._wanted:
            return self.SKIPPED
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def merged(columns: list[tuple[Rows, UInt64s]]) -> tuple[Rows, UInt64s]:
    """Columns of one stat, of several lines or kinds, as one in the order of events."""
    if len(columns) == 1:
        return columns[0]
    event = np.concatenate([c[0] for c in columns])
    order = np.argsort(event, kind="stable")
    return event[order], np.concatenate([c[1] for c in columns])[order]
