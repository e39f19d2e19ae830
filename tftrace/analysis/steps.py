"""What each step spends in which layer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tftrace.analysis.columns import numbers, table
from tftrace.analysis.own_time import OTHER, call_of, own_time
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace


def steps(trace: Trace) -> pd.DataFrame:
    """One row for each step and each layer seen in it, from the tables events, links, calls and event_calls.

    | column | |
    |---|---|
    | step | number of the execution of the outermost graph; null before the first, or where no graph ran |
    | layer | top to bottom |
    | events | its events in the step |
    | self_us | their time, without what runs inside them on the same thread; threads and streams add up |
    | warm_up | whether the step holds an execution in warm-up |
    | span_us | of the step, on the clock: from the first start to the last end of its calls from Python |
    """
    of = own_time(trace)
    call = call_of(trace, of)
    calls = table(trace, "calls")
    step, warm = numbers(calls, "step"), numbers(calls, "warm_up").values == 1
    values, code = np.unique(np.where(step.valid, step.values, -1), return_inverse=True)
    rows = []
    if len(values):
        mine = np.flatnonzero((call >= 0) & (of.layer != OTHER))
        cell = code[call[mine]] * len(LAYERS) + of.layer[mine]
        size = len(values) * len(LAYERS)
        count = np.bincount(cell, minlength=size)
        own = np.bincount(cell, of.own[mine], size)
        cold = np.bincount(code, warm, len(values)) > 0
        span = _spans(trace, code, len(values))
        for at in np.flatnonzero(count).tolist():
            number, layer = divmod(at, len(LAYERS))
            rows.append(
                {
                    "step": None if values[number] < 0 else int(values[number]),
                    "layer": LAYERS[layer],
                    "events": int(count[at]),
                    "self_us": own[at] / 1000,
                    "warm_up": bool(cold[number]),
                    "span_us": span[number] / 1000,
                }
            )
    frame: pd.DataFrame = pd.DataFrame(
        rows, columns=["step", "layer", "events", "self_us", "warm_up", "span_us"]
    )
    frame["step"] = frame["step"].astype("Int64")
    return frame


def _spans(trace: Trace, code: np.ndarray[tuple[int], np.dtype[np.int64]], size: int) -> list[int]:
    calls = table(trace, "calls")
    start, total = numbers(calls, "start_ns"), numbers(calls, "total_ns")
    outer = ~numbers(calls, "parent_call_id").valid & start.valid
    first = np.full(size, np.iinfo(np.int64).max)
    last = np.zeros(size, np.int64)
    np.minimum.at(first, code[outer], start.values[outer])
    np.maximum.at(last, code[outer], (start.values + total.values)[outer])
    return [int(v) for v in np.where(last > 0, last - first, 0)]
