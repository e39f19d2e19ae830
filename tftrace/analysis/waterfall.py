"""What one op spends in each layer on its way down."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from tftrace.analysis import observed, pattern
from tftrace.analysis.columns import Bools, Ints, numbers, parts, positions, table, texts
from tftrace.analysis.own_time import OTHER, call_of, own_time
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

UNTIMED = ("python", "api", "gen_op")
"""Their events span the call into the runtime: what they spend themselves is not in the trace."""
_PLACES = ("waiting", "beside")
_ROWS = 1 << 16


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
    count = int(chosen.sum())
    site = positions(sites, "site_id", numbers(calls, "site_id"))
    node = np.append(texts(sites, "node").codes >= 0, False)[site][chosen].any()
    found = _spent(trace, chosen)
    rows = []
    for number, layer in enumerate(LAYERS):
        for place, (seen, own) in zip(_PLACES, found[number], strict=True):
            if not seen and (place == "beside" or any(others for others, _ in found[number])):
                continue
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
                    "self_us": own / 1000 / count if timed else None,
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


def _spent(trace: Trace, chosen: Bools) -> list[list[tuple[int, float]]]:
    """By layer and place: how many of the chosen calls have events there, and the ns that these spend themselves."""
    of = own_time(trace)
    call = call_of(trace, of)
    numbered = np.full(len(chosen) + 1, -1, np.int32)
    numbered[:-1][chosen] = np.arange(np.count_nonzero(chosen))
    of_tid, of_pid = _threads(trace, chosen)
    cells = len(LAYERS) * len(_PLACES)
    seen, own = np.zeros((cells, len(of_tid)), bool), np.zeros(cells, np.int64)

    def make(part: pa.Table, first: int) -> Ints:
        here = slice(first, first + part.num_rows)
        owner = numbered[call[here]]
        mine = np.flatnonzero((owner >= 0) & (of.layer[here] != OTHER))
        owner = owner[mine]
        stream, tid, pid = (numbers(part, c) for c in ("stream", "tid", "pid"))
        # on the thread that waits for the call
        waits = (tid.values[mine] == of_tid[owner]) & (pid.values[mine] == of_pid[owner])
        waits &= ~stream.valid[mine] & tid.valid[mine]
        cell = of.layer[here][mine].astype(np.int64) * len(_PLACES) + ~waits
        seen[cell, owner] = True
        spent = np.zeros(cells, np.int64)
        np.add.at(spent, cell, of.own.part(first, part.num_rows)[mine])
        return spent

    for spent in parts(trace, "events", ["stream", "tid", "pid"], make, rows=_ROWS):
        own += spent
    cell = [(int(n), float(ns)) for n, ns in zip(seen.sum(axis=1), own, strict=True)]
    return [cell[at : at + len(_PLACES)] for at in range(0, cells, len(_PLACES))]


def _threads(trace: Trace, chosen: Bools) -> tuple[Ints, Ints]:
    """Thread and process of the chosen calls."""

    def make(part: pa.Table, first: int) -> tuple[Ints, Ints]:
        here = chosen[first : first + part.num_rows]
        return numbers(part, "tid").values[here], numbers(part, "pid").values[here]

    none = np.zeros(0, np.int64)
    tid, pid = zip((none, none), *parts(trace, "calls", ["tid", "pid"], make), strict=True)
    return np.concatenate(tid), np.concatenate(pid)
