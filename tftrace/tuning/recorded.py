"""The recorded pass of a tuning: what each candidate runs, apart from the passes that are timed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from tftrace.agent.contract import REPLAY_MARKER
from tftrace.capture.pool import Pool
from tftrace.capture.settings import Candidate
from tftrace.capture.worker import Answer, Ended, Worker, spread
from tftrace.ingest import replay_output
from tftrace.ingest.replay_output import ReplayOutput
from tftrace.tuning.notebook import key
from tftrace.tuning.outcome import LEAST_S, Job, Outcome

AT_ONCE: Final = 2
"""Settings that are recorded side by side: nothing is timed meanwhile, but all have the same processors."""
LEAST_PATIENCE_S: Final = 10.0


def record(pool: Pool, jobs: Sequence[Job], seconds: float) -> Iterator[tuple[int, Candidate, Outcome]]:
    """The outcome of each job (problem, candidate, problem as it is replayed), in any order.

    Each setting has a process of its own for it, in which oneDNN prints its lines: once it does, it does not stop. Jobs
    for which no time was left have no outcome.
    """
    until = time.monotonic() + max(seconds, LEAST_S)
    todo: dict[str, list[Job]] = {}
    for job in jobs:
        todo.setdefault(job[1].setting.name, []).append(job)
    while todo and time.monotonic() < until:
        names = list(todo)[:AT_ONCE]
        batch = {name: todo.pop(name) for name in names}
        wanted = {
            name: ({**part[0][1].setting.env, "ONEDNN_VERBOSE": "1"}, f"recorded {name}")
            for name, part in batch.items()
        }
        workers: dict[Worker, str | None] = {}
        for name, worker in pool.made(wanted, max(until - time.monotonic(), LEAST_S)).items():
            if isinstance(worker, Ended):
                for n, candidate, _ in batch.pop(name):
                    yield n, candidate, Outcome(status="failed", reason=worker.reason)
            else:
                workers[worker] = name
        left = [job for part in batch.values() for job in part]
        commands = [
            {"do": "recorded", "key": key(n, c), "problem": problem, "variant": dict(c.variant),
             "marker": REPLAY_MARKER, "of": c.setting.name}
            for n, c, problem in left
        ]  # fmt: skip
        # one that hangs must leave time for others
        patience = max((until - time.monotonic()) / 2, LEAST_PATIENCE_S)
        answers = dict(spread(workers, commands, patience, until))
        output = {name: _output(worker) for worker, name in workers.items()}
        for number, answer in answers.items():
            n, candidate, _ = left[number]
            yield n, candidate, _outcome(key(n, candidate), answer, output[candidate.setting.name])
        # a process that died took with it those that it had not come to
        for number, job in enumerate(left):
            if number not in answers:
                todo.setdefault(job[1].setting.name, []).append(job)


def _output(worker: Worker) -> ReplayOutput:
    worker.end("it is recorded")
    return replay_output.read(worker.folder / "stdout.txt")


def _outcome(name: str, answer: Answer | Ended, output: ReplayOutput) -> Outcome:
    if isinstance(answer, Ended):
        return Outcome(status="failed", reason=answer.reason)
    if "error" in answer:
        return Outcome(status="unsupported" if answer["unsupported"] else "failed", reason=answer["error"])
    return Outcome(output.lines.get(name, []), output.version, output.isa, answer["steady_us"])
