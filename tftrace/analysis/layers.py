"""How much time each layer covers, and how completely it was observed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tftrace.analysis import observed
from tftrace.analysis.columns import (
    Bools,
    Ints,
    combined,
    distinct,
    numbers,
    positions,
    sorting,
    table,
    texts,
)
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
    events = table(trace, "events", "event_id")
    covered = _Covered.of(trace, steady_events(trace) if steady else np.ones(events.num_rows, bool))
    rows = []
    # what runs of a layer or of one below it: time covered, from each layer on
    from_here = [
        covered.ns(covered.layer >= at) if (covered.layer == at).any() else None for at in range(len(LAYERS))
    ]
    for at, layer in enumerate(LAYERS):
        own = covered.layer == at
        count = int(own.sum())
        executions, seen = _executions(trace, layer, steady)
        status, reason = _status(trace, layer, count, executions, seen)
        below = next((ns for ns in from_here[at + 1 :] if ns is not None), 0)
        rows.append(
            {
                "layer": layer,
                "events": count,
                "total_us": covered.ns(own) / 1000 if count else None,
                "self_us": ((from_here[at] or 0) - below) / 1000 if count and layer not in _UNTIMED else None,
                "executions": executions,
                "seen": seen,
                "status": status,
                "reason": reason,
            }
        )
    frame: pd.DataFrame = pd.DataFrame(rows)
    return frame


@dataclass(frozen=True)
class _Covered:
    """Events in the order of thread and start; `layer` is the position in `LAYERS`, or -1."""

    layer: Ints
    thread: Ints
    start: Ints
    end: Ints

    @classmethod
    def of(cls, trace: Trace, kept: Bools) -> _Covered:
        events = table(
            trace, "events", "layer", "start_ns", "dur_ns", "stream", "tid", "pid", "device", "host"
        )
        names = texts(events, "layer")
        place = np.array([LAYERS.index(v) if v in LAYERS else -1 for v in names.values] + [-1], np.int64)
        layer = np.where(kept, place[names.codes], -1)
        start, dur = numbers(events, "start_ns").values, numbers(events, "dur_ns").values
        stream, tid, pid = (numbers(events, c) for c in ("stream", "tid", "pid"))
        line = np.where(stream.valid, -1 - stream.values, tid.values)  # streams of a device are no threads
        lines, _ = distinct(line)
        device = np.where(stream.valid, texts(events, "device").codes, -1)
        thread, count = combined(texts(events, "host").codes, pid.values, device, lines)
        in_time = (
            np.arange(len(start)) if (start[1:] >= start[:-1]).all() else np.argsort(start, kind="stable")
        )
        order = in_time[sorting(thread[in_time], count)]
        return cls(layer[order], thread[order], start[order], (start + np.maximum(dur, 0))[order])

    def ns(self, which: Bools) -> int:
        """Time covered by the picked events, summed over threads."""
        thread, start, end = self.thread[which], self.start[which], self.end[which]
        if not len(start):
            return 0
        base = int(start.min())
        # a running maximum that starts anew with each thread: lift each thread above all before it
        span = int(end.max()) - base + 1
        thread = np.cumsum(np.concatenate(([0], np.diff(thread) != 0)))
        lift = thread * span
        reach = np.maximum.accumulate(end - base + lift)
        before = np.concatenate(([0], reach[:-1]))
        return int(np.maximum(reach - np.maximum(before, start - base + lift), 0).sum())


def steady_events(trace: Trace) -> Bools:
    """Mask of the events that belong to at least one execution outside warm-up."""
    events, members, calls = (
        table(trace, "events", "event_id"),
        *(table(trace, n) for n in ("event_calls", "calls")),
    )
    call = positions(calls, "call_id", numbers(members, "call_id"))
    event = positions(events, "event_id", numbers(members, "event_id"))
    steady = np.append(numbers(calls, "warm_up").values == 0, False)[call] & (event >= 0)
    mask = np.zeros(events.num_rows, bool)
    mask[event[steady]] = True
    return mask


def _executions(trace: Trace, layer: Layer, steady: bool) -> tuple[int, int]:
    """(executions that should show the layer, those that do).

    Above the kernel these are the calls that came from Python; from the kernel down the ops themselves. A
    line that runs a whole graph has no generated op, no kernel and no library call of its own.
    """
    calls = table(
        trace, "calls", "warm_up", "site_id", "parent_call_id", *(f"{name}_total_ns" for name in LAYERS)
    )
    sites = table(trace, "sites")
    wanted = numbers(calls, "warm_up").values == 0 if steady else np.ones(calls.num_rows, bool)
    site = positions(sites, "site_id", numbers(calls, "site_id"))
    is_node = texts(sites, "node").codes >= 0
    if layer in _OPS_ONLY:
        mode = texts(sites, "mode")
        eager = mode.where(np.array([v == "eager" for v in mode.values], bool))
        wanted &= ~np.append(~eager & ~is_node, False)[site]
    if layer not in _BELOW_RUNTIME:
        # a node whose graph nobody was seen to run (a profile recorded without tftrace) did not come from Python either
        wanted &= ~numbers(calls, "parent_call_id").valid & ~np.append(is_node, False)[site]
    return int(wanted.sum()), int((wanted & numbers(calls, f"{layer}_total_ns").valid).sum())


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
