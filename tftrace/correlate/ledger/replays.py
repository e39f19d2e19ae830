"""What `tftrace tune` replayed: its raw records, and the tables and manifest made of them.

raw/replays.jsonl has one JSON object a line, in the order in which things happened:

    {"what":"start", versions, device, processor, cpus, memory_bytes, synthetic, budget_s, tolerance, ..}
    {"what":"problem", "problem":n, "spec", "contract": the problem of the algorithms contract, "calls"}
    {"what":"left_out", "contract", "reason"}                        a problem that is not replayed
    {"what":"candidate", "problem":n, "name", "engine", "env", "code", "variant"}
    {"what":"recorded", "problem":n, "name", "lines": what oneDNN printed for one call, "version", "isa",
     "steady_us": what it took, "library": cuDNN's engine, knobs and workspace, "tried": what its autotuner tried}
    {"what":"same", "problem":n, "name", "as": the candidate that does the very same}
    {"what":"difference", "problem":n, "name", "max_abs_difference", "max_relative_difference", "finite"}
    {"what":"times", "problem":n, "name", "us": calls of one round, "repeats": ops in a call}
    {"what":"status", "problem":n, "name", "status", "reason"}
    {"what":"end", "reason"}

One round of a candidate gives one repetition, the median of its calls: the rounds of all candidates are interleaved, so
what slows the machine for a while slows all of them. The time of a candidate is the median of its repetitions with an
interval by order statistics (`repetitions`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tftrace.correlate.ledger.repetitions import timing
from tftrace.correlate.tables.columns import compact
from tftrace.errors import InputError
from tftrace.ingest.onednn_verbose import VerboseLine, parse_line
from tftrace.model import schemas
from tftrace.model.layers import LAYERS
from tftrace.model.problem import canonical
from tftrace.model.schemas import TABLES
from tftrace.store.directory import write_tables
from tftrace.store.manifest import write_manifest

RECORDS: Final = "replays.jsonl"
SOURCE: Final = "tune"
TIME_OF: Final = "call of a tf.function"
CUT_SHORT: Final = "the tuning was cut short"
_ABOUT: Final = ("processor", "cpus", "memory_bytes", "budget_s", "tolerance", "traced", "python")
_UNOBSERVED: Final = "a replay, not a run: its timed calls are not traced"


@dataclass
class Attempt:
    """One candidate of one problem, as far as it has got. `rounds`: one time a round, in us."""

    name: str
    engine: str
    env: dict[str, str]
    code: list[str]
    variant: dict[str, Any]
    lines: list[str] = field(default_factory=list)
    version: str | None = None
    steady_us: float | None = None
    library: dict[str, Any] | None = None
    tried: list[dict[str, Any]] = field(default_factory=list)
    same_as: str | None = None
    rounds: list[float] = field(default_factory=list)
    trials: int = 0
    repeats: int = 1
    difference: dict[str, Any] = field(default_factory=dict)
    status: str | None = None
    reason: str | None = None

    @property
    def printed(self) -> VerboseLine | None:
        """The line of the convolution among those that oneDNN printed; None where it printed none."""
        parsed = [line for line in map(parse_line, self.lines) if line is not None]
        return next((line for line in parsed if line.primitive in ("convolution", "deconvolution")), None)

    @property
    def implementation(self) -> str | None:
        """oneDNN's, as printed; on a GPU cuDNN's engine with its knobs."""
        if self.library is not None:
            return str(self.library["algorithm"])
        return self.printed.implementation if self.printed else None

    def exact(self, tolerance: float) -> bool | None:
        """Whether its result is as close to the reference as the tolerance demands; None where that was not seen."""
        relative = self.difference.get("max_relative_difference")
        if relative is None:
            return False if self.difference.get("finite") is False else None
        return bool(relative <= tolerance)


@dataclass
class Replayed:
    """One problem with its candidates, the one that the program has now first."""

    spec: str
    contract: dict[str, Any]
    calls: int | None
    attempts: dict[str, Attempt] = field(default_factory=dict)

    def winner(self, tolerance: float) -> Attempt | None:
        """The fastest that is exact enough, by the median."""
        able = [a for a in self.attempts.values() if a.status is None and a.rounds and a.exact(tolerance)]
        return min(able, key=lambda a: float(np.median(a.rounds)), default=None)


@dataclass
class Replays:
    """All that was replayed; `add` takes the records one by one, while tuning and when tables are rebuilt."""

    start: dict[str, Any] = field(default_factory=dict)
    problems: list[Replayed] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    end: str | None = None

    @property
    def tolerance(self) -> float:
        return float(self.start["tolerance"])

    def add(self, record: Mapping[str, Any]) -> None:
        what = record["what"]
        if what == "start":
            self.start = dict(record)
        elif what == "end":
            self.end = record["reason"]
        elif what == "left_out":
            self.left_out.append({"problem": record["contract"], "reason": record["reason"]})
        elif what == "problem":
            self.problems.append(Replayed(record["spec"], record["contract"], record["calls"]))
        elif what == "candidate":
            self.problems[record["problem"]].attempts[record["name"]] = Attempt(
                record["name"], record["engine"], record["env"], record["code"], record["variant"]
            )
        else:
            self._attempt(what, self.problems[record["problem"]].attempts[record["name"]], record)

    @staticmethod
    def _attempt(what: str, attempt: Attempt, record: Mapping[str, Any]) -> None:
        if what == "recorded":
            attempt.lines, attempt.version = record["lines"], record["version"]
            attempt.steady_us = record.get("steady_us")
            attempt.library, attempt.tried = record.get("library"), record.get("tried") or []
        elif what == "same":
            attempt.same_as = record["as"]
        elif what == "difference":
            attempt.difference = {
                k: record[k] for k in ("max_abs_difference", "max_relative_difference", "finite")
            }
        elif what == "times":
            attempt.rounds.append(float(np.median(record["us"])))
            attempt.trials += len(record["us"])
            attempt.repeats = record.get("repeats", 1)
        elif what == "status":
            attempt.status, attempt.reason = record["status"], record["reason"]


def work(lines: list[str]) -> tuple[tuple[str | None, ...], ...] | None:
    """What the lines say was done, without times: two candidates with the same work are the same.

    None where they do not tell: without lines, or with one that names no implementation (Eigen's matrix products).
    """
    parsed = [line for line in map(parse_line, lines) if line is not None]
    if not parsed or not all(line.implementation for line in parsed):
        return None
    return tuple(
        (p.primitive, p.implementation, p.propagation, p.memory_text, p.attributes, p.aux_text, p.problem)
        for p in parsed
    )


def read(raw: Path) -> Replays:
    """The records below `raw`; a last line that was cut off is left out.

    Raises InputError where there are none, or where they are damaged.
    """
    path = raw / RECORDS
    replays = Replays()
    try:
        lines = path.read_text().splitlines(keepends=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; tune again") from error
    for number, line in enumerate(lines, 1):
        if number == len(lines) and not line.endswith("\n"):
            break
        try:
            replays.add(json.loads(line))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise InputError(f"{path}: line {number} is damaged ({error!r}); tune again") from error
    if not replays.start:
        raise InputError(f"{path}: holds nothing; tune again")
    return replays


def build(directory: Path, run: Mapping[str, Any]) -> dict[str, Any]:
    """Writes tables and manifest of the tuning whose raw records lie in `directory`; returns the manifest."""
    replays = read(directory / "raw")
    tables = {name: schema.empty_table() for name, schema in TABLES.items()}
    tables["algorithms"] = algorithms(replays)
    write_tables(directory, tables)
    told = manifest(replays, run) | {"tables": {name: t.num_rows for name, t in tables.items()}}
    write_manifest(directory, told)
    return told


def algorithms(replays: Replays) -> pa.Table:
    """The ledger: one row a candidate. What other ledgers have no column for stands in `details`, a JSON object."""
    rows = [row for n, problem in enumerate(replays.problems) for row in _rows(replays, n, problem)]
    return pa.Table.from_pylist(rows, schema=schemas.ALGORITHMS.append(_DETAILS))


_DETAILS: Final = pa.field("details", pa.string())


def _rows(replays: Replays, number: int, problem: Replayed) -> list[dict[str, Any]]:
    winner = problem.winner(replays.tolerance)
    return [
        {
            "problem_id": number, "problem": compact(canonical(problem.contract)), "op": problem.contract["op"],
            "direction": problem.contract["direction"], "device": replays.start["device"],
            "version": attempt.version, "algorithm": attempt.name, "engine": attempt.engine,
            "knobs": compact({**attempt.env, **_told(attempt, problem)}),
            "implementation": attempt.implementation,
            "workspace_bytes": attempt.library["workspace_bytes"] if attempt.library else None,
            "time_of": TIME_OF if attempt.rounds else None,
            "status": _status(attempt), "chosen": attempt is winner, "source": SOURCE, "evidence": _evidence(attempt),
            "picked_by": SOURCE if attempt is winner else None, "device_model": replays.start["description"],
            "reason": _reason(attempt, replays), "details": compact(_details(replays, problem, attempt)),
            **timing(attempt.rounds),
        }
        for attempt in problem.attempts.values()
    ]  # fmt: skip


def _evidence(attempt: Attempt) -> str | None:
    """Null where nothing of the candidate was seen."""
    seen = attempt.lines or attempt.library or attempt.rounds or attempt.status
    return "measured" if seen else None


def _status(attempt: Attempt) -> str:
    if attempt.status is not None:
        return attempt.status
    return "ok" if attempt.rounds else "not_tried"


def _reason(attempt: Attempt, replays: Replays) -> str | None:
    if attempt.reason is not None:
        return attempt.reason
    if attempt.same_as is not None:
        return f"oneDNN runs the same as for {attempt.same_as}"
    return None if attempt.rounds else replays.end or CUT_SHORT


def _told(attempt: Attempt, problem: Replayed) -> dict[str, Any]:
    """What the variant asks for beyond the problem itself."""
    usual = {
        "layout": problem.contract["layout"],
        "dtype": problem.contract["dtype"],
        "jit_compile": False,
        "unfused": False,
    }
    return {k: v for k, v in attempt.variant.items() if usual.get(k) != v}


def _details(replays: Replays, problem: Replayed, attempt: Attempt) -> dict[str, Any]:
    parsed = [line for line in map(parse_line, attempt.lines) if line is not None]
    return {
        "settings": {"env": attempt.env, "code": attempt.code},
        "timed_calls": attempt.trials,
        "ops_in_a_call": attempt.repeats,
        "default": attempt is next(iter(problem.attempts.values())),
        "same_as": attempt.same_as,
        "exact_enough": attempt.exact(replays.tolerance),
        **attempt.difference,
        "library_call": attempt.library,
        "tried": attempt.tried,
        "printed": attempt.printed.text() if attempt.printed else None,
        "primitives": [
            {"call": call, "implementation": implementation or None, "count": count}
            for (call, implementation), count in Counter((p.primitive, p.implementation) for p in parsed).items()
        ],
        "spec": problem.spec,
        "traced_calls": problem.calls,
    }  # fmt: skip


def manifest(replays: Replays, run: Mapping[str, Any]) -> dict[str, Any]:
    start, started, ended = replays.start, run.get("started_ns"), run.get("ended_ns")
    timed = sum(len(a.rounds) for p in replays.problems for a in p.attempts.values())
    untimed = sum(
        _status(a) == "not_tried" and not a.same_as for p in replays.problems for a in p.attempts.values()
    )
    onednn = next((a.version for p in replays.problems for a in p.attempts.values() if a.version), None)
    why = f"{untimed} candidates were not timed: {replays.end or CUT_SHORT}" if untimed else None
    return {
        "format_version": schemas.FORMAT_VERSION,
        "created": datetime.fromtimestamp(started / 1e9, timezone.utc).isoformat() if started else None,
        "argv": list(run.get("argv", [])),
        "exit_status": None,
        "wall_us": (ended - started) / 1000 if started and ended else None,
        "synthetic": bool(start.get("synthetic")),
        "versions": {**start.get("versions", {}), "onednn": onednn},
        "devices": [
            {"name": start["device"], "type": "GPU" if "GPU" in start["device"] else "CPU",
             "description": start.get("description")}
        ],
        "env": {},
        "clocks": [],
        "processes": [],
        "probes": [
            {"name": SOURCE, "status": "partly" if untimed else "ok", "reason": why, "events": timed,
             "lost": untimed, "overhead_us": None}
        ],
        "unobserved": dict.fromkeys(LAYERS, _UNOBSERVED),
        "problems": [],
        "tuned": {
            **{key: start.get(key) for key in _ABOUT},
            "ended_because": replays.end, "left_out": replays.left_out,
        },
    }  # fmt: skip
