"""What devices ran for groups of calls: kernels and copies by name, trials of an autotuner apart."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tftrace.analysis.columns import Bools, Ints, combined, numbers, table, texts
from tftrace.analysis.evidence import Members
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

_TRIAL: Final = '"tuning":true'


def device_work(trace: Trace, members: Members, group_of: Ints, groups: int) -> list[list[dict[str, Any]]]:
    """For each group its device events by name: name, tuning, count and total_us; trials last, the costliest first."""
    events = table(trace, "events")
    here = np.flatnonzero(members.layer == LAYERS.index("device"))
    event, group = members.event[here], group_of[members.call[here]]
    name = texts(events, "name")
    trial = trials(events, event)
    code, count = combined(group, trial[event].astype(np.int64), name.codes[event])
    spent = np.bincount(code, weights=numbers(events, "dur_ns").values[event], minlength=count)
    number = np.bincount(code, minlength=count)
    sample = np.zeros(count, np.int64)
    sample[code] = np.arange(len(code))
    listed: list[list[dict[str, Any]]] = [[] for _ in range(groups)]
    for i in np.lexsort((-spent, trial[event][sample])).tolist():
        row = int(event[sample[i]])
        listed[int(group[sample[i]])].append(
            {
                "name": name.of(row),
                "tuning": bool(trial[row]),
                "count": int(number[i]),
                "total_us": round(float(spent[i]) / 1000, 3),
            }
        )
    return listed


def trials(events: pa.Table, rows: Ints | None = None) -> Bools:
    """Mask of the events (of those in `rows`, or of all) whose attributes say that they were an autotuner's trial."""
    mask = np.zeros(events.num_rows, np.bool_)
    if "attrs" not in events.column_names:
        return mask
    asked = np.arange(len(mask)) if rows is None else np.unique(rows)
    attrs = events.column("attrs").take(pa.array(asked)) if rows is not None else events.column("attrs")
    found = pc.fill_null(pc.match_substring(attrs.cast(pa.string()), _TRIAL), False)
    mask[asked] = np.asarray(found.to_numpy(), np.bool_)
    return mask
