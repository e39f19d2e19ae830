"""The records of a cuDNN log in columns (grammar in `log`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.ingest.cudnn.arguments import Argument, parse_arguments
from tftrace.store.pages import Pages

LEVELS: Final = ("information", "warning", "error")
NONE: Final = -1
ROWS: Final = 1 << 18
"""Records that are looked at together."""

Codes = npt.NDArray[Any]


@dataclass(frozen=True)
class Context:
    """What the `Process=` line says; None where it says NULL. `handle` and `stream` are as written."""

    process: int
    thread: int
    gpu: int | None
    handle: str | None
    stream: str | None


@dataclass(frozen=True)
class CudnnLog:
    """The records of one log, in the order of the file: arrays with one element per record.

    `function`, `version`, `body` and `context` are codes into `functions`, `versions` (of pairs version, build),
    `bodies` and `contexts`, `level` into `LEVELS`, -1 where the record does not tell. `time_ns` is ns since the
    epoch if the clock stood on UTC, -1 where there is no time; `since_start_s` the seconds that cuDNN counts.
    `complete`: whether the record has its head and its `Process=` line. `other` are the lines between records
    that are no part of any; `cut` says what the compression of the file lost, None where nothing.
    """

    path: Path
    functions: list[str]
    versions: list[tuple[int, int | None]]
    bodies: list[bytes]
    contexts: list[Context]
    function: Codes
    version: Codes
    level: Codes
    body: Codes
    context: Codes
    time_ns: Codes
    since_start_s: Codes
    complete: npt.NDArray[np.bool_]
    other: list[str]
    cut: str | None
    pages: Pages  # what holds the columns

    def __len__(self) -> int:
        return len(self.function)

    @cached_property
    def _trees(self) -> dict[int, tuple[Argument, ...]]:
        return {}

    def arguments(self, body: int) -> tuple[Argument, ...]:
        """The arguments in the body of that code, as a tree; decoded when first asked for."""
        trees = self._trees
        if body not in trees:
            trees[body] = parse_arguments(self.bodies[body].decode("utf-8", "replace"))
        return trees[body]

    def slices(self) -> Iterator[slice]:
        """All records, some at a time; what was looked at of the columns leaves memory after each."""
        for first in range(0, len(self), ROWS):
            yield slice(first, min(first + ROWS, len(self)))
            self.pages.give_back()

    @property
    def threads(self) -> Codes:
        """For each context, and behind them for none, a number of its process and thread."""
        numbers: dict[tuple[int, int] | None, int] = {}
        keys = (*((c.process, c.thread) for c in self.contexts), None)
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)

    @property
    def clock_steps(self) -> int:
        """How often the time runs backwards by more than 1 ms within one thread: the wall clock was set."""
        threads, steps = self.threads, 0
        latest = np.full(len(threads), NONE, np.int64)
        for some in self.slices():
            known = np.flatnonzero((self.time_ns[some] >= 0) & (self.context[some] >= 0))
            thread = threads[self.context[some][known]]
            order = np.argsort(thread, kind="stable")
            thread, time = thread[order], self.time_ns[some][known][order]
            fresh = np.append(True, thread[1:] != thread[:-1])[: len(thread)]
            before = np.append(NONE, time[:-1])[: len(time)]
            before[fresh] = latest[thread[fresh]]
            steps += int(((before != NONE) & (time - before < -1_000_000)).sum())
            latest[thread] = time  # of several the last one stays
        return steps
