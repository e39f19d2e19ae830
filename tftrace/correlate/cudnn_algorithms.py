"""Rows of the table algorithms from the calls into cuDNN: what was tried for a problem, and what was used.

    execution                        tuning    row
    conv, eng1, 180 us, SUCCESS      yes
    conv, eng2,  90 us, SUCCESS      yes  ->   eng1: 180 us, 1 trial,  0 calls
    conv, eng3, EXECUTION_FAILED     yes       eng2:  90 us, 1 trial,  2 calls, chosen
    conv, eng2,  90 us, SUCCESS      no        eng3: failed
    conv, eng2,  91 us, SUCCESS      no

The time is that of the device's work which the call launched, where the profile shows it for every execution that is
compared; otherwise that of the call on the host, which only launches: `time_of` says which.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tftrace.correlate.columns import Int, TraceBuilder, compact
from tftrace.ingest.agent_raw import RawProcess
from tftrace.ingest.cudnn_calls import CudnnCalls, Ranking, Work

SOURCE = "cudnn_probe"
DEVICE = "device"
HOST = "call on the host"
BY_CUDNN = "measured by cuDNN"


@dataclass(frozen=True)
class Executions:
    """Parallel arrays. `tuning`: 1 where an autotuner made the call, 0 where not, NONE where no stack tells;
    `device_ns`: NONE where no work of a device is known of it."""

    work: Int
    status: Int
    tuning: Int
    host_ns: Int
    device_ns: Int


@dataclass
class _Candidate:
    work: Work
    trials: list[tuple[int, int]] = field(default_factory=list)  # (host, device) ns
    runs: list[tuple[int, int]] = field(default_factory=list)  # executions outside tuning
    unknown: int = 0  # executions of which no stack tells
    failures: int = 0
    refused: bool = False


def add_algorithms(build: TraceBuilder, raw: RawProcess, found: CudnnCalls, done: Executions) -> None:
    candidates: dict[tuple[str, str | None], _Candidate] = {}
    columns = (done.work, done.status, done.tuning, done.host_ns, done.device_ns)
    for number, status, tuned, host, device in zip(*(c.tolist() for c in columns), strict=True):
        one = _candidate(candidates, found.works[number])
        if one is None:
            continue
        if status != 0:
            one.failures += 1
        elif tuned > 0:
            one.trials.append((host, device))
        else:
            one.runs.append((host, device))
            one.unknown += tuned < 0
    for _, work in found.refused:
        one = _candidate(candidates, work)
        if one is not None:
            one.refused = True
    seen = {problem: True for problem, _ in candidates}
    for (problem, _), one in candidates.items():
        seen[problem] &= all(device >= 0 for _, device in one.trials or one.runs)
    gpu = _device(raw)
    numbers = {r["problem"]: r["problem_id"] for r in build.algorithms if r["library"] == "cuDNN"}
    common = {"device": gpu, "library": "cuDNN", "version": found.version, "source": SOURCE}
    for (problem, _), one in candidates.items():
        number = numbers.setdefault(problem, len(numbers))
        build.algorithms.append(
            common | {"problem_id": number, "problem": problem} | _row(one, seen[problem])
        )
    for ranking in found.rankings:
        build.algorithms += [common | row for row in _ranked(ranking, numbers)]


def _candidate(candidates: dict[tuple[str, str | None], _Candidate], work: Work) -> _Candidate | None:
    if work.problem is None:
        return None
    return candidates.setdefault((compact(work.problem), work.algorithm), _Candidate(work))


def _row(one: _Candidate, on_device: bool) -> dict[str, Any]:
    work = one.work
    assert work.problem is not None
    times = [pair[on_device] for pair in one.trials or one.runs]
    without_time = "failed" if one.failures else "unsupported" if one.refused else "not_tried"
    return {
        "op": work.problem["op"], "direction": work.problem["direction"], "algorithm": work.algorithm,
        "engine": None if work.engine is None else str(work.engine), "implementation": None,
        "knobs": None if work.knobs is None else compact(work.knobs),
        "workspace_bytes": work.workspace_bytes, "time_us": float(np.median(times)) / 1000 if times else None,
        "time_of": (DEVICE if on_device else HOST) if times else None,
        "trials": len(one.trials) or None, "calls": len(one.runs),
        "status": "ok" if times else without_time, "chosen": bool(one.runs),
        "evidence": "inferred" if one.unknown else "measured",
    }  # fmt: skip


def _ranked(ranking: Ranking, numbers: dict[str, int]) -> list[dict[str, Any]]:
    """What cudnnFind*Algorithm measured, or cudnnGet*Algorithm expects, in cuDNN's own order."""
    problem = ranking.problem or {"op": "convolution", "direction": "other"}
    text = compact(problem)
    number = numbers.setdefault(text, len(numbers))
    return [
        {
            "problem_id": number, "problem": text, "op": problem["op"], "direction": problem["direction"],
            "algorithm": c.algorithm, "engine": None, "knobs": None, "implementation": c.math,
            "workspace_bytes": c.workspace_bytes, "time_us": None if c.time_ms is None else c.time_ms * 1000,
            "time_of": BY_CUDNN if ranking.measured and c.time_ms is not None else None, "trials": None, "calls": None,
            "status": "ok" if c.status == 0 and ranking.measured else "not_tried" if c.status == 0 else "unsupported",
            "chosen": False, "evidence": "measured" if ranking.measured else "predicted",
        }
        for c in ranking.candidates
    ]  # fmt: skip


def _device(raw: RawProcess) -> str | None:
    """The one GPU of the process; None where there are several, because a call does not say which it is on."""
    names = [str(d["name"]) for d in raw.status.get("devices", []) if "GPU" in str(d.get("name"))]
    return names[0] if len(names) == 1 else None
