"""Which work of a device were trials of an autotuner, and no execution of the op that they stand under.

Said outright: by the annotation `cudnn_autotuning` (TensorFlow 2.21, eager ops), by the module of its own in which XLA
runs an instruction it tunes. Otherwise it shows within an execution by what surrounds each trial: the autotuner checks
the memory around its results with kernels named `redzone_checker` or `RedzoneAllocatorKernel`. What an execution
launched up to the last of these were trials; where TensorFlow numbers annotated scopes, only what ran in a scope within
that of the op.

    launched by one op        scope        trial
    transpose                 9
    engine 1, redzone check   10           x
    engine 2, redzone check   10           x
    engine 2                  9

Without scopes (TensorFlow 2.3 to 2.16) the transpose counts as a trial too: nothing tells the two apart.
"""

from __future__ import annotations

import numpy as np

from tftrace.correlate.profiles.device_work import DeviceWork
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder


def mark_trials(build: TraceBuilder, work: DeviceWork, run: Int, launched_at: Int) -> None:
    """Adds `"tuning":true` to the attributes of trials.

    `run` holds the execution of each piece of work, NONE where unknown, `launched_at` the time of its launch.
    """
    trial = work.trial == 1
    known = np.flatnonzero(run != NONE)
    check, copy = named(build, work, "redzone")[known], named(build, work, "memcpyd2h")[known]
    if check.any():
        of, at = run[known], launched_at[known]
        count = int(of.max()) + 1
        last = np.full(count, np.iinfo(np.int64).min)
        np.maximum.at(last, of[check], at[check])
        # the copy of a check's outcome follows it, before anything else is launched
        follows = np.full(count, np.iinfo(np.int64).max)
        later = ~copy & (at > last[of])
        np.minimum.at(follows, of[later], at[later])
        outcome = copy & (at < follows[of]) & (last > np.iinfo(np.int64).min)[of]
        own = np.full(count, np.iinfo(np.int64).max)
        scoped = known[work.scope[known] != NONE]
        np.minimum.at(own, run[scoped], work.scope[scoped])
        inner = (work.scope[known] == NONE) | (work.scope[known] > own[of])
        trial[known] |= ((at <= last[of]) | outcome) & inner
    say_so(build, work, np.flatnonzero(trial))


def say_so(build: TraceBuilder, work: DeviceWork, rows: Int) -> None:
    """Adds `"tuning":true` to the attributes of these rows of the work; doing so twice is the same."""
    used, which = np.unique(work.attrs[rows], return_inverse=True)
    told = [text or "{}" for text in build.attrs.so_far(used).to_pylist()]
    codes = build.attrs.codes('{"tuning":true' + ("," if t != "{}" else "") + t[1:] for t in told)
    if len(rows):
        build.describe(work.ids[rows], codes[which])


def named(build: TraceBuilder, work: DeviceWork, part: str) -> np.ndarray:
    """Mask of the work whose name holds `part`, whatever its case."""
    used, which = np.unique(work.name, return_inverse=True)
    fits = np.array([part in build.words.values[c].lower() for c in used.tolist()], bool)
    return fits[which] if len(which) else np.empty(0, bool)
