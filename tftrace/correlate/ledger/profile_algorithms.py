"""Rows of the table algorithms from profiles: what convolutions launched, whose algorithm its kernels' names tell.

An execution in which TensorFlow's autotuner ran holds the trials first: each is followed by a check of the memory
around its results (`redzone_checker`, `RedzoneAllocatorKernel`), and what comes after the last check is the winner's
run.

    launched by one op                          row
    transpose (TensorFlow's own)
    implicit_convolve_sgemm, check, check  ->   IMPLICIT_GEMM, 1 trial, tuning
    im2col4d, explicit_convolve_sgemm, check    GEMM, 1 trial, tuning
    implicit_convolve_sgemm                     IMPLICIT_GEMM, 1 call, chosen

A profile has no shapes. A problem is then told by its kind of op, its direction and its place among those of the same
kind, in the order in which they first ran (`order`); `nodes` names the op. All of it is inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from tftrace.correlate.ledger.algorithm_rows import DEVICE, add_candidate
from tftrace.correlate.ledger.execution_times import Runs, Times
from tftrace.correlate.ledger.kernel_algorithms import FOREIGN, Verdict, classify
from tftrace.correlate.ledger.repetitions import timing, total
from tftrace.correlate.nesting import union_length
from tftrace.correlate.profiles.device_work import DeviceWork
from tftrace.correlate.profiles.kernel_sequences import CHECK, Executions, executions
from tftrace.correlate.tables.columns import Int, TraceBuilder, numbered
from tftrace.model.problem import OPS

SOURCE: Final = "kernel_names"
CUDNN: Final = "cuDNN"
CUBLAS: Final = "cuBLAS"

_OP: Final = re.compile(
    r"(?:_Fused)?(?P<op>Conv(?P<rank>[123])D|DepthwiseConv2dNative)(?P<way>Backprop(?:Input|Filter))?(?:V2|WithBias)?"
)
_HLO: Final = re.compile(r"cudnn-conv(?P<way>-bias-activation|-bw-input|-bw-filter)?(?:\.[0-9]+)?")
_WAYS: Final = {
    None: "forward", "BackpropInput": "backprop_input", "BackpropFilter": "backprop_filter",
    "-bias-activation": "forward", "-bw-input": "backprop_input", "-bw-filter": "backprop_filter",
}  # fmt: skip
_COPY: Final = re.compile(r"^mem(?:cpy|set)", re.IGNORECASE)
_GEMM: Final = re.compile(r"gemm|gemv|cublas|nvjet", re.IGNORECASE)


@dataclass(frozen=True)
class OpWork:
    """Work of devices by the op that launched it: parallel arrays. `label` are codes of `name:Type` of the op (or
    of the HLO instruction), NONE where it is not known; `run` numbers its executions; `launched` is the time of the
    launch."""

    work: DeviceWork
    label: Int
    run: Int
    launched: Int


@dataclass
class _Run:
    """One run of an algorithm: rows of its kernels, and of what TensorFlow did to check it."""

    rows: list[int]
    checks: list[int] = field(default_factory=list)


@dataclass
class _Candidate:
    verdict: Verdict
    kernel: str
    first_ns: int
    runs: Runs
    trials: list[float] = field(default_factory=list)
    tuning_us: float = 0.0
    tunings: set[int] = field(default_factory=set)


@dataclass
class _Problem:
    label: str
    op: str
    direction: str
    device: str
    start: int
    times: Times
    candidates: dict[tuple[str | None, str], _Candidate] = field(default_factory=dict)
    tunings: int = 0


def add_profile_algorithms(build: TraceBuilder, parts: Iterable[OpWork], models: dict[str, str]) -> None:
    """Adds a row for each algorithm that each op tried or ran; `models` says what each device is, by its name."""
    found = ProfileAlgorithms()
    for number, part in enumerate(parts):
        found.read(build, part, number)
    found.add(build, models)


class ProfileAlgorithms:
    """What the ops of profiles tried and ran, read part by part in the order of time."""

    def __init__(self) -> None:
        self._times = Times()
        self._problems: dict[tuple[int, int], _Problem] = {}

    def read(self, build: TraceBuilder, part: OpWork, profile: int) -> None:
        """Takes in a profile or a slice of one, `profile` being its number: nothing is kept of it but times."""
        _read(build, part, self._problems, profile, self._times)

    def add(self, build: TraceBuilder, models: dict[str, str]) -> None:
        """Adds the rows."""
        places: dict[tuple[str, str, str], int] = {}
        for problem in sorted(self._problems.values(), key=lambda p: p.start):
            kind = (problem.op, problem.direction, problem.device)
            order = places[kind] = places.get(kind, -1) + 1
            told = {
                "op": problem.op,
                "direction": problem.direction,
                "order": order,
                "nodes": [problem.label],
            }
            for one in sorted(problem.candidates.values(), key=lambda c: c.first_ns):
                # TensorFlow solves what is a product of matrices by cuBLAS, without asking cuDNN
                cublas = one.verdict.algorithm is None and _GEMM.search(one.kernel) is not None
                add_candidate(
                    build, CUBLAS if cublas else CUDNN, told,
                    reason=None if cublas or one.verdict.algorithm else "no rule knows its kernels",
                    device=problem.device, device_model=models.get(problem.device), **_columns(one),
                    tunings=len(one.tunings) if problem.tunings else None,
                    retunes=problem.tunings - 1 if problem.tunings else None,
                    picked_by="autotuner" if one.runs.count and problem.tunings else None,
                )  # fmt: skip


def _columns(one: _Candidate) -> dict[str, Any]:
    runs = one.runs.in_order()
    times = one.trials or runs
    return {
        "algorithm": one.verdict.algorithm, "implementation": one.kernel, **timing(times), "time_of": DEVICE,
        "trials": len(one.trials) or None, "calls": len(runs), "total_us": total(runs) if len(runs) else None,
        "tuning_us": one.tuning_us if one.trials else None, "first_ns": one.first_ns, "status": "ok",
        "chosen": bool(len(runs)), "source": SOURCE, "evidence": "inferred",
        "confidence": one.verdict.confidence, "alternative": one.verdict.other,
    }  # fmt: skip


def _read(
    build: TraceBuilder, part: OpWork, problems: dict[tuple[int, int], _Problem], profile: int, times: Times
) -> None:
    words = build.words.values
    kinds = {
        int(c): kind for c in np.unique(part.label) if c >= 0 and (kind := _kind(words[int(c)])) is not None
    }
    rows = np.flatnonzero(np.isin(part.label, list(kinds)) & (part.run >= 0))
    if not len(rows):
        return
    rows = rows[np.lexsort((part.launched[rows], part.run[rows]))]
    found = executions(part.work, rows, part.run[rows], words)
    first = rows[found.begin]
    label, device, launched = part.label[first], part.work.device[first], part.launched[first]
    start = np.minimum.reduceat(part.work.start[rows], found.begin)
    # executions are numbered by thread: here the order is that of time
    order = np.argsort(part.launched[first], kind="stable")
    same = numbered(label, device)[order]
    together = np.split(order[np.argsort(same, kind="stable")], np.cumsum(np.bincount(same))[:-1])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    tried = np.array([names is None for names in found.names], bool)[found.kind]
    for mine in sorted(together, key=lambda at: int(place[at[0]])):
        key = (int(label[mine[0]]), int(device[mine[0]]))
        op, direction = kinds[key[0]]
        fresh = _Problem(words[key[0]], op, direction, words[key[1]], int(start[mine[0]]), times)
        problem = problems.setdefault(key, fresh)
        problem.start = min(problem.start, int(start[mine].min()))
        behind = 0
        for at in np.flatnonzero(tried[mine]).tolist():
            _ran(problem, found, mine[behind:at], launched, profile)
            some = rows[found.begin[mine[at]] : found.end[mine[at]]]
            _tuned(
                problem,
                part,
                words,
                *_split(some.tolist(), [words[c] for c in part.work.name[some].tolist()]),
                profile,
            )
            behind = at + 1
        _ran(problem, found, mine[behind:], launched, profile)


def _ran(problem: _Problem, found: Executions, mine: Int, launched: Int, profile: int) -> None:
    """Adds executions between two tunings."""
    some = np.array([bool(names) for names in found.names], bool)
    mine = mine[some[found.kind[mine]]]
    if not len(mine):
        return
    key = numbered(found.kind[mine], found.longest[mine])
    _, firsts = np.unique(key, return_index=True)
    candidates: dict[int, _Candidate] = {}
    of_key = np.zeros(len(firsts), np.int64)
    for at in sorted(firsts.tolist()):
        names = found.names[found.kind[mine[at]]] or ()
        verdict = classify(names, problem.direction)
        kernel = short_name(verdict.kernel or names[found.longest[mine[at]]])
        one = _winner(problem, verdict, kernel, int(found.start[mine[at]]))
        of_key[key[at]] = id(one)
        candidates[id(one)] = one
    whose = of_key[key]
    for number, one in candidates.items():
        which = mine[whose == number]
        one.runs.add(profile, launched[which], found.time_us[which])


def _winner(problem: _Problem, verdict: Verdict, kernel: str, start: int) -> _Candidate:
    """What ran; of two algorithms with the same kernels, the autotuner took the faster one."""
    same = [
        c for c in problem.candidates.values()
        if c.trials and c.kernel == kernel and c.verdict.algorithm in (verdict.algorithm, verdict.other)
    ]  # fmt: skip
    if same:
        verdict = min(same, key=lambda c: float(np.median(c.trials))).verdict
    return problem.candidates.setdefault(
        (verdict.algorithm, kernel), _Candidate(verdict, kernel, start, Runs(problem.times))
    )


def _tuned(
    problem: _Problem, part: OpWork, words: list[str], trials: list[_Run], last: _Run | None, profile: int
) -> None:
    problem.tunings += bool(trials)
    for trial, (verdict, kernel) in zip(
        trials, _in_order(_verdicts(problem, part, words, trials)), strict=True
    ):
        one = _candidate(problem, part, verdict, kernel, trial)
        one.trials.append(_time_us(part, trial.rows))
        one.tuning_us += _time_us(part, trial.rows + trial.checks)
        one.tunings.add(problem.tunings)
    if last is None:
        return
    ((verdict, kernel),) = _verdicts(problem, part, words, [last])
    start = int(part.work.start[last.rows].min())
    one = _winner(problem, verdict, kernel, start)
    one.runs.add(profile, part.launched[last.rows[:1]], np.array([_time_us(part, last.rows)]))


def _candidate(problem: _Problem, part: OpWork, verdict: Verdict, kernel: str, run: _Run) -> _Candidate:
    start = int(part.work.start[run.rows].min())
    return problem.candidates.setdefault(
        (verdict.algorithm, kernel), _Candidate(verdict, kernel, start, Runs(problem.times))
    )


def _verdicts(
    problem: _Problem, part: OpWork, words: list[str], runs: list[_Run]
) -> Iterator[tuple[Verdict, str]]:
    """What each run used, with the kernel that tells it; where none does, the one that took longest."""
    for run in runs:
        names = [words[int(c)] for c in part.work.name[run.rows]]
        verdict = classify(names, problem.direction)
        spent = dict.fromkeys(names, 0)
        for row, name in zip(run.rows, names, strict=True):
            spent[name] += int(part.work.end[row] - part.work.start[row])
        yield verdict, short_name(verdict.kernel or max(spent, key=lambda name: spent[name]))


def _in_order(found: Iterable[tuple[Verdict, str]]) -> list[tuple[Verdict, str]]:
    """Names two trials of the same kernels apart: TensorFlow tries ALGO_1 first and ALGO_3 last."""
    named: list[tuple[Verdict, str]] = []
    for verdict, kernel in found:
        if verdict.other == "ALGO_3" and any(v.algorithm == "ALGO_1" and k == kernel for v, k in named):
            verdict = replace(verdict, algorithm="ALGO_3", other=None)
        named.append((verdict, kernel))
    return named


def _split(rows: list[int], names: list[str]) -> tuple[list[_Run], _Run | None]:
    """Trials, and the run after them; None where there is none. Work that is not the library's is left out."""
    trials: list[_Run] = []
    waiting: list[int] = []
    checking = False
    for row, name in zip(rows, names, strict=True):
        if CHECK.search(name):
            if waiting:
                trials.append(_Run(waiting))
                waiting = []
            if trials:
                trials[-1].checks.append(row)
            checking = True
        elif checking and _COPY.match(name):
            if trials:
                trials[-1].checks.append(row)
        elif not FOREIGN.search(name):
            waiting.append(row)
    return trials, _Run(waiting) if waiting else None


def _time_us(part: OpWork, rows: list[int]) -> float:
    """Time covered on the device, in us: kernels on two streams at once count once."""
    at = np.array(rows, np.int64)
    one = np.zeros(len(at), np.int64)
    return float(union_length(one, part.work.start[at], part.work.end[at], 1)[0]) / 1000


def _kind(label: str) -> tuple[str, str] | None:
    """(op, direction) of a convolution, by `name:Type` of TensorFlow or the name of an HLO instruction."""
    name, _, kind = label.rpartition(":")
    if (found := _OP.fullmatch(kind)) and name:
        direction = _WAYS[found["way"]]
        if found["rank"] is None:
            return found["op"] + (found["way"] or ""), direction
        return OPS[direction].format(found["rank"]), direction
    if found := _HLO.fullmatch(label):
        return "convolution", _WAYS[found["way"]]
    return None


def short_name(kernel: str) -> str:
    """A kernel's name without return type, template arguments and arguments."""
    return re.split(r"[<(]", kernel.removeprefix("void "), maxsplit=1)[0].strip() or kernel[:80]


def model_of(device: dict[str, Any]) -> str | None:
    """What a profile tells of a GPU, which is not its name."""
    major, minor, cores = (device.get(k) for k in ("compute_cap_major", "compute_cap_minor", "core_count"))
    if major is None:
        return None
    return f"compute capability {major}.{minor or 0}" + (f", {cores} multiprocessors" if cores else "")
