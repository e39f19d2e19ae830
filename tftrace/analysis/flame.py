"""Where the time goes, from the user's line down to the device: what a flame graph or an icicle draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tftrace.analysis import native_ways
from tftrace.analysis.columns import Bools, Ints, Texts, combined, numbers, parts, table, texts
from tftrace.analysis.layers import steady_events
from tftrace.analysis.own_time import OTHER, OwnTime, Whole, depths, own_time, parents
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

METRICS: Final = {
    "self_us": "own time",
    "device_us": "time of the device's work",
    "events": "number of events",
}
"""Columns of `flame` that add up over what stands below, and what they are."""

_ROWS: Final = 1 << 16
_COLUMNS: Final = (
    "node", "parent", "layer", "name", "depth", "events", "total_us", "self_us", "device_us", "longest_us",
)  # fmt: skip
Sums = npt.NDArray[Any]


@dataclass(frozen=True)
class _Ways:
    """From a root down to events of one layer and name: the way that each goes on from (-1 at the top), how deep it is,
    the first event that goes it; how many do, their length, own time and the longest, in ns. Level by level, and in a
    level in the order of their first events."""

    above: Whole
    depth: Whole
    first: Whole
    events: Ints
    total: Sums
    own: Sums
    longest: Ints


def flame(trace: Trace, steady: bool = False) -> pd.DataFrame:
    """One row for each way from a root down to events of one layer and name, from the tables events and links.

    | column | |
    |---|---|
    | node, parent | number of the row, and of the row above (null at the top); parents come first |
    | layer, name | of its events; layer is null for tftrace's own work |
    | depth | 0 at the top |
    | events | how many events went this way |
    | total_us | their summed time, which holds what runs inside them on the same thread |
    | self_us | that less what runs inside them on the same thread |
    | device_us | `self_us` where the layer is device, else 0 |
    | longest_us | the longest of them |

    With `steady`, only events that belong to an execution outside warm-up count; one whose parent does not is a root.
    The sum of `self_us` over a subtree is the time of everything in it: work of a device or of another thread, which
    runs meanwhile, counts beside the time of what waits for it.
    """
    of = own_time(trace)
    kept = steady_events(trace) if steady else None
    name = texts(table(trace, "events"), "name")
    fast = of.nested is not None and native_ways.available()
    ways = (_in_c if fast else _by_levels)(trace, of, name, kept)
    if not len(ways.first):
        empty: pd.DataFrame = pd.DataFrame(columns=list(_COLUMNS))
        return empty
    layer = of.layer[ways.first]
    frame: pd.DataFrame = pd.DataFrame(
        {
            "node": np.arange(len(layer)),
            "parent": pd.array(ways.above.astype(np.int64), "Int64"),
            "layer": [LAYERS[at] if at != OTHER else None for at in layer.tolist()],
            "name": [name.of(row) for row in ways.first.tolist()],
            "depth": ways.depth.astype(np.int64),
            "events": ways.events,
            "total_us": ways.total / 1000,
            "self_us": ways.own / 1000,
            "device_us": np.where(layer == LAYERS.index("device"), ways.own / 1000, 0.0),
            "longest_us": ways.longest / 1000,
        }
    )
    frame["parent"] = frame["parent"].where(frame["parent"] >= 0)
    return frame


def _by_levels(trace: Trace, of: OwnTime, name: Texts, kept: Bools | None) -> _Ways:
    parent, count = parents(trace, of), len(of.own)
    kept = np.ones(count, bool) if kept is None else kept
    parent = np.where((parent >= 0) & kept & np.append(kept, False)[parent], parent, -1)
    dur = np.maximum(numbers(table(trace, "events"), "dur_ns").values, 0)
    depth, own = depths(parent), of.own.part(0, count)
    way = np.full(count, -1, np.int64)
    above, firsts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    found = 0
    for level in range(int(depth[kept].max(initial=-1)) + 1):
        mine = np.flatnonzero(kept & (depth == level))
        on = way[parent[mine]] if level else np.full(len(mine), -1, np.int64)
        code, several = combined(on, of.layer[mine], name.codes[mine])
        first = np.zeros(several, np.int64)
        first[code[::-1]] = np.arange(len(mine))[::-1]
        above.append(on[first])
        firsts.append(mine[first])
        way[mine] = found + code
        found += several
    first = np.concatenate(firsts)
    rows = np.flatnonzero(kept)
    longest = np.zeros(found, np.int64)
    np.maximum.at(longest, way[rows], dur[rows])
    return _Ways(
        np.concatenate(above), depth[first], first, np.bincount(way[rows], minlength=found),
        np.bincount(way[rows], dur[rows], found), np.bincount(way[rows], own[rows], found), longest,
    )  # fmt: skip


def _in_c(trace: Trace, of: OwnTime, name: Texts, kept: Bools | None) -> _Ways:
    way = np.ascontiguousarray(parents(trace, of), np.int32)
    codes, layer = np.ascontiguousarray(name.codes, np.int32), np.ascontiguousarray(of.layer, np.int8)
    found = native_ways.ways(way, layer, codes, kept)
    order = np.lexsort((found["first"], found["depth"]))
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    above = np.append(place, np.int32(-1))[found["above"]][order]

    def told() -> Iterator[tuple[native_ways.Rows, pa.Array, Ints]]:
        first = 0
        for part in parts(trace, "events", ["dur_ns"], lambda part, _: part, rows=_ROWS):
            for dur in part.column(0).chunks:
                yield way[first : first + len(dur)], dur, of.own.part(first, len(dur))
                first += len(dur)

    events, total, own, longest = native_ways.summed(told(), place)
    return _Ways(above, found["depth"][order], found["first"][order], events, total, own, longest)
