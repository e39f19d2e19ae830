"""What a tuning has found so far: written down as it comes, and what is still to be done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from tftrace.analysis.replayable import Wanted
from tftrace.capture.settings import Candidate
from tftrace.correlate.ledger.replays import Attempt, Replays
from tftrace.tuning.request import as_replayed

Progress = Callable[[str, float], None]


class Notebook:
    """Every record goes to the trace's raw file at once, so that what was measured outlives a tuning that is cut short.

    `deadline` and `left_s` are those of the whole budget.
    """

    def __init__(
        self, log: IO[str], arrays: Path, budget_s: float, deadline: float, progress: Progress | None
    ) -> None:
        self._log, self._arrays, self._budget_s, self._deadline = log, arrays, budget_s, deadline
        self._progress = progress
        self.replays = Replays()
        self.problems: list[tuple[Wanted, list[Candidate]]] = []

    @property
    def left_s(self) -> float:
        return max(self._deadline - time.monotonic(), 0.0)

    def tell(self, what: str) -> None:
        if self._progress is not None:
            self._progress(what, min(max(1 - self.left_s / max(self._budget_s, 1e-9), 0.0), 1.0))

    def add(self, record: dict[str, Any]) -> None:
        self._log.write(json.dumps(record) + "\n")
        self.replays.add(record)

    def note(self, what: str, problem: int, candidate: Candidate, **more: Any) -> None:
        self.add({"what": what, "problem": problem, "name": candidate.name, **more})

    def fail(self, problem: int, candidate: Candidate, reason: str, status: str = "failed") -> None:
        self.note("status", problem, candidate, status=status, reason=reason)

    def attempt(self, problem: int, candidate: Candidate) -> Attempt:
        return self.replays.problems[problem].attempts[candidate.name]

    def able(self, problem: int) -> list[Candidate]:
        """Candidates of the problem that can be timed: not failed, and not the same as another one."""
        attempts = self.replays.problems[problem].attempts
        return [
            c
            for c in self.problems[problem][1]
            if attempts[c.name].status is None and not attempts[c.name].same_as
        ]

    def folder(self, problem: int) -> Path:
        """Where the problem's arrays lie while it is replayed."""
        return self._arrays / str(problem)

    def replayed(self, problem: int) -> dict[str, Any]:
        """The problem as `tftrace/agent/replay.py` takes it."""
        return as_replayed(self.problems[problem][0].spec, self.folder(problem))


def key(problem: int, candidate: Candidate) -> str:
    """The name of one replay in the process that has it."""
    return f"{problem} {candidate.name}"
