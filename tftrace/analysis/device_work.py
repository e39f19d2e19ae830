"""What devices ran for groups of calls: kernels and copies by name, trials of an autotuner apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from tftrace.analysis.columns import Bools, Ints, combined, numbers, table, texts
from tftrace.analysis.evidence import Members
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace


def device_work(
    trace: Trace, members: Members, trial: Bools, group_of: Ints, groups: int
) -> list[list[dict[str, Any]]]:
    """For each group its device events by name: name, tuning, count and total_us; trials last, the costliest first.
    `trial` says which of the members in the device layer were trials."""
    events = table(trace, "events")
    here = np.flatnonzero(members.layer == LAYERS.index("device"))
    event, group = members.event[here], group_of[members.call[here]]
    name = texts(events, "name")
    code, count = combined(group, trial.astype(np.int64), name.codes[event])
    spent = np.bincount(code, weights=numbers(events, "dur_ns").values[event], minlength=count)
    number = np.bincount(code, minlength=count)
    sample = np.zeros(count, np.int64)
    sample[code] = np.arange(len(code))
    listed: list[list[dict[str, Any]]] = [[] for _ in range(groups)]
    for i in np.lexsort((-spent, trial[sample])).tolist():
        row = int(event[sample[i]])
        listed[int(group[sample[i]])].append(
            {
                "name": name.of(row),
                "tuning": bool(trial[sample[i]]),
                "count": int(number[i]),
                "total_us": round(float(spent[i]) / 1000, 3),
            }
        )
    return listed
