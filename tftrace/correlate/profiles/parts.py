"""A profile as it is joined: as one, or slice by slice."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tftrace.correlate.profiles.hlo_nodes import tuned_modules
from tftrace.correlate.profiles.launches import Launches
from tftrace.correlate.profiles.matching import chunks
from tftrace.correlate.profiles.ranks import Ranks
from tftrace.correlate.tables.columns import Int, TraceBuilder
from tftrace.correlate.tables.memory import give_back
from tftrace.ingest.xplane import device
from tftrace.ingest.xplane.space import Piece, XSpace, rows_of
from tftrace.ingest.xplane.stats import Scalar


@dataclass(frozen=True)
class Part:
    """`start`, `launches` and `order` belong to the events of `space`; `runs` and `trials` are those of all slices."""

    space: XSpace
    start: Int
    launches: Launches
    runs: dict[tuple[int, int], int] = field(default_factory=dict)
    order: Ranks | None = None
    trials: Collection[str] | None = None


def whole(space: XSpace, shift_ns: int, launches: Launches) -> Iterator[Part]:
    yield Part(space, space.start_ns + shift_ns if shift_ns else space.start_ns, launches)


def sliced(
    space: XSpace,
    shift_ns: int,
    tids: Int,
    launches: Launches,
    parts: Sequence[list[Piece]],
    build: TraceBuilder,
) -> Iterator[Part]:
    """The slices one after the other; what their events refer to in common is the same as if they were one."""
    give_back()
    trials = _name(space, build)
    turns = build.turns(6)
    runs: dict[tuple[int, int], int] = {}
    size = np.diff(space.edges)
    behind = np.argsort(tids, kind="stable")
    of_thread = np.empty(len(size), np.int64)
    of_thread[behind] = np.cumsum(size[behind]) - size[behind]
    for pieces in parts:
        yield _slice(space, shift_ns, launches, pieces, runs, trials, turns, of_thread - space.edges[:-1])
        give_back()


def _slice(
    space: XSpace, shift_ns: int, launches: Launches, pieces: list[Piece], runs: dict[tuple[int, int], int],
    trials: Collection[str], turns: Sequence[int], of_line: Int,
) -> Part:  # fmt: skip
    """`of_line` and the number of an event give its place among those of all threads, one thread after the other."""
    rows = rows_of(pieces)
    by_thread = of_line[space.line_of(rows)] + rows
    order = Ranks(
        turns[0] + rows, turns[1] + rows, turns[2] + rows, turns[3] + by_thread, turns[4] + rows, turns[5] + by_thread,
    )  # fmt: skip
    part = space.of(pieces)
    made = Part(part, part.start_ns + shift_ns, launches.of(pieces), runs, order, trials)
    space.give_back()
    return made


def _name(space: XSpace, build: TraceBuilder) -> frozenset[str]:
    """Takes names in as a profile that is joined as one does: sites of ops are in the order of their names' codes.
    Returns the modules that XLA's autotuner ran."""
    texts: dict[str, dict[Scalar, None]] = {stat: {} for stat in ("eager_op", "hlo_op", *device.LABELLED)}
    trials: frozenset[str] = frozenset()
    for piece in chunks(space, range(len(space.lines))):
        stats = space.stats.of([piece])
        for stat, known in texts.items():
            known.update(dict.fromkeys(stats.distinct(stat)))
        trials |= tuned_modules(stats, len(piece))
    words = build.words
    words.codes(space.names)
    for stat in ("eager_op", "hlo_op"):
        words.codes(str(value) for value in texts[stat])
    words.codes(meta.display_name or meta.name for meta in space.metas)
    words.codes(device.labels(value for stat in device.LABELLED for value in texts[stat]))
    return trials
