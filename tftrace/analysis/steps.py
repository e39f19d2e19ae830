"""What each step spends in which layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tftrace.analysis.columns import PART, Bools, Ints, numbers, parts, table
from tftrace.analysis.own_time import OTHER, call_of, own_time
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class _Steps:
    """`number` of each step, rising, -1 for none; the position of each call's step in it; whether the step holds a call
    in warm-up; and how long it took on the clock, in ns."""

    number: Ints
    of_call: npt.NDArray[np.int32]
    cold: Bools
    span: Ints


def steps(trace: Trace) -> pd.DataFrame:
    """One row for each step and each layer seen in it, from the tables events, calls and event_calls.

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
    found = _steps(trace)
    size = len(found.number) * len(LAYERS)
    count, own = np.zeros(size, np.int64), np.zeros(size)
    for first in range(0, len(call) if size else 0, PART):
        here = slice(first, first + PART)
        mine = np.flatnonzero((call[here] >= 0) & (of.layer[here] != OTHER))
        cell = found.of_call[call[here][mine]].astype(np.int64) * len(LAYERS) + of.layer[here][mine]
        count += np.bincount(cell, minlength=size)
        own += np.bincount(cell, of.own.part(first, PART)[mine], size)
    rows = []
    for at in np.flatnonzero(count).tolist():
        number, layer = divmod(at, len(LAYERS))
        rows.append(
            {
                "step": None if found.number[number] < 0 else int(found.number[number]),
                "layer": LAYERS[layer],
                "events": int(count[at]),
                "self_us": own[at] / 1000,
                "warm_up": bool(found.cold[number]),
                "span_us": int(found.span[number]) / 1000,
            }
        )
    frame: pd.DataFrame = pd.DataFrame(
        rows, columns=["step", "layer", "events", "self_us", "warm_up", "span_us"]
    )
    frame["step"] = frame["step"].astype("Int64")
    return frame


def _steps(trace: Trace) -> _Steps:
    """From the table calls, part by part."""

    def step_of(part: pa.Table) -> Ints:
        step = numbers(part, "step")
        return np.where(step.valid, step.values, -1)

    seen = parts(trace, "calls", ["step"], lambda part, _: np.unique(step_of(part)))
    number = np.unique(np.concatenate([np.zeros(0, np.int64), *seen]))
    of_call = np.empty(table(trace, "calls").num_rows, np.int32)
    cold = np.zeros(len(number), bool)
    first, last = np.full(len(number), _NEVER), np.zeros(len(number), np.int64)

    def make(part: pa.Table, at: int) -> tuple[Ints, Bools, Bools, Ints, Ints]:
        code = np.searchsorted(number, step_of(part))
        of_call[at : at + part.num_rows] = code
        start, total = numbers(part, "start_ns"), numbers(part, "total_ns").values
        outer = ~numbers(part, "parent_call_id").valid & start.valid
        return code, numbers(part, "warm_up").values == 1, outer, start.values, total

    for code, warm, outer, start, total in parts(
        trace, "calls", ["step", "warm_up", "start_ns", "total_ns", "parent_call_id"], make
    ):
        cold[code[warm]] = True
        np.minimum.at(first, code[outer], start[outer])
        np.maximum.at(last, code[outer], (start + total)[outer])
    return _Steps(number, of_call, cold, np.where(last > 0, last - first, 0))
