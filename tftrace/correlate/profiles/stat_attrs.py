"""Statistics of a profile's events as attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tftrace.correlate.tables.attributes import NONE, Int, Part, values_part
from tftrace.correlate.tables.columns import Interner
from tftrace.ingest.xplane.space import XSpace


def stat_codes(space: XSpace, rows: Int, names: Iterable[str]) -> Iterator[tuple[str, Int, list[object]]]:
    """(name, code of its value for each of these events or NONE, values) of the statistics that any event has."""
    of_row = np.full(len(space), NONE, np.int64)
    of_row[rows] = np.arange(len(rows))
    for name in names:
        column = space.stats.coded(name)
        if column is None:
            continue
        at = of_row[column.event]
        mine = at >= 0
        code = np.full(len(rows), NONE, np.int64)
        code[at[mine]] = column.code[mine]
        yield name, code, list(column.values)


def stat_words(space: XSpace, words: Interner, name: str) -> Int:
    """The code of this statistic's value as text, for each event of the profile; NONE where it has none."""
    out = np.full(len(space), NONE, np.int64)
    column = space.stats.coded(name)
    if column is not None:
        out[column.event] = words.codes(str(v) for v in column.values)[column.code]
    return out


def interned(words: Interner, code: Int, texts: Sequence[str]) -> Int:
    """`code`, places in `texts`, as codes of `words`: only texts in use are taken in."""
    place = np.full(len(texts) + 1, NONE, np.int64)  # the last element stands for none
    used = np.zeros(len(texts) + 1, np.bool_)
    used[code] = True
    at = np.flatnonzero(used[:-1])
    place[at] = words.codes(texts[i] for i in at.tolist())
    return place[code]


def stat_parts(space: XSpace, rows: Int, names: Iterable[str]) -> list[Part]:
    """These statistics of the events in `rows`, each under its own name."""
    return [values_part(name, code, values) for name, code, values in stat_codes(space, rows, names)]
