"""What one op spends in each layer on its way down."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tftrace.analysis import observed, pattern
from tftrace.analysis.columns import Bools, Ints, numbers, positions, table, texts
from tftrace.analysis.own_time import call_of, own_time
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

UNTIMED = ("python", "api", "gen_op")
"""Their events span the call into the runtime: what they spend themselves is not in the trace."""


def waterfall(trace: Trace, of: str, steady: bool = True) -> pd.DataFrame:
    """One row for each layer and place, in the order of the layers, of the executions that the pattern `of` means.

    | column | |
    |---|---|
    | layer | top to bottom; a layer without an event is there too |
    | place | `waiting`: the thread that waits for the result; `beside`: other threads, and streams |
    | calls | executions counted; with `steady` those outside warm-up, or all where there are no others |
    | seen | executions that show the layer there |
    | self_us | mean of an execution: the layer's time there, without what runs inside it on the same thread; null where the layer was not seen or is not timed |
    | reason | why there is no time, else null |
    | steady | whether warm-up is left out |

    The rows of `waiting` add up to the mean time of an execution, and what it waits for elsewhere is in `runtime`. Raises
    UsageError and InputError as `tftrace.analysis.pattern.match` does.
    """  # noqa: E501 - a table
    calls, sites = table(trace, "calls"), table(trace, "sites")
    chosen = pattern.match(trace, of).calls
    warm = numbers(calls, "warm_up").values == 1
    steady = steady and bool((chosen & ~warm).any())
    if steady:
        chosen &= ~warm
    spent = own_time(trace)
    call = call_of(trace, spent)
    mine = np.flatnonzero(np.append(chosen, False)[call])
    waits = _waits(trace, call)[mine]
    count = int(chosen.sum())
    site = positions(sites, "site_id", numbers(calls, "site_id"))
    node = np.append(texts(sites, "node").codes >= 0, False)[site][chosen].any()
    rows = []
    for number, layer in enumerate(LAYERS):
        of_layer = spent.layer[mine] == number
        places = [("waiting", of_layer & waits), ("beside", of_layer & ~waits)]
        for place, rows_of in places:
            if not rows_of.any() and (place == "beside" or of_layer.any()):
                continue
            events = mine[rows_of]
            seen = len(np.unique(call[events]))
            timed = seen > 0 and layer not in UNTIMED
            reason = None
            if not seen:
                reason = _unseen(trace, layer, bool(node))
            elif not timed:
                reason = "its event spans the call into the runtime: its own time is not in the trace"
            rows.append(
                {
                    "layer": layer,
                    "place": place,
                    "calls": count,
                    "seen": seen,
                    "self_us": float(spent.own[events].sum()) / 1000 / count if timed else None,
                    "reason": reason,
                    "steady": steady,
                }
            )
    frame: pd.DataFrame = pd.DataFrame(rows)
    return frame


def _unseen(trace: Trace, layer: str, node: bool) -> str:
    if node and layer in UNTIMED:
        return "the op ran as a node of a graph: Python made it once, when the graph was traced"
    return observed.reason(trace.manifest, layer)  # type: ignore[arg-type]


def _waits(trace: Trace, call: Ints) -> Bools:
    """Events on the thread that waits for the call which they belong to."""
    events, calls = table(trace, "events"), table(trace, "calls")
    stream, tid, pid = (numbers(events, c) for c in ("stream", "tid", "pid"))
    of_tid, of_pid = numbers(calls, "tid"), numbers(calls, "pid")
    at = np.maximum(call, 0)
    if not calls.num_rows:
        return np.zeros(events.num_rows, bool)
    same_thread = (tid.values == of_tid.values[at]) & (pid.values == of_pid.values[at])
    waits: Bools = (call >= 0) & ~stream.valid & tid.valid & same_thread
    return waits
