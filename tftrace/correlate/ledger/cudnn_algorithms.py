"""Rows of the table algorithms from the calls into cuDNN: what was tried for a problem, and what was used.

    execution                        tuning    row
    conv, eng1, 180 us, SUCCESS      yes
    conv, eng2,  90 us, SUCCESS      yes  ->   eng1: 180 us, 1 trial,  0 calls
    conv, eng3, EXECUTION_FAILED     yes       eng2:  90 us, 1 trial,  2 calls, chosen
    conv, eng2,  90 us, SUCCESS      no        eng3: failed
    conv, eng2,  91 us, SUCCESS      no

The time is that of the device's work which the call launched, where the profile shows it for every trial (and of what
was not tried, for some run); otherwise that of the call on the host, which only launches: `time_of` says which. Trials
after an execution of the same problem are a retune.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tftrace.correlate.ledger.algorithm_rows import BY_CUDNN, DEVICE, HOST, add_candidate
from tftrace.correlate.ledger.repetitions import timing
from tftrace.correlate.tables.columns import Int, TraceBuilder, compact
from tftrace.ingest.cudnn.calls import CudnnCalls, Ranking, Work
from tftrace.ingest.cudnn.enums import status_name

LIBRARY = "cuDNN"
SOURCE = "cudnn_probe"
_AT_ONCE: Final = 1 << 16


@dataclass(frozen=True)
class Executions:
    """Parallel arrays, in the order of their times. `tuning`: 1 where an autotuner made the call, 0 where not, NONE
    where no stack tells; `device_ns`: NONE where no work of a device is known of it; `device`: names of the devices
    that they ran on, None where that is not known."""

    work: Int
    status: Int
    tuning: Int
    start_ns: Int
    host_ns: Int
    device_ns: Int
    tid: Int
    device: list[str | None]

    def tuned_on(self, tid: int, before_ns: int) -> str | None:
        """The device of the last trial that began on this thread before this time."""
        rows = np.flatnonzero((self.tuning > 0) & (self.tid == tid) & (self.start_ns < before_ns))
        return self.device[int(rows[-1])] if len(rows) else None


class _Times:
    """What executions took, in ns: `host`, and `device`, NONE where no work of a device is known."""

    def __init__(self) -> None:
        self._host, self._device = array("q"), array("q")

    def __len__(self) -> int:
        return len(self._host)

    def add(self, host: int, device: int) -> None:
        self._host.append(host)
        self._device.append(device)

    @property
    def host(self) -> Int:
        return np.frombuffer(self._host, np.int64) if self._host else np.empty(0, np.int64)

    @property
    def device(self) -> Int:
        return np.frombuffer(self._device, np.int64) if self._device else np.empty(0, np.int64)


@dataclass
class _Candidate:
    work: Work
    first_ns: int
    trials: _Times = field(default_factory=_Times)
    runs: _Times = field(default_factory=_Times)  # executions outside tuning
    tunings: set[int] = field(default_factory=set)  # numbers of the tunings that it took part in
    unknown: int = 0  # executions of which no stack tells
    failures: dict[str, int] = field(default_factory=dict)
    refused: bool = False

    @property
    def on_device(self) -> bool:
        """Whether its time on the device is known: of every trial; of what was not tried, of any run."""
        if self.trials:
            return bool((self.trials.device >= 0).all())
        return not self.runs or bool((self.runs.device >= 0).any())


@dataclass
class _Problem:
    """Trials that follow a run of the same problem belong to its next tuning."""

    candidates: dict[str | None, _Candidate] = field(default_factory=dict)
    tuning: int = 0
    ran: bool = False

    def candidate(self, work: Work, start_ns: int) -> _Candidate:
        known = self.candidates.get(work.algorithm)
        if known is None:
            known = self.candidates[work.algorithm] = _Candidate(work, start_ns)
        return known


def add_algorithms(build: TraceBuilder, found: CudnnCalls, done: Executions) -> None:
    problems: dict[tuple[str, str | None], _Problem] = {}
    of_work: dict[tuple[int, str | None], _Problem] = {}
    for number, status, tuned, start, host, device, name in _rows(done):
        work = found.works[number]
        if work.problem is None:
            continue
        if (number, name) not in of_work:
            of_work[number, name] = problems.setdefault((compact(work.problem), name), _Problem())
        problem = of_work[number, name]
        one = problem.candidate(work, start)
        if tuned > 0:
            problem.tuning += problem.ran
            problem.ran = False
            one.tunings.add(problem.tuning)
        else:
            problem.ran = True
        if status != 0:
            said = status_name(status)
            one.failures[said] = one.failures.get(said, 0) + 1
        elif tuned > 0:
            one.trials.add(host, device)
        else:
            one.runs.add(host, device)
            one.unknown += tuned < 0
    for _, work in found.refused:
        if work.problem is None:
            continue
        text = compact(work.problem)
        for key in [k for k in problems if k[0] == text] or [(text, None)]:
            problem = problems.setdefault(key, _Problem())
            if work.algorithm not in problem.candidates:
                problem.candidates[work.algorithm] = _Candidate(work, 0)
            problem.candidates[work.algorithm].refused = True
    for (_, name), problem in problems.items():
        on_device = all(one.on_device for one in problem.candidates.values())
        tuned = any(one.trials or one.tunings for one in problem.candidates.values())
        for one in problem.candidates.values():
            assert one.work.problem is not None
            columns_ = _row(one, on_device, tuned) | {
                "device": name,
                "version": found.version,
                "source": SOURCE,
            }
            add_candidate(build, LIBRARY, one.work.problem, **columns_)
    for ranking in found.rankings:
        _ranked(build, ranking, found.version)


def _rows(done: Executions) -> Iterator[tuple[int, int, int, int, int, int, str | None]]:
    """(work, status, tuning, start, host, device ns, name of the device) of each."""
    columns = (done.work, done.status, done.tuning, done.start_ns, done.host_ns, done.device_ns)
    for at in range(0, len(done.work), _AT_ONCE):
        rows = slice(at, at + _AT_ONCE)
        yield from zip(*(c[rows].tolist() for c in columns), done.device[rows], strict=True)


def _row(one: _Candidate, on_device: bool, tuned: bool) -> dict[str, Any]:
    work = one.work
    ran = one.trials or one.runs
    times = (ran.device[ran.device >= 0] if on_device else ran.host) / 1000
    seen = len(one.runs) and (one.runs.device >= 0).all()
    tried = one.trials.device if on_device else one.trials.host
    failed = ", ".join(f"{name} ({n})" if n > 1 else name for name, n in one.failures.items())
    without_time = "failed" if failed else "unsupported" if one.refused else "not_tried"
    return {
        "algorithm": work.algorithm, "engine": None if work.engine is None else str(work.engine),
        "knobs": None if work.knobs is None else compact(work.knobs), "workspace_bytes": work.workspace_bytes,
        **timing(times), "time_of": (DEVICE if on_device else HOST) if len(times) else None,
        "trials": len(one.trials) or None, "calls": len(one.runs),
        "total_us": int(one.runs.device.sum()) / 1000 if seen else None,
        "tuning_us": int(tried.sum()) / 1000 if one.trials else None,
        "tunings": len(one.tunings), "retunes": max(len(one.tunings) - 1, 0), "first_ns": one.first_ns or None,
        "status": "ok" if len(times) else without_time, "chosen": bool(one.runs),
        "picked_by": ("autotuner" if tuned else "heuristics") if one.runs and not one.unknown else None,
        "reason": failed or ("cuDNN would not make the plan" if one.refused and not len(times) else None),
        "evidence": "inferred" if one.unknown else "measured",
    }  # fmt: skip


def _ranked(build: TraceBuilder, ranking: Ranking, version: str | None) -> None:
    """What cudnnFind*Algorithm measured, or cudnnGet*Algorithm expects, in cuDNN's own order."""
    problem = ranking.problem or {"op": "convolution", "direction": "other"}
    for one in ranking.candidates:
        works = "ok" if ranking.measured else "not_tried"
        add_candidate(
            build, LIBRARY, problem, algorithm=one.algorithm, implementation=one.math, version=version,
            workspace_bytes=one.workspace_bytes, **timing([] if one.time_ms is None else [one.time_ms * 1000]),
            time_of=BY_CUDNN if ranking.measured and one.time_ms is not None else None,
            status=works if one.status == 0 else "unsupported", source=SOURCE,
            evidence="measured" if ranking.measured else "predicted",
        )  # fmt: skip
