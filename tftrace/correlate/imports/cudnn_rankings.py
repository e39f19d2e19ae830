"""Tables of cudnnFind* and cudnnGet*: one call each, and its candidates in the algorithms table."""

from __future__ import annotations

from itertools import groupby
from typing import Final

import numpy as np

from tftrace.correlate.imports.facts import ORDER, STEP_NS, Facts
from tftrace.correlate.ledger.algorithm_rows import BY_CUDNN, add_candidate
from tftrace.correlate.tables.columns import TraceBuilder, compact
from tftrace.ingest.cudnn.enums import BACKPROP_FILTER_ALGO, BACKPROP_INPUT_ALGO, FORWARD_ALGO
from tftrace.ingest.cudnn.rankings import Ranked, Rankings

LIBRARY: Final = "cuDNN"
_SOURCE: Final = "cudnn_rankings"
_SIDE: Final = (
    (
        "BackwardData",
        BACKPROP_INPUT_ALGO,
        "CUDNN_CONVOLUTION_BWD_DATA_",
        "Conv2DBackpropInput",
        "backprop_input",
    ),
    (
        "BackwardFilter",
        BACKPROP_FILTER_ALGO,
        "CUDNN_CONVOLUTION_BWD_FILTER_",
        "Conv2DBackpropFilter",
        "backprop_filter",
    ),
    ("Forward", FORWARD_ALGO, "CUDNN_CONVOLUTION_FWD_ALGO_", "Conv2D", "forward"),
)
"""Part of the function's name -> names of its algorithms by number, their prefix, op, direction."""


def dated(rankings: Rankings) -> bool:
    return False


def add(rankings: Rankings, build: TraceBuilder, base_ns: int) -> Facts:
    """One event of the layer library for each table, with its rows in `attrs.rows`; `attrs.records` counts them."""
    tables = [list(rows) for _, rows in groupby(rankings.rows, key=lambda r: r.table)]
    words = build.words
    build.events(
        len(tables), layer=words.code("library"),
        name=words.codes(rows[0].function or "(table without its heading)" for rows in tables),
        start_ns=base_ns + np.arange(len(tables)) * STEP_NS, probe=words.code(f"import:{_SOURCE}"),
        attrs=build.attrs.codes(
            compact({"library": LIBRARY, "records": len(rows), "rows": [r.line for r in rows]}) for rows in tables
        ),
    )  # fmt: skip
    for rows in tables:
        _candidates(rows, build)
    return Facts(
        entries=len(rankings.rows), events=len(tables), lost=0, reason=rankings.cut, clock=ORDER,
        details={"headings": rankings.heads, "other_lines": len(rankings.other)},
    )  # fmt: skip


def _candidates(rows: list[Ranked], build: TraceBuilder) -> None:
    """cudnnFind ran each of them, cudnnGet asked the heuristics; the first that works is what cuDNN would use."""
    function = rows[0].function
    side = next((s for s in _SIDE if function is not None and s[0] in function), None)
    if function is None or side is None:
        return
    _, names, prefix, op, direction = side
    found = "Find" in function
    best = next((row for row in rows if row.status == "CUDNN_STATUS_SUCCESS"), None)
    for row in rows:
        status = {
            "CUDNN_STATUS_SUCCESS": "ok" if found else "not_tried",
            "CUDNN_STATUS_NOT_SUPPORTED": "unsupported",
        }
        add_candidate(
            build, LIBRARY, {"op": op, "direction": direction, "table": f"{function}, table {row.table + 1}"},
            algorithm=prefix + names.get(row.algorithm, str(row.algorithm)),
            time_us=None if row.time_ms is None else row.time_ms * 1000, workspace_bytes=row.workspace_bytes,
            status=status.get(row.status, "failed"), chosen=row is best, source=_SOURCE,
            time_of=BY_CUDNN if row.time_ms is not None else None, evidence="measured" if found else "predicted",
            picked_by=("library" if found else "heuristics") if row is best else None,
        )  # fmt: skip
