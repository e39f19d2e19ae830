"""Which driver call launched each piece of work of a device, by the ids that TensorFlow wrote on both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tftrace.correlate.tables.columns import NONE, Array, Int, numbered
from tftrace.ingest.xplane import device as lines
from tftrace.ingest.xplane.space import XSpace


@dataclass(frozen=True)
class Counts:
    """What became of the events of the device planes of a profile."""

    work: int = 0
    derived: int = 0  # of lines that repeat the time of others
    without_id: int = 0
    without_launch: int = 0
    ambiguous: int = 0  # ids that repeat across devices, in a profile that does not tell their contexts

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(_fields(self), _fields(other), strict=True)))


def _fields(counts: Counts) -> tuple[int, ...]:
    return counts.work, counts.derived, counts.without_id, counts.without_launch, counts.ambiguous


@dataclass(frozen=True)
class Launches:
    """`row` holds for each event of a profile the event that launched it, NONE for none or where none is certain."""

    row: Array
    counts: Counts

    def of(self, rows: Int, place: Array) -> Launches:
        """The same for some of the events, which hold launch and work together. They count nothing. `place` is written
        over: an element for each event of the profile, and one more."""
        place[rows] = np.arange(len(rows), dtype=place.dtype)
        place[-1] = NONE
        return Launches(place[self.row[rows]], Counts())


def find_launches(space: XSpace) -> Launches:
    """For each device event the launch among the events of the host.

    An id is unique within a context of a process, and may repeat in another context:

        host                    device                       launch
        0  context 1, id 7      a  context 1, id 7            0
        1  context 2, id 7  ->  b  context 2, id 7     ->     1
        2  context 1, id 8      c  context 1, id 9            none
                                d  no id                      none

    Where a side tells no contexts (ROCm), the id alone has to be unique among launches, and to be of one device only.
    """
    launch: Array = np.full(len(space), NONE, np.int32 if len(space) < 1 << 31 else np.int64)
    kinds = lines.line_kinds(space)
    works = np.array([k in (lines.STREAM, lines.UNIT) for k in kinds], bool)
    hosts = np.array([line.plane_name.startswith("/host:CPU") for line in space.lines], bool)
    of_line = np.bincount(space.line, minlength=len(kinds)) if len(space) else np.zeros(len(kinds), np.int64)
    count = int(of_line[works].sum())
    derived = int(of_line[np.array([k == lines.DERIVED for k in kinds], bool)].sum())
    told, ids = space.stats.integers("correlation_id")
    upper, lower = np.flatnonzero(hosts[space.line[told]]), np.flatnonzero(works[space.line[told]])
    if not len(upper) and not len(lower):
        return Launches(launch, Counts(count, derived, without_id=count))
    both = np.concatenate([upper, lower])
    context = _contexts(space, told, both) if len(upper) and len(lower) else None
    key = numbered(ids[both]) if context is None else numbered(context, ids[both])
    del context, both, ids
    n, k = len(upper), int(key.max()) + 1
    launching, launched = told[upper], told[lower]
    of_key = np.full(k, NONE, np.int64)
    of_key[key[:n]] = launching
    unclear = np.bincount(key[:n], minlength=k) > 1
    plane = np.array([line.plane for line in space.lines], np.int64)[space.line[launched]]
    low, high = np.full(k, np.iinfo(np.int64).max), np.full(k, -1)
    np.minimum.at(low, key[n:], plane)
    np.maximum.at(high, key[n:], plane)
    unclear |= high > low
    found = np.where(unclear[key[n:]], NONE, of_key[key[n:]])
    launch[launched] = found
    missing = int((of_key[key[n:]] < 0).sum())
    ambiguous = int((found < 0).sum()) - missing
    return Launches(launch, Counts(count, derived, count - len(launched), missing, ambiguous))


def _contexts(space: XSpace, told: Array, which: Int) -> Int | None:
    """The context of some of the events `told` by number; None where one does not tell it."""
    column = space.stats.coded("context_id")
    if column is None or not len(column.event):
        return None
    texts: dict[str, int] = {}
    number = np.array([texts.setdefault(str(value), len(texts)) for value in column.values], np.int64)
    if np.array_equal(column.event, told):
        return np.asarray(number[column.code[which]], np.int64)
    at = np.minimum(np.searchsorted(column.event, told[which]), len(column.event) - 1)
    if (column.event[at] != told[which]).any():
        return None
    return np.asarray(number[column.code[at]], np.int64)
