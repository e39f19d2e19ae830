"""Carries a tuning out: records each candidate once, races them, and writes what came of it as it comes.

The candidates of one problem are timed in rounds, each of them once a round in a new random order, so that whatever
slows the machine down for a while hits all of them. Each process has the environment of its candidates from its start
on and is idle while another is timed.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from tftrace.analysis.racing import undecided
from tftrace.analysis.replayable import Wanted
from tftrace.capture.launch import interpreter
from tftrace.capture.pool import Arrays, Pool
from tftrace.capture.settings import Candidate, Machine, Setting, machine, memory_bytes
from tftrace.capture.worker import Ended, Worker, spread
from tftrace.correlate import replays
from tftrace.correlate.build import build
from tftrace.correlate.replays import Attempt, Replays
from tftrace.errors import CaptureError, UsageError
from tftrace.model.conv2d_spec import Conv2dSpec
from tftrace.model.trace import Trace
from tftrace.store.directory import new_directory
from tftrace.tuning.recorded import Recorder
from tftrace.tuning.request import TuneRequest, records, split

Progress = Callable[[str, float], None]

CHUNK: Final = 4
"""Problems that are recorded together, before they are timed."""
SLICE_S: Final = 0.04
LEAST_PATIENCE_S: Final = 5.0
IMAGES: Final = 4
"""Images of a batch that are compared with the reference."""
TOLD: Final = "the budget was spent"
LISTED: Final = "nothing was tried: the budget is 0"
ASKING_S: Final = 120.0
STOPPED: Final = "stopped with Ctrl-C"


@dataclass(frozen=True)
class Tuned:
    """What came of it: the trace's directory, and whether it was stopped with Ctrl-C."""

    directory: Path
    stopped: bool


def tune(request: TuneRequest, progress: Progress | None = None) -> Tuned:
    """Replays what was asked for and leaves a trace of it.

    Raises UsageError where nothing can be replayed: no such interpreter, no TensorFlow in it, a budget in which nothing
    could be timed; CaptureError where the trace cannot be written.
    """
    begun = time.monotonic()
    python = interpreter(request.python)
    here = machine()
    _check(request, here)
    directory = new_directory(request.output, "tune", request.force)
    raw = directory / "raw"
    started = time.time_ns()
    stopped = False
    try:
        raw.mkdir()
        with (
            open(raw / replays.RECORDS, "w", buffering=1) as log,
            tempfile.TemporaryDirectory(prefix="tftrace-tune-") as arrays,
            Pool(python, raw, here.memory_bytes) as pool,
        ):
            session = _Session(
                request, here, begun + request.budget_s, log, pool, raw, Path(arrays), progress
            )
            try:
                session.run(python)
            except KeyboardInterrupt:
                session.add({"what": "end", "reason": STOPPED})
                stopped = True
        run = {
            "argv": list(request.argv), "replayed": True, "started_ns": started, "ended_ns": time.time_ns(),
            "exit_status": None,
        }  # fmt: skip
        (directory / "run.json").write_text(json.dumps(run, indent=1))
    except OSError as error:
        raise CaptureError(f"{directory}: cannot be written: {error.strerror}; make room") from error
    build(directory)
    if not stopped and not any(a.rounds for p in session.replays.problems for a in p.attempts.values()):
        session.explain_nothing()
    return Tuned(directory, stopped)


def _check(request: TuneRequest, here: Machine) -> None:
    """Before a directory is made: whether there is anything to replay."""
    replayed, left_out = split(request, here)
    if not replayed:
        reasons = dict.fromkeys(row["reason"] for row in left_out)
        raise UsageError("nothing can be replayed: " + "; ".join(list(reasons)[:3]))


class _Session:
    def __init__(
        self, request: TuneRequest, here: Machine, deadline: float, log: IO[str], pool: Pool, raw: Path, arrays: Path,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        self.request, self.here, self.deadline, self.log, self.pool = request, here, deadline, log, pool
        self.raw, self.arrays, self._progress = raw, arrays, progress
        self.replays = Replays()
        self.problems: list[tuple[Wanted, list[Candidate]]] = []
        self.random = random.Random(0)  # the order of the candidates in a round

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()

    def tell(self, what: str) -> None:
        if self._progress is not None:
            self._progress(what, min(max(1 - self.left_s / max(self.request.budget_s, 1e-9), 0.0), 1.0))

    def add(self, record: dict[str, Any]) -> None:
        self.log.write(json.dumps(record) + "\n")
        self.replays.add(record)

    def note(self, what: str, problem: int, name: str, **more: Any) -> None:
        self.add({"what": what, "problem": problem, "name": name, **more})

    def attempt(self, problem: int, candidate: Candidate) -> Attempt:
        return self.replays.problems[problem].attempts[candidate.name]

    def fail(self, problem: int, candidate: Candidate, reason: str, status: str = "failed") -> None:
        self.note("status", problem, candidate.name, status=status, reason=reason)

    # -- the whole

    def run(self, python: str) -> None:
        self.tell("starting TensorFlow")
        recorder = Recorder(self.pool, self.here, self.raw)
        facts = recorder.start(python, self.left_s)
        self.here = recorder.here
        self.problems, left_out = split(self.request, self.here)
        self.add(_start(self.request, self.here, facts))
        for record in records(self.problems, left_out):
            self.add(record)
        numbers = list(range(len(self.problems)))
        for at in range(0, len(numbers), CHUNK):
            chunk = numbers[at : at + CHUNK]
            with contextlib.ExitStack() as stack:
                self.tell(f"recording what runs, problems {at + 1} to {at + len(chunk)} of {len(numbers)}")
                written = self._write_arrays(chunk, stack)
                self._record(recorder, written)
                for n in written:
                    self._race(n, len(numbers) - n)
        self.add({"what": "end", "reason": TOLD if self.left_s <= 0 else "every candidate was timed"})

    def explain_nothing(self) -> None:
        """Raises UsageError: why nothing was timed."""
        reasons = [a.reason for p in self.replays.problems for a in p.attempts.values() if a.reason]
        if reasons and self.left_s > 0:
            raise UsageError(f"nothing could be timed: {reasons[0]}")
        raise UsageError(
            f"nothing could be timed within {self.request.budget_s:.3g} s: give more with --budget SECONDS"
        )

    # -- parts of it

    def _write_arrays(self, chunk: Sequence[int], stack: contextlib.ExitStack) -> list[int]:
        """Inputs and reference of each problem, to files; returns the problems that could be written."""
        written = []
        started = [Arrays(self._problem(n), self._folder(n), IMAGES, self.here.memory_bytes) for n in chunk]
        for arrays, n in zip(started, chunk, strict=True):
            stack.callback(shutil.rmtree, self._folder(n), ignore_errors=True)
            stack.callback(arrays.end)
        for arrays, n in zip(started, chunk, strict=True):
            reason = arrays.wait(self.left_s / 2)
            if reason is None:
                written.append(n)
                continue
            for candidate in self.problems[n][1]:
                self.fail(n, candidate, reason)
        return written

    def _folder(self, n: int) -> Path:
        return self.arrays / str(n)

    def _problem(self, n: int) -> dict[str, Any]:
        return as_replayed(self.problems[n][0].spec, self._folder(n))

    def _record(self, recorder: Recorder, chunk: Sequence[int]) -> None:
        """One recorded pass: what runs, and which candidates come to the same."""
        jobs = [(n, c, self._problem(n)) for n in chunk for c in self.problems[n][1]]
        share = self.left_s / 2
        for n, candidate, outcome in recorder.record(jobs, share):
            if outcome.reason is not None:
                self.fail(n, candidate, outcome.reason, outcome.status)
            else:
                self.note(
                    "recorded",
                    n,
                    candidate.name,
                    lines=outcome.lines,
                    version=outcome.version,
                    isa=outcome.isa,
                )
        for n in chunk:
            seen: dict[Any, str] = {}
            for candidate in self.problems[n][1]:
                attempt = self.attempt(n, candidate)
                # only settings that bound what may be used can come to nothing; the same code in two layouts is not
                # the same, nor with other threads
                plain = candidate.variant == self.problems[n][1][0].variant
                if attempt.status is not None or not attempt.lines or not plain:
                    continue
                done = replays.work(attempt.lines)
                if candidate.setting.limit and done in seen:
                    self.note("same", n, candidate.name, **{"as": seen[done]})
                elif candidate.setting.limit or candidate is self.problems[n][1][0]:
                    seen[done] = candidate.name

    def _timed(self, n: int) -> list[Candidate]:
        """Candidates of the problem that are still to be timed."""
        found = []
        for candidate in self.problems[n][1]:
            attempt = self.attempt(n, candidate)
            if attempt.status is None and attempt.same_as is None:
                found.append(candidate)
        return found

    def _race(self, n: int, problems_left: int) -> None:
        end = time.monotonic() + max(self.left_s, 0) / problems_left
        title = f"{n + 1} of {len(self.problems)}  {self.problems[n][0].spec}"
        self.tell(title)
        if self.left_s <= 0:
            return
        self._prepare(n, self._timed(n), max(end - time.monotonic(), LEAST_PATIENCE_S))
        # where not all processes can hold the arrays at once, each lets them go after its turn
        together = len(self._timed(n)) * memory_bytes(self.problems[n][0].spec) <= self.here.memory_bytes
        number = 0
        while time.monotonic() < end:
            able = {c.name: c for c in self._timed(n)}
            attempts = {name: self.attempt(n, c) for name, c in able.items()}
            wanted = undecided(
                {name: a.rounds for name, a in attempts.items()},
                {name: bool(a.exact(self.request.tolerance)) for name, a in attempts.items()},
            )
            if not wanted:
                break
            number += 1
            self.tell(f"{title}  round {number}, {len(wanted)} to time")
            self.random.shuffle(wanted)
            for name in wanted:
                if time.monotonic() >= end:
                    break
                self._time(n, able[name], not together)
        for worker in {w for c in self.problems[n][1] if (w := self.pool.get(c.setting)) is not None}:
            worker.prepared.clear()
            worker.ask({"do": "drop"}, LEAST_PATIENCE_S)

    def _prepare(self, n: int, todo: list[Candidate], seconds: float) -> None:
        """Has each candidate built, called, and compared with the reference; those that cannot be are failed."""
        until = time.monotonic() + seconds
        while todo and time.monotonic() < until:
            failed = self.pool.start(_settings(todo), max(until - time.monotonic(), 0.1))
            for candidate in todo:
                if candidate.setting.name in failed:
                    self.fail(n, candidate, failed[candidate.setting.name])
            todo = [c for c in todo if c.setting.name not in failed]
            workers = {w: c.setting.name for c in todo if (w := self.pool.get(c.setting)) is not None}
            commands = [
                {"do": "prepare", "key": _key(n, c), "problem": self._problem(n), "variant": dict(c.variant),
                 "of": c.setting.name}
                for c in todo
            ]  # fmt: skip
            left = max(until - time.monotonic(), LEAST_PATIENCE_S)
            answered = set()
            for number, answer in spread(workers, commands, left):
                answered.add(number)
                self._prepared(n, todo[number], answer)
            todo = [c for number, c in enumerate(todo) if number not in answered]

    def _prepared(self, n: int, candidate: Candidate, answer: dict[str, Any] | Ended) -> None:
        worker = self.pool.get(candidate.setting)
        if isinstance(answer, Ended):
            self.pool.give_up(candidate.setting, answer.reason)
            self.fail(n, candidate, answer.reason)
        elif "error" in answer:
            self.fail(n, candidate, answer["error"], "unsupported" if answer["unsupported"] else "failed")
        elif worker is not None:
            worker.prepared.add(_key(n, candidate))
            if not self.attempt(n, candidate).difference:
                names = ("max_abs_difference", "max_relative_difference", "finite")
                self.note("difference", n, candidate.name, **{name: answer[name] for name in names})

    def _time(self, n: int, candidate: Candidate, release: bool) -> None:
        worker: Worker | None = self.pool.get(candidate.setting)
        if worker is None or _key(n, candidate) not in worker.prepared:
            self._prepare(n, [candidate], max(self.left_s, LEAST_PATIENCE_S))
            worker = self.pool.get(candidate.setting)
        if worker is None or _key(n, candidate) not in worker.prepared:
            return
        command = {"do": "time", "key": _key(n, candidate), "seconds": SLICE_S, "release": release}
        answer = worker.ask(command, max(self.left_s, 0) + LEAST_PATIENCE_S)
        if isinstance(answer, Ended):
            self.pool.give_up(candidate.setting, answer.reason)
            self.fail(n, candidate, answer.reason)
        elif "error" in answer:
            self.fail(n, candidate, answer["error"])
        else:
            self.note("times", n, candidate.name, us=[round(us, 3) for us in answer["us"]])


def offered(request: TuneRequest) -> Trace:
    """What would be tried, as a trace in memory in which nothing was: the interpreter is only asked for its devices."""
    python = interpreter(request.python)
    with tempfile.TemporaryDirectory(prefix="tftrace-tune-") as folder, Pool(python, Path(folder), 0) as pool:
        recorder = Recorder(pool, machine(), Path(folder))
        facts = recorder.start(python, ASKING_S)
    seen = Replays(end=LISTED)
    seen.add(_start(request, recorder.here, facts))
    for record in records(*split(request, recorder.here)):
        seen.add(record)
    return Trace(replays.manifest(seen, {"argv": request.argv}), {"algorithms": replays.algorithms(seen)})


def _start(request: TuneRequest, here: Machine, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "what": "start", "versions": facts["versions"], "device": here.device,
        "description": here.gpus[0] if here.gpus else here.processor, "processor": here.processor, "cpus": here.cpus,
        "memory_bytes": here.memory_bytes, "synthetic": facts["synthetic"], "python": facts["executable"],
        "budget_s": request.budget_s, "tolerance": request.tolerance, "traced": request.traced,
    }  # fmt: skip


def as_replayed(spec: Conv2dSpec, folder: Path) -> dict[str, Any]:
    """The problem as `tftrace/agent/replay.py` takes it."""
    return {
        "input": spec.input, "filter": spec.filter, "output": spec.output, "strides": spec.strides,
        "dilations": spec.dilations, "padding": spec.paddings,
        "padding_name": spec.padding if isinstance(spec.padding, str) else None, "groups": spec.groups,
        "dtype": spec.dtype, "direction": spec.direction, "fused": spec.fused, "tensors": str(folder),
    }  # fmt: skip


def _settings(candidates: Sequence[Candidate]) -> list[Setting]:
    return list({c.setting.name: c.setting for c in candidates}.values())


def _key(n: int, candidate: Candidate) -> str:
    return f"{n} {candidate.name}"
