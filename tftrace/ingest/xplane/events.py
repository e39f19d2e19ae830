"""The events of one line of a TensorFlow profile in columns, and the tables that lines share: texts and statistics."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from tftrace.ingest.xplane.schema import Stat

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
UInt64s = npt.NDArray[np.uint64]
Rows = TypeVar("Rows", Int32s, Int32s | Int64s)
Column = tuple[Int32s, UInt64s]
"""(events of the line, ascending; bits of the value at each)."""


@dataclass(frozen=True)
class Events:
    """The events of one line as decoded: `stats` are columns by (slot, field number of the value).

    `start_ns` counts from the start of the line. `occurrences` is None where every event stands for itself. Bits of
    text and bytes are codes of `Texts`, those of a reference the metadata id whose name is meant. `header` are the
    line's other fields.
    """

    meta: Int64s
    start_ns: Int64s
    dur_ns: Int64s
    dur_ps: Int64s
    occurrences: Int64s | None
    stats: dict[tuple[int, int], Column]
    header: bytes


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
