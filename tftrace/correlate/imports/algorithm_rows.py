"""Rows of the algorithms table from imported records: numbered by problem, and put together where two files tell of
the same candidate."""

from __future__ import annotations

from typing import Any, Final

from tftrace.correlate.columns import TraceBuilder, compact

_FILLED: Final = (
    "device",
    "version",
    "engine",
    "knobs",
    "implementation",
    "time_us",
    "calls",
    "workspace_bytes",
)


def add_candidate(
    build: TraceBuilder, library: str, problem: dict[str, Any], **columns: Any
) -> dict[str, Any]:
    """Adds one candidate of `problem`; a column not given is null."""
    text = compact(problem)
    known = (r["problem_id"] for r in build.algorithms if r["problem"] == text and r["library"] == library)
    number = next(known, None)
    if number is None:
        number = 1 + max((int(r["problem_id"]) for r in build.algorithms), default=-1)
    row = {
        "problem_id": number, "problem": text, "op": problem["op"], "direction": problem["direction"],
        "library": library, "chosen": False, **columns,
    }  # fmt: skip
    build.algorithms.append(row)
    return row


def merge_candidates(build: TraceBuilder) -> None:
    """One row for a candidate that two files tell of: cuDNN's log knows which was run, cudnn-frontend's the workspace.

        source              device  algorithm  workspace  status        source                           workspace
        cudnn_log           A100    eng28      null       ok       ->   cudnn_log + cudnn_frontend_log   0
        cudnn_frontend_log  null    eng28      0          ok

    They are the same where problem, library and algorithm are, and the device too unless one file does not tell it.
    """
    rows: list[dict[str, Any]] = []
    known: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in build.algorithms:
        key = (row["problem"], row["library"], row.get("algorithm"))
        same = next((r for r in known.get(key, ()) if _mergeable(r, row)), None)
        if same is None:
            known.setdefault(key, []).append(row)
            rows.append(row)
            continue
        for name in _FILLED:
            if same.get(name) is None:
                same[name] = row.get(name)
        same["source"] = f"{same['source']} + {row['source']}"
    build.algorithms[:] = rows


def _mergeable(one: dict[str, Any], other: dict[str, Any]) -> bool:
    devices = {one.get("device"), other.get("device")} - {None}
    return one["source"] != other["source"] and row_source(other) not in row_source(one) and len(devices) < 2


def row_source(row: dict[str, Any]) -> str:
    return str(row["source"])
