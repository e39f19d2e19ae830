"""What devices ran for groups of calls: kernels and copies by name, trials of an autotuner apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from tftrace.analysis.columns import Bools, Ints, Texts, combined
from tftrace.analysis.evidence import Members
from tftrace.model.layers import LAYERS


def device_work(
    members: Members, names: Texts, durations: Ints, trial: Bools, group_of: Ints, groups: int
) -> list[list[dict[str, Any]]]:
    """For each group its device events by name: name, tuning, count and total_us; trials last, the costliest first.
    `names` and `durations` are of the members, `trial` says which of those in the device layer were trials."""
    here = np.flatnonzero(members.layer == LAYERS.index("device"))
    group, name = group_of[members.call[here]], names.at(here)
    code, count = combined(group, trial.astype(np.int64), name.codes)
    spent = np.bincount(code, weights=durations[here], minlength=count)
    number = np.bincount(code, minlength=count)
    sample = np.zeros(count, np.int64)
    sample[code] = np.arange(len(code))
    listed: list[list[dict[str, Any]]] = [[] for _ in range(groups)]
    for i in np.lexsort((-spent, trial[sample])).tolist():
        listed[int(group[sample[i]])].append(
            {
                "name": name.of(int(sample[i])),
                "tuning": bool(trial[sample[i]]),
                "count": int(number[i]),
                "total_us": round(float(spent[i]) / 1000, 3),
            }
        )
    return listed
