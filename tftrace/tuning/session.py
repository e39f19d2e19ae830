"""Carries a tuning out: records each candidate once, times them against each other, and makes a trace of it."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from tftrace.capture.launch import interpreter
from tftrace.capture.pool import Arrays, Pool
from tftrace.capture.settings import (
    Candidate,
    Machine,
    engine_candidate,
    forced_engine,
    machine,
    memory_bytes,
    why_not,
)
from tftrace.capture.worker import Ended
from tftrace.correlate.build import build
from tftrace.correlate.ledger import replays
from tftrace.correlate.ledger.replays import Replays
from tftrace.errors import CaptureError, UsageError
from tftrace.model.trace import Trace
from tftrace.store.directory import Place, check_free, completing, place_for
from tftrace.tuning import recorded, traced
from tftrace.tuning.notebook import Notebook, Progress
from tftrace.tuning.race import Race, share
from tftrace.tuning.request import TuneRequest, candidate_record, fits, records, split, start_record

CHUNK: Final = 4
CHUNK_BYTES: Final = 1 << 27
"""Problems that are recorded together, before they are timed: so many, or as many as have arrays of that size."""
IMAGES: Final = 4
"""Images of a batch that are compared with the reference."""
ENGINES: Final = 3
"""Engines of cuDNN that are forced for each problem."""
ASKING_S: Final = 120.0
TOLD: Final = ("lines", "version", "isa", "steady_us", "library", "tried")
SPENT: Final = "the budget was spent"
DONE: Final = "all that can be timed was"
STOPPED: Final = "stopped with Ctrl-C"
LISTED: Final = "nothing was tried: the budget is 0"


@dataclass(frozen=True)
class Tuned:
    """What came of it: the trace's directory, and whether it was stopped with Ctrl-C."""

    directory: Path
    stopped: bool


def tune(request: TuneRequest, progress: Progress | None = None) -> Tuned:
    """Replays what was asked for and leaves a trace of it, also where it is stopped with Ctrl-C.

    Raises UsageError where nothing can be replayed: no such interpreter, no TensorFlow in it, a budget in which nothing
    could be timed; CaptureError where the trace cannot be written.
    """
    begun = time.monotonic()
    python = interpreter(request.python)
    _check(request, machine())
    check_free(request.output, request.force)
    with contextlib.ExitStack() as finishing:
        with (
            tempfile.TemporaryDirectory(prefix="tftrace-tune-") as folder,
            Pool(python, Path(folder), machine().memory_bytes) as pool,
        ):
            if progress is not None:
                progress("starting TensorFlow", 0.0)
            facts, here = _asked(pool, python, request.budget_s)
            problems, left_out = split(request, here)
            place = place_for(request.output, "tune", request.force)
            directory = finishing.enter_context(completing(place))
            pool.raw = directory / "raw"
            started = time.time_ns()
            try:
                pool.raw.mkdir()
                with open(pool.raw / replays.RECORDS, "w", buffering=1) as log:
                    notes = Notebook(log, Path(folder), request.budget_s, begun + request.budget_s, progress)
                    notes.problems = problems
                    for line in [start_record(request, here, facts), *records(problems, left_out)]:
                        notes.add(line)
                    stopped = _stopped(request, notes, pool, here)
                run = {
                    "argv": list(request.argv), "replayed": True, "started_ns": started, "ended_ns": time.time_ns(),
                    "exit_status": None,
                }  # fmt: skip
                (directory / "run.json").write_text(json.dumps(run, indent=1))
            except OSError as error:
                raise CaptureError(f"{directory}: cannot be written: {error.strerror}; make room") from error
        _name_place(directory / "raw" / replays.RECORDS, place)
        build(directory)
        if not stopped and not any(a.rounds for p in notes.replays.problems for a in p.attempts.values()):
            raise _nothing(notes, request.budget_s, directory)
    return Tuned(place.path, stopped)


def _name_place(records: Path, place: Place) -> None:
    """The files that candidates were given bear the names under which they will be found."""
    if place.replaces:
        made, path = (json.dumps(str(p.resolve()))[1:-1] for p in (place.made, place.path))
        records.write_text(records.read_text().replace(made, path))


def offered(request: TuneRequest) -> Trace:
    """What would be tried, as a trace in memory in which nothing was: the interpreter is only asked for its devices."""
    python = interpreter(request.python)
    with tempfile.TemporaryDirectory(prefix="tftrace-tune-") as folder, Pool(python, Path(folder), 0) as pool:
        facts, here = _asked(pool, python, ASKING_S)
    seen = Replays(end=LISTED)
    for line in [start_record(request, here, facts), *records(*split(request, here))]:
        seen.add(line)
    return Trace(replays.manifest(seen, {"argv": request.argv}), {"algorithms": replays.algorithms(seen)})


def _check(request: TuneRequest, here: Machine) -> None:
    """Before anything is started: whether there is a convolution that can be replayed."""
    refused = [why_not(wanted.spec, here) for wanted in request.wanted]
    if all(refused):
        raise UsageError("nothing can be replayed: " + "; ".join(list(dict.fromkeys(map(str, refused)))[:3]))


def _asked(pool: Pool, python: str, seconds: float) -> tuple[dict[str, Any], Machine]:
    """What the interpreter says, and the machine as it sees it. Raises UsageError where it has no TensorFlow."""
    facts = pool.ask(seconds)
    if isinstance(facts, Ended):
        if facts.reason.startswith("ImportError"):
            raise UsageError(
                f"{python}: has no TensorFlow that can be imported ({facts.reason}); give one with --python"
            )
        if facts.late:
            raise UsageError(
                f"TensorFlow did not start within {seconds:.3g} s: give more with --budget SECONDS"
            )
        raise UsageError(f"{python}: TensorFlow could not be started: {facts.reason}")
    gpus = tuple(str(name) for name in facts["gpus"])
    return facts, replace(machine(), gpus=gpus, onednn=bool(facts["onednn"]))


def _stopped(request: TuneRequest, notes: Notebook, pool: Pool, here: Machine) -> bool:
    """Does all of it; whether Ctrl-C ended it."""
    try:
        _run(request, notes, pool, here)
    except KeyboardInterrupt:
        notes.add({"what": "end", "reason": STOPPED})
        return True
    return False


def _run(request: TuneRequest, notes: Notebook, pool: Pool, here: Machine) -> None:
    race = Race(notes, pool, here, request.tolerance)
    total = len(notes.problems)
    at = 0
    while at < total and notes.left_s > 0:
        chunk = range(at, _chunk_end(notes, at))
        with contextlib.ExitStack() as stack:
            which = f"problems {at + 1} to {chunk.stop}" if len(chunk) > 1 else f"problem {at + 1}"
            notes.tell(f"recording what runs, {which} of {total}")
            written = _write_arrays(notes, chunk, here, stack)
            seconds = len(written) * share(notes, total - at) / 2
            _record(notes, pool, [(n, c) for n in written for c in notes.problems[n][1]], seconds)
            _record(notes, pool, _engines(notes, written, request, pool.raw), seconds)
            _same(notes, written)
            notes.tell("starting the processes")
            race.start(written, max(notes.left_s / 2, 1.0))
            for n in written:
                if notes.left_s > 0:
                    race.run(n, total - n)
        at = chunk.stop
    left = [n for n in range(total) for c in notes.able(n) if not notes.attempt(n, c).rounds]
    notes.add({"what": "end", "reason": SPENT if left or notes.left_s <= 0 else DONE})


def _chunk_end(notes: Notebook, at: int) -> int:
    """Number behind the last problem that is recorded together with problem `at`."""
    end, size = at + 1, memory_bytes(notes.problems[at][0].spec)
    while end < min(at + CHUNK, len(notes.problems)):
        size += memory_bytes(notes.problems[end][0].spec)
        if size > CHUNK_BYTES:
            break
        end += 1
    return end


def _nothing(notes: Notebook, budget_s: float, directory: Path) -> UsageError:
    """Why nothing at all was timed."""
    reasons = [a.reason for p in notes.replays.problems for a in p.attempts.values() if a.reason]
    if reasons and notes.left_s > 0:
        return UsageError(f"nothing could be timed: {reasons[0]}; what was printed is in {directory / 'raw'}")
    return UsageError(f"nothing could be timed within {budget_s:.3g} s: give more with --budget SECONDS")


def _write_arrays(
    notes: Notebook, chunk: Sequence[int], here: Machine, stack: contextlib.ExitStack
) -> list[int]:
    """Inputs and reference of each problem, to files; returns the problems that could be written."""
    written = []
    started = [Arrays(notes.replayed(n), notes.folder(n), IMAGES, here.memory_bytes) for n in chunk]
    for arrays, n in zip(started, chunk, strict=True):
        stack.callback(shutil.rmtree, notes.folder(n), ignore_errors=True)
        stack.callback(arrays.end)
    for arrays, n in zip(started, chunk, strict=True):
        reason = arrays.wait(notes.left_s / 2)
        if reason is None:
            written.append(n)
            continue
        for candidate in notes.problems[n][1]:
            notes.fail(n, candidate, reason)
    return written


def _record(notes: Notebook, pool: Pool, which: Sequence[tuple[int, Candidate]], seconds: float) -> None:
    """One recorded pass of each candidate: what runs."""
    if not which:
        return
    jobs = [(n, c, notes.replayed(n)) for n, c in which]
    by_agent = partial(traced.record, raw=pool.raw)
    for n, candidate, outcome in (recorded.record if pool.forks else by_agent)(
        pool, jobs, min(seconds, notes.left_s)
    ):
        if outcome.reason is not None:
            notes.fail(n, candidate, outcome.reason, outcome.status)
        else:
            told = asdict(outcome)
            notes.note(
                "recorded",
                n,
                candidate,
                **{k: told[k] for k in ("lines", "version", "isa", "library", "tried")},
            )


def _engines(
    notes: Notebook, chunk: Sequence[int], request: TuneRequest, raw: Path
) -> list[tuple[int, Candidate]]:
    """Adds the engines that TensorFlow's autotuner tried and did not pick, the fastest of its trials: forced, each is
    another candidate. None on a CPU, and none for a fused convolution, whose rules have another name."""
    added = []
    for n in chunk:
        wanted, candidates = notes.problems[n]
        first = notes.attempt(n, candidates[0])
        if first.library is None or wanted.spec.fused:
            continue
        others = [t for t in first.tried if t["status"] == "ok" and t["engine"] != first.library["engine"]]
        others.sort(key=lambda t: float("inf") if t["time_us"] is None else float(t["time_us"]))
        engines = [e for e in dict.fromkeys(t["engine"] for t in others) if str(e).isdigit()]
        for engine in engines[:ENGINES]:
            candidate = engine_candidate(wanted.spec, forced_engine(int(engine), raw / "errata"))
            if not fits(candidate, request):
                continue
            candidates.append(candidate)
            notes.add(candidate_record(n, candidate))
            added.append((n, candidate))
    return added


def _same(notes: Notebook, chunk: Sequence[int]) -> None:
    """Marks the candidates that come to the same as an earlier one."""
    for n in chunk:
        seen: dict[Any, str] = {}
        for candidate in notes.able(n):
            done = replays.work(notes.attempt(n, candidate).lines)
            # a setting that only bounds what may be used can come to nothing; the same primitives with other threads,
            # or within another function, are not the same
            if done is None:
                continue
            if candidate.setting.limit and done in seen:
                notes.note("same", n, candidate, **{"as": seen[done]})
            elif candidate.setting.limit or candidate is notes.problems[n][1][0]:
                seen[done] = candidate.name
