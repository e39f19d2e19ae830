"""Runs made by hand: what their ledgers and calls hold is what a test is about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.views.traces import Builder
from tftrace.model.trace import Trace

CONV: dict[str, Any] = {
    "op": "Conv2D", "direction": "forward", "input": [8, 32, 32, 16], "filter": [3, 3, 16, 32],
    "output": [8, 32, 32, 32], "strides": [1, 1], "dilations": [1, 1], "padding": [[1, 1], [1, 1]], "groups": 1,
    "layout": "NHWC", "dtype": "float32", "math": None, "fused": [],
}  # fmt: skip
STEADY = (100.0, 102.0, 98.0, 101.0, 99.0, 100.5, 99.5, 101.5, 98.5, 100.2)


def row(
    algorithm: str | None = "ALGO_1",
    times: Sequence[float] | None = (500.0, *STEADY),
    problem_id: int = 0,
    problem: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One row of the ledger: what ran, its first time being that of the first call."""
    problem = CONV if problem is None else problem
    ordered = sorted(times or [])
    return {
        "problem_id": problem_id, "problem": json.dumps(problem), "op": problem["op"],
        "direction": problem["direction"], "device": "/device:GPU:0", "library": "cuDNN", "version": "9.3.0",
        "algorithm": algorithm, "time_us": ordered[len(ordered) // 2] if ordered else None, "time_of": "device",
        "samples_us": list(times) if times is not None else None, "calls": len(times or []), "status": "ok",
        "chosen": True, "source": "made", "evidence": "measured", **more,
    }  # fmt: skip


def conv(**more: Any) -> dict[str, Any]:
    return {**CONV, **more}


def run(name: str, *rows: dict[str, Any], **manifest: Any) -> Trace:
    """A run in a directory of that name with these rows in its ledger."""
    builder = Builder(**manifest)
    builder.rows["algorithms"] = list(rows)
    made = builder.trace()
    return Trace(made.manifest, made.tables, Path("/runs") / name)


def times(scale: float = 1.0) -> list[float]:
    return [500.0 * scale, *(t * scale for t in STEADY)]
