"""How much time each layer covers, and how completely it was observed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tftrace.analysis import observed
from tftrace.analysis.columns import Bools, events_of, flags, numbers, positions, table, texts
from tftrace.analysis.coverage import coverage
from tftrace.model.layers import LAYERS, Layer
from tftrace.model.trace import Trace

_UNTIMED: tuple[Layer, ...] = ("python", "api", "gen_op")
"""Their events span the call into the runtime, so that what they spend themselves is not in the trace."""
_BELOW_RUNTIME: tuple[Layer, ...] = ("kernel", "library", "device")
_OPS_ONLY: tuple[Layer, ...] = ("gen_op", *_BELOW_RUNTIME)


def layers(trace: Trace, steady: bool = False) -> pd.DataFrame:
    """One row a layer, top to bottom, from the tables events, calls and event_calls.

    | column | |
    |---|---|
    | layer | one of `LAYERS` |
    | events | number of its events |
    | total_us | time covered by them, overlaps on a thread or stream counted once; null without events |
    | self_us | the part of it in which nothing of a layer below runs there; null for layers not timed |
    | executions, seen | op executions that should show this layer, and those that do |
    | status | observed, partly, unobserved |
    | reason | why it is not simply observed, else null |

    With `steady`, only events that belong to an execution outside warm-up count.
    """
    covered = coverage(trace, steady_events(trace) if steady else None)
    executions_of = _executions(trace, steady)
    rows = []
    for at, layer in enumerate(LAYERS):
        count = covered.events[at]
        executions, seen = executions_of[layer]
        status, reason = _status(trace, layer, count, executions, seen)
        below = next((ns for ns in covered.from_here_ns[at + 1 :] if ns is not None), 0)
        rows.append(
            {
                "layer": layer,
                "events": count,
                "total_us": covered.own_ns[at] / 1000 if count else None,
                "self_us": ((covered.from_here_ns[at] or 0) - below) / 1000
                if count and layer not in _UNTIMED
                else None,
                "executions": executions,
                "seen": seen,
                "status": status,
                "reason": reason,
            }
        )
    frame: pd.DataFrame = pd.DataFrame(rows)
    return frame


def steady_events(trace: Trace) -> Bools:
    """Mask of the events that belong to at least one execution outside warm-up."""
    return events_of(trace, ~flags(trace, "calls", "warm_up"))


def _executions(trace: Trace, steady: bool) -> dict[Layer, tuple[int, int]]:
    """By layer (executions that should show it, those that do).

    Above the kernel these are the calls that came from Python; from the kernel down the ops themselves. A
    line that runs a whole graph has no generated op, no kernel and no library call of its own.
    """
    calls, sites = table(trace, "calls"), table(trace, "sites")
    wanted = numbers(calls, "warm_up").values == 0 if steady else np.ones(calls.num_rows, bool)
    site = positions(sites, "site_id", numbers(calls, "site_id"))
    is_node, mode = texts(sites, "node").codes >= 0, texts(sites, "mode")
    eager = mode.where(np.array([v == "eager" for v in mode.values], bool))
    is_op = wanted & np.append(eager | is_node, True)[site]
    # a node whose graph nobody was seen to run (a profile recorded without tftrace) did not come from Python either
    from_python = ~numbers(calls, "parent_call_id").valid & np.append(~is_node, True)[site]
    found: dict[Layer, tuple[int, int]] = {}
    for layer in LAYERS:
        these = is_op if layer in _OPS_ONLY else wanted
        if layer not in _BELOW_RUNTIME:
            these = these & from_python
        timed = numbers(calls, f"{layer}_total_ns").valid
        found[layer] = (int(np.count_nonzero(these)), int(np.count_nonzero(these & timed)))
    return found


def _status(trace: Trace, layer: Layer, events: int, executions: int, seen: int) -> tuple[str, str | None]:
    if not events:
        return "unobserved", observed.reason(trace.manifest, layer)
    missed = observed.shortfall(trace.manifest, layer)
    short = seen < executions
    if not short and missed is None:
        return "observed", None
    parts = [f"seen in {seen:,} of {executions:,} executions"] if short else []
    if missed is not None:
        parts.append(missed)
    elif layer in _BELOW_RUNTIME:
        parts.append(observed.reason(trace.manifest, layer))
    return "partly", "; ".join(parts)
