"""What tftrace itself spent in the traced processes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tftrace.analysis.columns import numbers, positions, table
from tftrace.model.trace import Trace


def own_cost(trace: Trace) -> dict[str, Any] | None:
    """Time of tftrace's own, measured in the run: {"us", "in_calls_us", "probes": [{"probe", "us"}, ..]}.

    `probes` is from the manifest (`overhead_us`): hooks beside the records that they wrote, and of `tf_profiler` the
    writing of its windows; the costliest first, `us` their sum. What TensorFlow's profiler takes while it records is in
    none of these. `in_calls_us` (from calls.parquet, `tftrace_ns`; null where no call was measured) is what lies
    between begin and end of op calls, on their own threads; no op's self time holds it. None where nothing was
    measured.
    """
    probes = trace.manifest.get("probes", [])
    spent = {str(probe["name"]): float(probe["overhead_us"]) for probe in probes if probe.get("overhead_us")}
    if not spent:
        return None
    return {
        "us": round(sum(spent.values()), 3),
        "in_calls_us": _in_calls_us(trace),
        "probes": [{"probe": name, "us": us} for name, us in sorted(spent.items(), key=lambda one: -one[1])],
    }


def _in_calls_us(trace: Trace) -> float | None:
    calls = table(trace, "calls")
    spent, tid = numbers(calls, "tftrace_ns"), numbers(calls, "tid").values
    if not spent.valid.any():
        return None
    parent = positions(calls, "call_id", numbers(calls, "parent_call_id"))
    # a node that ran on the thread that called its graph: that call has its time already
    counted = (parent >= 0) & (np.append(tid, -1)[parent] == tid)
    return int(spent.values[~counted].sum()) / 1000
