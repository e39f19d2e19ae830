"""Which driver call launched each piece of work of a device, by the ids that TensorFlow wrote on both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tftrace.correlate.profiles.matching import Sides, chunks
from tftrace.correlate.tables.columns import NONE, Array, Int, numbered
from tftrace.ingest.xplane import device as lines
from tftrace.ingest.xplane.space import Piece, XSpace, rows_of
from tftrace.ingest.xplane.stats import StatColumns


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

    def of(self, pieces: list[Piece]) -> Launches:
        """The same for some of the events, which hold launch and work together. They count nothing."""
        rows = rows_of(pieces)
        row = self.row[rows]
        return Launches(np.where(row >= 0, np.searchsorted(rows, row), NONE), Counts())


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
    launch = space.filled(np.int32 if len(space) < 1 << 31 else np.int64, NONE)
    works, hosts = lines.lines_of(space, lines.STREAM, lines.UNIT), lines.lines_of(space, lines.HOST)
    of_line = np.diff(space.edges)
    count = int(of_line[works].sum())
    derived = int(of_line[lines.lines_of(space, lines.DERIVED)].sum())
    sides, in_contexts = _sides(space, hosts, works)
    plane_of = np.array([line.plane for line in space.lines], np.int64)
    with_id = missing = ambiguous = 0
    for upper, lower in sides.parts():
        launched = lower["row"]
        plane = plane_of[space.line_of(launched)]
        found, told = _matched(upper, lower, plane, in_contexts)
        launch[launched] = found
        with_id += len(launched)
        missing += int((~told).sum())
        ambiguous += int(((found < 0) & told).sum())
        space.give_back()
    return Launches(launch, Counts(count, derived, count - with_id, missing, ambiguous))


def _matched(
    upper: dict[str, Int], lower: dict[str, Int], plane: Int, in_contexts: bool
) -> tuple[Int, np.ndarray]:
    """(the launch of each piece of work or NONE, whether its id is that of any); `plane` is that of the work."""
    n = len(upper["row"])
    keys = [np.concatenate([upper[name], lower[name]]) for name in ("context", "id")]
    key = numbered(*keys) if in_contexts else numbered(keys[1])
    k = int(key.max()) + 1 if len(key) else 0
    of_key = np.full(k, NONE, np.int64)
    of_key[key[:n]] = upper["row"]
    unclear = np.bincount(key[:n], minlength=k) > 1
    low, high = np.full(k, np.iinfo(np.int64).max), np.full(k, -1)
    np.minimum.at(low, key[n:], plane)
    np.maximum.at(high, key[n:], plane)
    unclear |= high > low
    return np.where(unclear[key[n:]], NONE, of_key[key[n:]]), of_key[key[n:]] >= 0


def _sides(space: XSpace, hosts: np.ndarray, works: np.ndarray) -> tuple[Sides, bool]:
    """Launches and work with ids, and whether each of them tells its context too."""
    sides = Sides(space.pages, space.stats.count("correlation_id"), ("row", "id", "context"))
    texts: dict[str, int] = {}
    complete, present = True, [False, False]
    for piece in chunks(space, np.flatnonzero(hosts | works).tolist()):
        side = int(works[space.line_of(np.array([piece.first]))[0]])
        stats = space.stats.of([piece])
        told, ids = stats.integers("correlation_id")
        if not len(told):
            continue
        present[side] = True
        context = _contexts(stats, told, texts)
        complete &= context is not None
        sides.add(
            side, ids, row=told.astype(np.int64) + piece.first, id=ids,
            context=np.full(len(told), NONE, np.int64) if context is None else context,
        )  # fmt: skip
    return sides, complete and all(present)


def _contexts(stats: StatColumns, told: Array, texts: dict[str, int]) -> Int | None:
    """The context of the events `told` by its number in `texts`; None where one does not tell it."""
    column = stats.coded("context_id")
    if column is None or not len(column.event):
        return None
    number = np.array([texts.setdefault(str(value), len(texts)) for value in column.values], np.int64)
    if np.array_equal(column.event, told):
        return np.asarray(number[column.code], np.int64)
    at = np.minimum(np.searchsorted(column.event, told), len(column.event) - 1)
    if (column.event[at] != told).any():
        return None
    return np.asarray(number[column.code[at]], np.int64)
