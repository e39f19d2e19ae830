"""What each execution of an op launched, for all executions at once.

A program does the same again and again: executions that launched kernels of the same names in the same order are
looked at together, as a matrix with a row an execution and a column a kernel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tftrace.correlate.ledger.kernel_algorithms import FOREIGN
from tftrace.correlate.nesting import union_length
from tftrace.correlate.profiles.device_work import DeviceWork
from tftrace.correlate.tables.columns import Int, numbered

CHECK: Final = re.compile(r"redzone", re.IGNORECASE)
"""Kernels by which TensorFlow's autotuner checks the memory around a trial's results."""
_LONG: Final = 64


@dataclass(frozen=True)
class Executions:
    """Parallel arrays, an element for each execution, of what the library launched in it.

    `begin` and `end` are places in the rows that they were made of, `kind` in `names`: the kernels in their order, None
    where something was tried. `longest` is the place, among these names, of the kernel that took longest in all,
    `start` when the first began, `time_us` the time covered on the device: kernels on two streams at once count once.
    """

    names: list[tuple[str, ...] | None]
    begin: Int
    end: Int
    kind: Int
    longest: Int
    start: Int
    time_us: npt.NDArray[np.float64]


def executions(work: DeviceWork, rows: Int, run: Int, words: list[str]) -> Executions:
    """`rows` of the work in the order of their execution (`run`) and launch."""
    begin = np.flatnonzero(np.concatenate(([True], np.diff(run) != 0)))
    end = np.append(begin[1:], len(rows))
    name, start, stop = work.name[rows], work.start[rows], work.end[rows]
    kind = _kinds(name, begin, end)
    names: list[tuple[str, ...] | None] = []
    longest, first, spent = (
        np.zeros(len(begin), np.int64),
        np.zeros(len(begin), np.int64),
        np.zeros(len(begin)),
    )
    for at in np.split(np.argsort(kind, kind="stable"), np.cumsum(np.bincount(kind))[:-1]):
        texts = [words[c] for c in name[begin[at[0]] : end[at[0]]].tolist()]
        if any(CHECK.search(text) for text in texts):
            names.append(None)
            continue
        own = [i for i, text in enumerate(texts) if not FOREIGN.search(text)]
        kernels = tuple(texts[i] for i in own)
        names.append(kernels)
        if not own:
            continue
        cells = begin[at][:, None] + np.array(own, np.int64)
        first[at] = start[cells].min(axis=1)
        group = np.repeat(np.arange(len(at)), len(own))
        spent[at] = union_length(group, start[cells].ravel(), stop[cells].ravel(), len(at)) / 1000
        longest[at] = _longest(stop[cells] - start[cells], kernels)
    return Executions(names, begin, end, kind, longest, first, spent)


def _kinds(name: Int, begin: Int, end: Int) -> Int:
    """The same number for executions with the same names in the same order, from 0 on without a gap."""
    lengths = end - begin
    kind = np.zeros(len(begin), np.int64)
    count = 0
    for length in np.unique(lengths).tolist():
        at = np.flatnonzero(lengths == length)
        if length > _LONG:
            codes: dict[bytes, int] = {}
            key = np.array(
                [codes.setdefault(name[b : b + length].tobytes(), len(codes)) for b in begin[at].tolist()]
            )
        else:
            key = np.zeros(len(at), np.int64)
            for column in range(length):
                key = numbered(key, name[begin[at] + column])
        kind[at] = key + count
        count += int(key.max()) + 1
    return kind


def _longest(durations: Int, names: tuple[str, ...]) -> Int:
    """For each execution (row) the first column of the name that took most time in all its columns."""
    columns = [names.index(name) for name in names]
    sums = np.zeros_like(durations)
    for at, of in enumerate(columns):
        sums[:, of] += durations[:, at]
    sums[:, [at for at, of in enumerate(columns) if at != of]] = -1
    return np.asarray(np.argmax(sums, axis=1), np.int64)
