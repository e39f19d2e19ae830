"""Rows of the table algorithms, whatever source they come from, put together to one ledger.

Sources add what each of them tells with `add_candidate`. When all are read, `settle` finds which of them tell of the
same problem and of the same candidate:

    source       op           dtype    algorithm  time  of                 workspace
    cudnn_probe  convolution  float32  ALGO_FFT   4576  call on the host   null
    tf_log       Conv2D       null     FFT        200   autotuner          8192
                                                                                          ->
    cudnn_probe + tf_log  Conv2D  float32  FFT    200   autotuner          8192

Problems are the same where they agree in all that both sources tell (`tftrace.model.problem`), and a source that tells
less joins the one problem that it fits; where it fits several, it stays apart (`ledger.algorithm_problems`).
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from tftrace.correlate.ledger.algorithm_problems import matched_by_order, problems
from tftrace.correlate.ledger.repetitions import timing
from tftrace.correlate.tables.columns import TraceBuilder, compact
from tftrace.ingest.cudnn.enums import KNOB_TYPE
from tftrace.model.problem import algorithm_name, canonical

HOST: Final = "call on the host"
DEVICE: Final = "device"
AUTOTUNER: Final = "TensorFlow's autotuner"
BY_CUDNN: Final = "measured by cuDNN"

_BEST: Final = (None, HOST, BY_CUDNN, AUTOTUNER, DEVICE)
"""What a time is the time of, the best last: of two sources, the better one's time is kept."""
_TIMING: Final = ("time_us", "low_us", "high_us", "samples_us", "time_of")
_FILLED: Final = (
    "device", "version", "engine", "knobs", "implementation", "calls", "workspace_bytes", "total_us", "tuning_us",
    "tunings", "retunes", "picked_by", "reason", "confidence", "alternative", "trials",
)  # fmt: skip
_SUMMED: Final = ("total_us", "tuning_us", "tunings", "retunes")
_STATUS: Final = ("not_tried", "unsupported", "ok", "filtered", "failed")
"""The more telling one of two last."""
MIXES_TRIALS: Final = "cudnn_log"
"""The source whose `calls` hold an autotuner's trials too: nothing in that log tells them apart."""
_EVIDENCE: Final = ("predicted", "inferred", "joined", "measured")


def add_candidate(
    build: TraceBuilder, library: str, problem: dict[str, Any], **columns: Any
) -> dict[str, Any]:
    """Adds what one source tells of one candidate of `problem`; a column not given is null."""
    row = {"library": library, "chosen": False, **columns, "problem": problem}
    build.algorithms.append(row)
    return row


def settle(build: TraceBuilder) -> None:
    """Makes the rows that were added a ledger: one row for each candidate of each problem, problems numbered in the
    order in which they were first told of. Doing it again changes nothing."""
    rows = [_cleaned(row) for row in build.algorithms]
    groups = matched_by_order(problems(rows), rows)
    settled: list[dict[str, Any]] = []
    for number, group in enumerate(sorted(groups, key=lambda g: min(g.rows))):
        merged: list[dict[str, Any]] = []
        for i in sorted(group.rows):
            same = next((m for m in merged if _same_candidate(m, rows[i])), None)
            if same is None:
                merged.append(rows[i])
            else:
                _merge(same, rows[i])
        problem = group.problem
        for row in merged:
            row |= {
                "problem_id": number, "problem": compact(problem), "op": problem["op"],
                "direction": problem["direction"], "device": group.device,
                "device_model": group.model,
            }  # fmt: skip
        settled += merged
    build.algorithms[:] = settled


def _same_candidate(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """oneDNN solves one algorithm by several implementations; cuDNN's are told apart by their names, and those of the
    older API by their math type too."""
    if one.get("algorithm") != other.get("algorithm"):
        return False
    parts = (one.get("implementation"), other.get("implementation"))
    return None in parts or parts[0] == parts[1]


def _merge(row: dict[str, Any], other: dict[str, Any]) -> None:
    """Takes into `row` what another source, or the same one at another time, tells of the same candidate."""
    calls = _calls(row, other)
    again = set(_parts(row["source"])) & set(_parts(other["source"]))
    for name in _SUMMED:
        a, b = row.get(name), other.get(name)
        if a is not None and b is not None:
            row[name] = a + b if again else max(a, b)
    row["first_ns"] = min(
        (t for t in (row.get("first_ns"), other.get("first_ns")) if t is not None), default=None
    )
    row["calls"] = calls
    for name in _FILLED:
        if row.get(name) is None:
            row[name] = other.get(name)
    if row.get("time_us") is not None and row.get("time_of") == other.get("time_of") and again:
        samples = [*(row.get("samples_us") or [row["time_us"]]), *(other.get("samples_us") or [])]
        row |= timing(samples)
        row["trials"] = (row.get("trials") or 0) + (other.get("trials") or 0) or None
    elif _rank(other) > _rank(row):
        row |= {name: other.get(name) for name in _TIMING}
    if not (row["chosen"] or other["chosen"]) or row.get("time_us") is None:
        row["status"] = max(row["status"], other["status"], key=_STATUS.index)
    else:
        row["status"] = "ok"
    told = row["chosen"]
    row["chosen"] = told or other["chosen"]
    if other["chosen"] == told:
        row["evidence"] = max(row["evidence"], other["evidence"], key=_EVIDENCE.index)
    elif other["chosen"]:  # what is said of a winner is as sure as that it won
        row["evidence"] = other["evidence"]
    row["source"] = " + ".join(dict.fromkeys([*_parts(row["source"]), *_parts(other["source"])]))


def _calls(row: dict[str, Any], other: dict[str, Any]) -> int | None:
    """Executions outside tuning of both together. cuDNN's log alone counts an autotuner's trials among them."""
    counts: tuple[int | None, int | None] = (row.get("calls"), other.get("calls"))
    a, b = counts
    logged = [MIXES_TRIALS in _parts(r["source"]) for r in (row, other)]
    if logged[0] != logged[1]:
        mixed, exact = (a, b) if logged[0] else (b, a)
        trials = (other if logged[0] else row).get("trials")
        return exact if exact is not None or mixed is None else max(mixed - int(trials or 0), 0)
    if a is None or b is None:
        return b if a is None else a
    return a + b if set(_parts(row["source"])) & set(_parts(other["source"])) else max(a, b)


def _rank(row: dict[str, Any]) -> int:
    if row.get("time_us") is None:
        return -1
    return _BEST.index(row.get("time_of")) if row.get("time_of") in _BEST else 0


def _parts(source: object) -> list[str]:
    return str(source).split(" + ")


def _cleaned(row: dict[str, Any]) -> dict[str, Any]:
    """One row with the names of the ledger, and without times that are none."""
    problem = row["problem"]
    problem = canonical(json.loads(problem) if isinstance(problem, str) else problem)
    time = row.get("time_us")
    bad = time is not None and not (math.isfinite(time) and time >= 0)
    cleaned = row | {
        "problem": problem, "device": row.get("device"), "algorithm": algorithm_name(row.get("algorithm")),
        "knobs": knobs_by_name(row.get("knobs")), "status": row.get("status") or "not_tried",
        "chosen": bool(row.get("chosen")), "source": row.get("source") or "(not known)",
        "evidence": row.get("evidence") or "inferred",
    }  # fmt: skip
    if bad:
        cleaned |= {"time_us": None, "low_us": None, "high_us": None, "samples_us": None}
        cleaned["reason"] = cleaned.get("reason") or f"its time, {time}, is none"
    return cleaned


def knobs_by_name(knobs: object) -> str | None:
    """Knobs as a JSON object by cuDNN's names: {"k2": 4} is {"TILE_SIZE": 4}; a number without a name stays `k99`."""
    found = json.loads(knobs) if isinstance(knobs, str) else knobs
    if not isinstance(found, dict):
        return None
    return compact({_knob(str(name)): value for name, value in found.items()})


def _knob(name: str) -> str:
    number = name[1:] if name.startswith("k") else ""
    return KNOB_TYPE.get(int(number), name) if number.isdigit() else name
