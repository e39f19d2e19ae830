"""The recorded pass of a tuning: what each candidate runs, apart from the passes that are timed."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tftrace.agent.contract import REPLAY_MARKER
from tftrace.capture.pool import Pool
from tftrace.capture.settings import EIGEN, Candidate, Machine, Setting
from tftrace.capture.worker import Answer, Ended, spread
from tftrace.errors import UsageError
from tftrace.ingest import replay_output

LEAST_S: Final = 5.0
Job = tuple[int, Candidate, dict[str, Any]]
_WITH, _WITHOUT = "with oneDNN", "without oneDNN"


@dataclass(frozen=True)
class Outcome:
    """`lines`: what oneDNN printed in one call of the candidate; or `reason`: why it cannot be run."""

    lines: list[str] = field(default_factory=list)
    version: str | None = None
    isa: str | None = None
    status: str = "ok"
    reason: str | None = None


Done = tuple[int, Candidate, Outcome]


class Recorder:
    """Processes that have imported TensorFlow and run nothing: they fork for each setting.

    What TensorFlow reads while it is imported (whether oneDNN is used) differs between them; all else is read at the
    first op, in the fork. oneDNN prints its lines in the fork alone, which ends after them.
    """

    def __init__(self, pool: Pool, here: Machine, raw: Path) -> None:
        self.pool, self.here, self._raw = pool, here, raw
        self._with = [
            Setting("recorder", f"recorder {i + 1}", {"TF_ENABLE_ONEDNN_OPTS": "1"})
            for i in range(self._many())
        ]
        self._without = [Setting("recorder", "recorder without oneDNN", {"TF_ENABLE_ONEDNN_OPTS": "0"})]

    def _many(self) -> int:
        return max(1, min(4, self.here.cpus // 4))

    def start(self, python: str, seconds: float) -> Answer:
        """What the interpreter says of itself and of the machine. Raises UsageError where it has no TensorFlow."""
        first = self._with[0]
        failed = self.pool.start([*self._with, *self._without], max(seconds, LEAST_S))
        if first.name in failed:
            reason = failed[first.name]
            if reason.startswith("ImportError"):
                raise UsageError(
                    f"{python}: has no TensorFlow that can be imported ({reason}); give one with --python"
                )
            raise UsageError(f"{python}: TensorFlow could not be started: {reason}")
        facts = self.pool.facts[first.name]
        self.here = replace(self.here, gpus=tuple(str(name) for name in facts["gpus"]))
        return facts

    def record(self, jobs: Sequence[Job], seconds: float) -> Iterator[tuple[int, Candidate, Outcome]]:
        """Each job's outcome, in any order; a job for which no time was left has none."""
        until = time.monotonic() + max(seconds, LEAST_S)
        todo: dict[str, list[Job]] = {}
        for job in jobs:
            todo.setdefault(job[1].setting.name, []).append(job)
        while todo and time.monotonic() < until:
            failed = self.pool.start([*self._with, *self._without], max(until - time.monotonic(), LEAST_S))
            if len(failed) == len(self._with) + len(self._without):
                return
            batch = list(todo.values())
            todo = {}
            limit = max((until - time.monotonic()) * 2 / len(batch), LEAST_S)
            commands = [self._command(part, limit) for part in batch]
            workers = {
                worker: of
                for of, settings in ((_WITH, self._with), (_WITHOUT, self._without))
                for setting in settings
                if (worker := self.pool.get(setting)) is not None
            }
            for number, answer in spread(workers, commands, limit + LEAST_S):
                outcomes, again = self._outcomes(batch[number], answer, Path(commands[number]["verbose"]))
                yield from outcomes
                if again:
                    todo[again[0][1].setting.name] = again

    def _command(self, jobs: list[Job], seconds: float) -> dict[str, Any]:
        setting = jobs[0][1].setting
        name = re.sub(r"[^\w.=-]+", "_", setting.name)
        (self._raw / "recorded").mkdir(exist_ok=True)
        return {
            "do": "record", "of": _WITHOUT if setting.engine == EIGEN else _WITH,
            "env": {**setting.env, "ONEDNN_VERBOSE": "1"},
            "verbose": str((self._raw / "recorded" / f"{name}.txt").resolve()), "marker": REPLAY_MARKER,
            "runs": [{"key": _key(n, c), "problem": problem, "variant": dict(c.variant)} for n, c, problem in jobs],
            "seconds": seconds,
        }  # fmt: skip

    @staticmethod
    def _outcomes(jobs: list[Job], answer: Answer | Ended, verbose: Path) -> tuple[list[Done], list[Job]]:
        """(outcomes of the jobs of one fork, those that it did not come to because one of them ended it)."""
        if isinstance(answer, Ended) or "error" in answer:
            said = answer.reason if isinstance(answer, Ended) else str(answer["error"])
            lost = Outcome(status="failed", reason=f"it could not be recorded: {said}")
            return [(n, candidate, lost) for n, candidate, _ in jobs], []
        output = replay_output.read(verbose) if verbose.is_file() else replay_output.ReplayOutput()
        done: list[Done] = []
        again = []
        for job in jobs:
            n, candidate, _ = job
            run = answer["runs"].get(_key(n, candidate))
            if run is None:
                again.append(job)
            elif "error" in run:
                status = "unsupported" if run["unsupported"] else "failed"
                done.append((n, candidate, Outcome(status=status, reason=run["error"])))
            elif not run.get("done"):
                done.append((n, candidate, Outcome(status="failed", reason=_ended(answer))))
            else:
                lines = output.lines.get(_key(n, candidate), [])
                done.append((n, candidate, Outcome(lines, output.version, output.isa)))
        return done, again if done else []


def _ended(answer: Answer) -> str:
    if answer["late"]:
        return "it did not end while it was recorded"
    number = answer["signal"]
    return f"its process was killed by {signal.Signals(number).name}" if number else "its process ended"


def _key(n: int, candidate: Candidate) -> str:
    return f"{n} {candidate.name}"
