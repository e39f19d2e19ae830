"""Times of executions by candidate, for a ledger that is told of them slice by slice."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from tftrace.correlate.tables.columns import Array, Int
from tftrace.store.pages import Pages

_WAITING: Final = 1 << 16
"""Times that are put down at once."""


class Times:
    """Times of the executions of all candidates, in us. They are many, and so are the candidates: what waits to be put
    down is of all of them together."""

    def __init__(self) -> None:
        pages = Pages()
        self._columns = tuple(pages.column(kind) for kind in (np.int32, np.int64, np.float64))
        self._waiting: list[tuple[Int, ...]] = []  # candidate, profile, launch and time
        self._rows = 0
        self._chunks: list[
            tuple[Int, Int]
        ] = []  # of what is put down at once: candidates, and where each begins
        self.candidates = 0

    def add(
        self, candidate: int | Int, profile: int, launched: Int, time_us: npt.NDArray[np.float64]
    ) -> None:
        """Executions of one candidate, or of one each."""
        one, of = (
            np.broadcast_to(np.asarray(value, np.int64), len(time_us)) for value in (candidate, profile)
        )
        self._waiting.append((one, of, launched.copy(), time_us.copy()))
        self._rows += len(time_us)
        if self._rows >= _WAITING:
            self._put_down()

    def _put_down(self) -> None:
        if not self._waiting:
            return
        candidate, *columns = (np.concatenate(values) for values in zip(*self._waiting, strict=True))
        order = np.argsort(candidate, kind="stable")
        used, begins = np.unique(candidate[order], return_index=True)
        self._chunks.append((used, np.append(begins, len(order)) + self._columns[0].rows))
        for column, values in zip(self._columns, columns, strict=True):
            column.add(values[order])
        self._waiting, self._rows = [], 0

    @cached_property
    def _written(self) -> tuple[Array, ...]:
        self._put_down()
        return tuple(column.array() for column in self._columns)

    def of(self, candidate: int) -> npt.NDArray[np.float64]:
        """Those of a candidate, by profile and launch. None can be added afterwards."""
        columns, parts = self._written, []
        for used, begins in self._chunks:
            at = int(np.searchsorted(used, candidate))
            if at < len(used) and used[at] == candidate:
                parts.append(np.arange(begins[at], begins[at + 1]))
        rows = np.concatenate([np.empty(0, np.int64), *parts])
        profile, launched, time_us = (column[rows] for column in columns)
        return np.asarray(time_us[np.lexsort((launched, profile))], np.float64)


class Runs:
    """Times of the executions of one candidate: slices of a profile may tell them in another order."""

    def __init__(self, times: Times) -> None:
        self.count = 0
        self._times, self._number = times, times.candidates
        times.candidates += 1

    def add(self, profile: int, launched: Int, time_us: npt.NDArray[np.float64]) -> None:
        self.count += len(time_us)
        self._times.add(self._number, profile, launched, time_us)

    def in_order(self) -> npt.NDArray[np.float64]:
        return self._times.of(self._number)
