"""The recorded pass on a GPU: each candidate once under tftrace's own agent, which sees what cuDNN was told to run."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tftrace.agent import contract
from tftrace.agent.contract import REPLAY_MARKER
from tftrace.analysis import algorithms
from tftrace.capture.launch import RunRequest, environment
from tftrace.capture.pool import Pool
from tftrace.capture.settings import CUDNN, Candidate
from tftrace.capture.trim import trim
from tftrace.capture.worker import Answer, Ended, Worker, spread
from tftrace.correlate.build import build
from tftrace.store.directory import open_trace
from tftrace.tuning.notebook import key
from tftrace.tuning.outcome import LEAST_S, Job, Outcome

PROBES: Final = ["dispatch", "tf_profiler", "cudnn", "stream_executor"]
AT_ONCE: Final = 4
FLUSH_S: Final = 60.0


def record(
    pool: Pool, jobs: Sequence[Job], seconds: float, raw: Path
) -> Iterator[tuple[int, Candidate, Outcome]]:
    """The outcome of each job; what its process recorded is a trace of its own below `raw`/traced.

    One process a job: what a process picks for one convolution it keeps for the next. Jobs for which no time was left
    have no outcome.
    """
    until = time.monotonic() + max(seconds, LEAST_S)
    for at in range(0, len(jobs), AT_ONCE):
        left = until - time.monotonic()
        if left <= 0:
            return
        batch = {key(n, c): (n, c, problem) for n, c, problem in jobs[at : at + AT_ONCE]}
        places = {name: raw / "traced" / re.sub(r"[^\w.=-]+", "_", name) for name in batch}
        wanted = {}
        for name, (_, candidate, _) in batch.items():
            (places[name] / "raw").mkdir(parents=True)
            wanted[name] = ({**candidate.setting.env, **_agent(places[name])}, f"traced {name}")
        workers: dict[Worker, str | None] = {}
        for name, worker in pool.made(wanted, left).items():
            if isinstance(worker, Ended):
                n, candidate, _ = batch[name]
                yield n, candidate, Outcome(status="failed", reason=worker.reason)
            else:
                workers[worker] = name
        names = [str(name) for name in workers.values()]
        commands = [
            {"do": "recorded", "key": name, "problem": batch[name][2], "variant": dict(batch[name][1].variant),
             "marker": REPLAY_MARKER, "of": name}
            for name in names
        ]  # fmt: skip
        answers = {names[i]: answer for i, answer in spread(workers, commands, max(left, LEAST_S))}
        for worker, of in workers.items():
            worker.finish(FLUSH_S)
            n, candidate, problem = batch[str(of)]
            answer = answers.get(str(of), Ended("it has ended"))
            yield n, candidate, _outcome(answer, places[str(of)], str(problem["direction"]))


def _agent(place: Path) -> dict[str, str]:
    request = RunRequest(argv=["replay.py"])
    told = environment((place / "raw").resolve(), request, PROBES)
    return {name: told[name] for name in (contract.ENV_RAW, contract.ENV_OPTIONS, "PYTHONPATH")}


def _outcome(answer: Answer | Ended, place: Path, direction: str) -> Outcome:
    if isinstance(answer, Ended):
        return Outcome(status="failed", reason=answer.reason)
    if "error" in answer:
        return Outcome(status="unsupported" if answer["unsupported"] else "failed", reason=answer["error"])
    (place / "run.json").write_text(json.dumps({"argv": ["replay.py"], "probes": PROBES, "exit_status": 0}))
    trim(place / "raw")
    build(place)
    rows = [
        r for r in algorithms.rows(open_trace(place)) if r["library"] == CUDNN and r["direction"] == direction
    ]
    chosen = next((r for r in rows if r["chosen"]), None)
    if chosen is None:
        return Outcome(steady_us=answer["steady_us"])
    tried = [_told(r) for r in rows if r["problem_id"] == chosen["problem_id"]]
    return Outcome(
        version=chosen["version"], steady_us=answer["steady_us"], library=_told(chosen), tried=tried
    )


def _told(row: dict[str, Any]) -> dict[str, Any]:
    kept = (
        "algorithm",
        "engine",
        "knobs",
        "workspace_bytes",
        "time_us",
        "time_of",
        "status",
        "picked_by",
        "evidence",
    )
    return {name: row[name] for name in kept}
