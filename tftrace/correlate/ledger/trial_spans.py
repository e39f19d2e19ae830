"""Device work that an autotuner launched, by the calls into cuDNN between which it was launched.

The native stack of a call into cuDNN says whether an autotuner made it. Between the first such call and the last, on
one thread and with no execution for real between them, everything launched was for trials: the fills of the checked
memory as well, which bear no annotation. Checks of a result follow its call: the last trial's are told by their name.

    on one thread                              tuning
    transpose
    cudnnBackendFinalize, of the autotuner     from here
    fill, engine 1, check
    cudnnBackendExecute, of the autotuner      to here
    check, copy of its outcome                 x
    cudnnBackendExecute                        not any more
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tftrace.correlate.ledger.tuning import named, say_so
from tftrace.correlate.libraries.cudnn import CudnnEvents
from tftrace.correlate.nesting import latest_before
from tftrace.correlate.profiles.profile import ProfileEvents
from tftrace.correlate.tables.columns import Int, TraceBuilder

_NEVER: Final = np.iinfo(np.int64).max


def mark_launched_in_trials(build: TraceBuilder, profile: ProfileEvents, cudnn: CudnnEvents) -> None:
    """Adds `"tuning":true` to the attributes of what was launched for trials; its evidence is the native stacks."""
    work = profile.work
    tid, first, last, real = _spans(cudnn)
    rows = np.flatnonzero(work.launch >= 0)
    if not len(tid) or not len(rows):
        return
    launch = work.launch[rows]
    at, thread = profile.start[launch], profile.tid[launch]
    span = latest_before(tid, first, thread, at)
    inside = (span >= 0) & (at <= last[span])
    after = (span >= 0) & ~inside & (at < real[span])
    checks = named(build, work, "redzone")[rows] & after
    end = last.copy()
    np.maximum.at(end, span[checks], at[checks])
    # without an execution for real behind it, a later copy may be anybody's
    outcome = named(build, work, "memcpyd2h")[rows] & after & (real[span] != _NEVER)
    say_so(build, work, rows[inside | (after & (at <= end[span])) | outcome])


def _spans(cudnn: CudnnEvents) -> tuple[Int, Int, Int, Int]:
    """(thread, first call's start, last call's end, start of the next execution for real) of each row of calls that an
    autotuner made, by thread and time."""
    calls = cudnn.calls
    order = np.lexsort((calls.start, calls.tid))
    tuning = np.array([s is not None and s.tuning for s in calls.stack], bool)[order]
    known = np.array([s is not None for s in calls.stack], bool)[order]
    for_real = (cudnn.found.work[cudnn.first] >= 0)[order] & known & ~tuning
    tid, start, end = calls.tid[order], calls.start[order], calls.end[order]
    # an execution for real, or another thread, ends a row
    part = np.cumsum(np.concatenate(([0], (np.diff(tid) != 0) | for_real[:-1]))) if len(tid) else tid
    mine = np.flatnonzero(tuning)
    parts, begins = np.unique(part[mine], return_index=True)
    if not len(parts):
        return (np.empty(0, np.int64),) * 4
    ends = np.append(begins[1:], len(mine)) - 1
    next_real = np.full(int(part.max()) + 1, _NEVER)
    next_real[part[for_real]] = start[for_real]
    return tid[mine[begins]], start[mine[begins]], end[mine[ends]], next_real[parts]
