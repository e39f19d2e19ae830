"""Times the candidates of one problem, each once a round in a new random order, until their order is sure.

Whatever slows the machine down for a while then hits all of them. Each process has the environment of its candidates
from its start on, and is idle while another is timed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, Final

from tftrace.analysis.racing import FEWEST_ROUNDS, undecided
from tftrace.capture.pool import Pool
from tftrace.capture.settings import Candidate, Machine, Setting, memory_bytes
from tftrace.capture.worker import Ended, spread
from tftrace.tuning.notebook import Notebook, key

SLICE_S: Final = 0.04
"""Time of one candidate in one round: at least one call, and as many as go into it."""
LEAST_PATIENCE_S: Final = 5.0
AT_ONCE: Final = 2
"""Processes that prepare side by side: more would have each take as much longer."""
LEAST_SHARE_S: Final = 8.0
_DIFFERENCE: Final = ("max_abs_difference", "max_relative_difference", "finite")


def share(notes: Notebook, problems_left: int) -> float:
    """Seconds for one problem: its part of what is left of the budget, but no less than it takes to say anything of it.
    The costliest problems come first, and those for which nothing is left are not tried."""
    return min(max(notes.left_s / problems_left, LEAST_SHARE_S), notes.left_s)


class Race:
    def __init__(self, notebook: Notebook, pool: Pool, here: Machine, tolerance: float) -> None:
        self._notebook, self._pool, self._here, self._tolerance = notebook, pool, here, tolerance
        self._random = random.Random(0)  # the order of the candidates in a round

    def start(self, problems: Sequence[int], seconds: float) -> None:
        """Starts the processes that these problems need."""
        self._pool.start(_settings([c for n in problems for c in self._notebook.able(n)]), seconds)

    def run(self, n: int, problems_left: int) -> None:
        """Times problem `n` in its share of what is left of the budget."""
        notes = self._notebook
        title = f"{n + 1} of {len(notes.problems)}  {notes.problems[n][0].spec}"
        notes.tell(title)
        # one that hangs must leave time for the others
        need = self._need_s(n)
        self._prepare(n, notes.able(n), max(share(notes, problems_left), min(need, notes.left_s)) / 2)
        seconds = max(share(notes, problems_left), min(need, notes.left_s / 2))
        end = time.monotonic() + seconds
        # where not all processes can hold the arrays at once, each lets them go after its turn
        together = len(notes.able(n)) * memory_bytes(notes.problems[n][0].spec) <= self._here.memory_bytes
        number = 0
        while time.monotonic() < end:
            able = {c.name: c for c in notes.able(n)}
            attempts = {name: notes.attempt(n, c) for name, c in able.items()}
            wanted = undecided(
                {name: a.rounds for name, a in attempts.items()},
                {name: bool(a.exact(self._tolerance)) for name, a in attempts.items()},
                frugal=need > seconds,
            )
            if not wanted:
                break
            number += 1
            notes.tell(f"{title}  round {number}, {len(wanted)} to time")
            self._random.shuffle(wanted)
            for name in wanted:
                if time.monotonic() >= end:
                    break
                self._time(n, able[name], not together)
        for worker in {w for c in notes.problems[n][1] if (w := self._pool.get(c.setting)) is not None}:
            worker.prepared.clear()
            worker.ask({"do": "drop"}, LEAST_PATIENCE_S)

    def _need_s(self, n: int) -> float:
        """About what it takes to give every candidate its fewest rounds, by the call that was recorded."""
        calls = [self._notebook.attempt(n, c).steady_us or 0.0 for c in self._notebook.able(n)]
        return sum(max(us / 1e6, SLICE_S) for us in calls) * (FEWEST_ROUNDS + 2)

    def _prepare(self, n: int, todo: list[Candidate], seconds: float) -> None:
        """Has each candidate built, called, and compared with the reference; those that cannot be are failed."""
        until = time.monotonic() + seconds
        while todo and time.monotonic() < until:
            failed = self._pool.start(_settings(todo), max(until - time.monotonic(), LEAST_PATIENCE_S))
            for candidate in todo:
                if candidate.setting.name in failed:
                    self._notebook.fail(n, candidate, failed[candidate.setting.name])
            todo = [c for c in todo if c.setting.name not in failed]
            workers = {w: c.setting.name for c in todo if (w := self._pool.get(c.setting)) is not None}
            commands = [
                {"do": "prepare", "key": key(n, c), "problem": self._notebook.replayed(n), "variant": dict(c.variant),
                 "of": c.setting.name}
                for c in todo
            ]  # fmt: skip
            answered = set()
            patience = max(until - time.monotonic(), LEAST_PATIENCE_S)
            for number, answer in spread(workers, commands, patience, until, AT_ONCE):
                answered.add(number)
                self._prepared(n, todo[number], answer)
            # a process that died took with it those that it had not come to
            todo = [c for number, c in enumerate(todo) if number not in answered]

    def _prepared(self, n: int, candidate: Candidate, answer: dict[str, Any] | Ended) -> None:
        worker = self._pool.get(candidate.setting)
        if isinstance(answer, Ended):
            self._lost(n, candidate, answer)
        elif "error" in answer:
            status = "unsupported" if answer["unsupported"] else "failed"
            self._notebook.fail(n, candidate, answer["error"], status)
        elif worker is not None:
            worker.prepared.add(key(n, candidate))
            if not self._notebook.attempt(n, candidate).difference:
                self._notebook.note(
                    "difference", n, candidate, **{name: answer[name] for name in _DIFFERENCE}
                )

    def _time(self, n: int, candidate: Candidate, release: bool) -> None:
        if not self._is_prepared(n, candidate):  # its process died of another candidate
            self._prepare(n, [candidate], LEAST_PATIENCE_S)
        worker = self._pool.get(candidate.setting)
        if worker is None or not self._is_prepared(n, candidate):
            return
        command = {"do": "time", "key": key(n, candidate), "seconds": SLICE_S, "release": release}
        answer = worker.ask(command, self._notebook.left_s + LEAST_PATIENCE_S)
        if isinstance(answer, Ended):
            self._lost(n, candidate, answer)
        elif "error" in answer:
            self._notebook.fail(n, candidate, answer["error"])
        else:
            us = [round(us, 3) for us in answer["us"]]
            self._notebook.note("times", n, candidate, us=us, repeats=answer["repeats"])

    def _is_prepared(self, n: int, candidate: Candidate) -> bool:
        worker = self._pool.get(candidate.setting)
        return worker is not None and key(n, candidate) in worker.prepared

    def _lost(self, n: int, candidate: Candidate, how: Ended) -> None:
        self._pool.give_up(candidate.setting, how.reason)
        self._notebook.fail(n, candidate, how.reason)


def _settings(candidates: Sequence[Candidate]) -> list[Setting]:
    return list({c.setting.name: c.setting for c in candidates}.values())
