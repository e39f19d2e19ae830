"""The work of devices that each call into a library launched, as far as profile windows show it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tftrace.correlate.nesting import union_length
from tftrace.correlate.profiles.profile import ProfileEvents
from tftrace.correlate.tables.columns import NONE, Int


@dataclass(frozen=True)
class LaunchedWork:
    """Parallel to the calls. `ns`: time that the work covers, what ran at once counted once; `device`: code of the
    device's name. NONE where no work is known, or is not all on one device."""

    ns: Int
    device: Int

    def of(self, rows: slice) -> LaunchedWork:
        return LaunchedWork(self.ns[rows], self.device[rows])


def launched_work(profile: ProfileEvents, parent: Int, entries: int, count: int) -> LaunchedWork:
    """`parent` is that of entries, profile events and calls joined, `entries` how many come before the profile's,
    `count` how many calls come after them."""
    npf, work = len(profile.ids), profile.work
    known = np.flatnonzero(work.launch >= 0)
    at = parent[entries + work.launch[known]] - entries - npf
    inside = at >= 0
    low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, NONE, np.int64)
    rows = known[inside]
    time = union_length(at[inside], work.start[rows], work.end[rows], count)
    np.minimum.at(low, at[inside], work.device[rows])
    np.maximum.at(high, at[inside], work.device[rows])
    seen = high >= 0
    return LaunchedWork(np.where(seen, time, NONE), np.where(seen & (low == high), high, NONE))
