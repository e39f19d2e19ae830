"""Where the time goes, from the user's line down to the device: what a flame graph or an icicle draws."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from tftrace.analysis.columns import combined, table, texts
from tftrace.analysis.layers import steady_events
from tftrace.analysis.own_time import OTHER, depths, own_time
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

METRICS: Final = {
    "self_us": "own time",
    "device_us": "time of the device's work",
    "events": "number of events",
}
"""Columns of `flame` that add up over what stands below, and what they are."""


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
    kept = steady_events(trace) if steady else np.ones(len(of.dur), bool)
    parent = np.where((of.parent >= 0) & kept & np.append(kept, False)[of.parent], of.parent, -1)
    name = texts(table(trace, "events"), "name")
    depth = depths(parent)
    node = np.full(len(of.dur), -1, np.int64)
    rows: list[pd.DataFrame] = []
    first = 0
    for level in range(int(depth[kept].max(initial=-1)) + 1):
        mine = np.flatnonzero(kept & (depth == level))
        above = node[parent[mine]] if level else np.full(len(mine), -1, np.int64)
        code, count = combined(above, of.layer[mine], name.codes[mine])
        sample = np.zeros(count, np.int64)
        sample[code[::-1]] = np.arange(len(mine))[::-1]
        longest = np.zeros(count, np.int64)
        np.maximum.at(longest, code, of.dur[mine])
        own = np.bincount(code, of.own[mine], count) / 1000
        layer = of.layer[mine[sample]]
        rows.append(
            pd.DataFrame(
                {
                    "node": np.arange(first, first + count),
                    "parent": pd.array(above[sample], "Int64"),
                    "layer": [LAYERS[at] if at != OTHER else None for at in layer.tolist()],
                    "name": [name.of(row) for row in mine[sample].tolist()],
                    "depth": level,
                    "events": np.bincount(code, minlength=count),
                    "total_us": np.bincount(code, of.dur[mine], count) / 1000,
                    "self_us": own,
                    "device_us": np.where(layer == LAYERS.index("device"), own, 0.0),
                    "longest_us": longest / 1000,
                }
            )
        )
        node[mine] = first + code
        first += count
    columns = [
        "node",
        "parent",
        "layer",
        "name",
        "depth",
        "events",
        "total_us",
        "self_us",
        "device_us",
        "longest_us",
    ]
    frame: pd.DataFrame = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)
    frame["parent"] = frame["parent"].where(frame["parent"] >= 0)
    return frame
