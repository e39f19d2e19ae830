"""What each execution of an op launched, for all executions at once.

A program does the same again and again: executions that launched kernels of the same names in the same order are
looked at together, as a matrix with a row an execution and a column a kernel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from tftrace.correlate.columns import Int
from tftrace.correlate.device_work import DeviceWork
from tftrace.correlate.kernel_algorithms import FOREIGN
from tftrace.correlate.nesting import union_length

CHECK: Final = re.compile(r"redzone", re.IGNORECASE)
"""Kernels by which TensorFlow's autotuner checks the memory around a trial's results."""


class Execution(NamedTuple):
    """The library's work in one execution: kernels by name in their order, the one that took longest in all, when the
    first began, and the time covered on the device (kernels on two streams at once count once)."""

    names: tuple[str, ...]
    longest: str
    start: int
    time_us: float


@dataclass(frozen=True)
class Executions:
    """`begin` and `end` are places in the rows that they were made of."""

    begin: Int
    end: Int
    _names: list[tuple[str, ...] | None]
    _kind: list[int]
    _longest: list[int]
    _start: list[int]
    _time_us: list[float]

    def one(self, at: int) -> Execution | None:
        """None where something was tried in it; without `names`, nothing was launched that is the library's own."""
        names = self._names[self._kind[at]]
        if names is None:
            return None
        longest = names[self._longest[at]] if names else ""
        return Execution(names, longest, self._start[at], self._time_us[at])


def executions(work: DeviceWork, rows: Int, run: Int, words: list[str]) -> Executions:
    """`rows` of the work in the order of their execution (`run`) and launch."""
    begin = np.flatnonzero(np.concatenate(([True], np.diff(run) != 0)))
    end = np.append(begin[1:], len(rows))
    name, start, stop = work.name[rows], work.start[rows], work.end[rows]
    kinds: dict[bytes, int] = {}
    whole = memoryview(name.astype(np.int32).tobytes())
    places = zip((4 * begin).tolist(), (4 * end).tolist(), strict=True)
    kind = np.fromiter(
        (kinds.setdefault(bytes(whole[a:b]), len(kinds)) for a, b in places), np.int64, len(begin)
    )
    names: list[tuple[str, ...] | None] = []
    longest, first, spent = (
        np.zeros(len(begin), np.int64),
        np.zeros(len(begin), np.int64),
        np.zeros(len(begin)),
    )
    grouped = np.split(np.argsort(kind, kind="stable"), np.cumsum(np.bincount(kind))[:-1])
    for code, at in zip(kinds, grouped, strict=True):
        texts = [words[c] for c in np.frombuffer(code, np.int32).tolist()]
        if any(CHECK.search(text) for text in texts):
            names.append(None)
            continue
        own = [i for i, text in enumerate(texts) if not FOREIGN.search(text)]
        names.append(tuple(texts[i] for i in own))
        if not own:
            continue
        cells = begin[at][:, None] + np.array(own, np.int64)
        first[at] = start[cells].min(axis=1)
        group = np.repeat(np.arange(len(at)), len(own))
        spent[at] = union_length(group, start[cells].ravel(), stop[cells].ravel(), len(at)) / 1000
        longest[at] = _longest(stop[cells] - start[cells], names[-1] or ())
    return Executions(begin, end, names, kind.tolist(), longest.tolist(), first.tolist(), spent.tolist())


def _longest(durations: Int, names: tuple[str, ...]) -> Int:
    """For each execution (row) the first column of the name that took most time in all its columns."""
    columns = [names.index(name) for name in names]
    sums = np.zeros_like(durations)
    for at, of in enumerate(columns):
        sums[:, of] += durations[:, at]
    sums[:, [at for at, of in enumerate(columns) if at != of]] = -1
    return np.argmax(sums, axis=1)
