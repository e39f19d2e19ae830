"""A profile as it is joined: as one, or slice by slice."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tftrace.correlate.profiles.hlo_nodes import tuned_modules
from tftrace.correlate.profiles.launches import Launches
from tftrace.correlate.profiles.ranks import Ranks
from tftrace.correlate.tables.columns import Int, TraceBuilder
from tftrace.correlate.tables.memory import give_back
from tftrace.ingest.xplane import device
from tftrace.ingest.xplane.space import Piece, XSpace, rows_of


@dataclass(frozen=True)
class Part:
    """`start`, `launches` and `order` belong to the events of `space`; `runs` and `trials` are those of all slices."""

    space: XSpace
    start: Int
    launches: Launches
    runs: dict[tuple[int, int], int] = field(default_factory=dict)
    order: Ranks | None = None
    trials: Collection[str] | None = None


def whole(space: XSpace, start: Int, launches: Launches) -> Iterator[Part]:
    yield Part(space, start, launches)


def sliced(
    space: XSpace,
    start: Int,
    tids: Int,
    launches: Launches,
    parts: Sequence[list[Piece]],
    build: TraceBuilder,
) -> Iterator[Part]:
    """The slices one after the other; what their events refer to in common is the same as if they were one."""
    give_back()
    _name(space, build)
    trials = tuned_modules(space)
    turns = build.turns(6)
    runs: dict[tuple[int, int], int] = {}
    lines = np.arange(len(space.lines))
    first = np.searchsorted(space.line, lines)
    size = np.searchsorted(space.line, lines, "right") - first
    behind = np.argsort(tids, kind="stable")
    of_thread = np.empty(len(lines), np.int64)
    of_thread[behind] = np.cumsum(size[behind]) - size[behind]
    place = np.empty(len(space) + 1, launches.row.dtype)
    for pieces in parts:
        rows = rows_of(pieces)
        line = space.line[rows]
        by_thread = of_thread[line] + rows - first[line]
        order = Ranks(
            turns[0] + rows, turns[1] + rows, turns[2] + rows, turns[3] + by_thread, turns[4] + rows,
            turns[5] + by_thread,
        )  # fmt: skip
        yield Part(space.of(pieces), start[rows], launches.of(rows, place), runs, order, trials)
        give_back()


def _name(space: XSpace, build: TraceBuilder) -> None:
    """Takes names in as a profile that is joined as one does: sites of ops are in the order of their names' codes."""
    words = build.words
    words.codes(space.names)
    for stat in ("eager_op", "hlo_op"):
        words.codes(str(v) for v in space.stats.distinct(stat))
    words.codes(meta.display_name or meta.name for meta in space.metas)
    words.codes(device.labels(space))
