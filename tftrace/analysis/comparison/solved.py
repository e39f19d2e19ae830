"""A problem as one run solved it: what it picked, among what, and the single times of its executions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from tftrace.analysis import algorithms
from tftrace.analysis.columns import let_go
from tftrace.analysis.comparison.samples import NOTHING, Samples, by_problem
from tftrace.model.problem import canonical, identity
from tftrace.model.trace import Trace

_BY_KERNELS: Final = "kernel_names"

ONE_TIME: Final = "the trace holds one time, not the repetitions: no interval"
TRIAL: Final = "time of a trial"
MEAN: Final = "the sum of all calls is known, not each: no interval"


@dataclass(frozen=True)
class Pick:
    """One algorithm that ran. Two are the same where nothing that both tell differs.

    `kernel` is what an algorithm ran as, where kernel names told the algorithm: cuDNN chooses it by GPU and size, and
    it is no pick of its own. `alternative` is another algorithm that launches the same kernels: which of the two it
    was, is not known.
    """

    algorithm: str | None
    implementation: str | None
    engine: str | None
    calls: int | None
    kernel: str | None = None
    alternative: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Pick:
        """The pick that this row of the ledger would be."""
        engine, implementation, kernel = row["engine"], row["implementation"], None
        if row["algorithm"] is not None and _BY_KERNELS in str(row["source"]):
            implementation, kernel = None, implementation
        engine = None if engine is None else str(engine)
        return cls(
            row["algorithm"], implementation, engine, whole(row["calls"]), kernel, row.get("alternative")
        )

    @property
    def label(self) -> str:
        """Algorithm and implementation in one, as far as they are known."""
        parts = [p for p in (self.algorithm, self.implementation) if p]
        return " ".join(parts) or (f"engine {self.engine}" if self.engine is not None else "(not named)")

    def differs(self, other: Pick) -> bool | None:
        """Whether it is another algorithm; None where the two tell nothing that could be compared."""
        both = (self.algorithm, other.algorithm)
        may_be_one = None not in both and both in (
            (self.algorithm, self.alternative),
            (other.alternative, other.algorithm),
        )
        pairs = [
            (self.algorithm, self.algorithm if may_be_one else other.algorithm),
            (self.implementation, other.implementation), (self.engine, other.engine),
        ]  # fmt: skip
        told = [a != b for a, b in pairs if a is not None and b is not None]
        return any(told) if told else None


@dataclass(frozen=True)
class Solved:
    """One problem in one run. `picks`: the most used first. `note`: why times are not those of steady executions."""

    problem: dict[str, Any]
    key: str
    device: str | None
    device_model: str | None
    library: str | None
    version: str | None
    picks: tuple[Pick, ...]
    rows: list[dict[str, Any]]
    samples: Samples
    note: str | None
    calls: int | None
    order: float
    """When it was first seen, or else its place in the ledger."""

    @property
    def workspace_bytes(self) -> int | None:
        return next(
            (w for r in self.rows if r["chosen"] and (w := whole(r["workspace_bytes"])) is not None), None
        )


def solved(trace: Trace) -> list[Solved]:
    """The problems of the ledger, those that cost most first."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in algorithms.ledger(trace).to_dict("records"):
        told = {str(k): v for k, v in row.items()}
        groups.setdefault((told["problem_id"], told["device"], told["library"]), []).append(told)
    executed = _Executed(trace)
    found = [_solved(rows, at, executed) for at, rows in enumerate(groups.values())]
    let_go(trace)
    return found


class _Executed:
    """Times from the events of the trace, read when they are first asked for."""

    def __init__(self, trace: Trace) -> None:
        self._read = partial(by_problem, trace)
        self._found: dict[tuple[str, str], Samples] | None = None
        imported = trace.manifest.get("imported")
        self.from_the_start = not imported

    def of(self, library: str | None, key: str) -> Samples:
        if self._found is None:
            self._found = self._read()
        return self._found.get((library or "", key), NOTHING)


def _solved(rows: list[dict[str, Any]], at: int, executed: _Executed) -> Solved:
    first = rows[0]
    problem = canonical({"op": first["op"], "direction": first["direction"]} | first["problem"])
    key = identity(problem)
    chosen = sorted((r for r in rows if r["chosen"]), key=lambda r: -(whole(r["calls"]) or 0))
    counted = [c for r in chosen if (c := whole(r["calls"])) is not None]
    samples, note = _times(chosen, executed, first["library"], key)
    begun = [b for r in rows if (b := number(r.get("first_ns"))) is not None]
    return Solved(
        problem=problem, key=key, device=first["device"], device_model=first.get("device_model"),
        library=first["library"], version=first["version"],
        picks=tuple(Pick.of(row) for row in chosen),
        rows=rows, samples=samples, note=note, calls=sum(counted) if counted else None,
        order=min(begun) if begun else float(at),
    )  # fmt: skip


def _times(
    chosen: list[dict[str, Any]], executed: _Executed, library: str | None, key: str
) -> tuple[Samples, str | None]:
    """The executions of what was chosen: the ledger's own repetitions where those are executions, and not an
    autotuner's trials; else the events; else what single number the ledger has."""
    of = next((r["time_of"] for r in chosen if r.get("time_of")), None)
    if not any(whole(r["trials"]) for r in chosen):
        kept = [_finite(r.get("samples_us")) for r in chosen]
        if any(kept):
            # the first execution of a problem makes its primitive or plan: it is warm-up where the run was recorded
            # from its beginning
            warm = 1 if executed.from_the_start else 0
            cold = [t for times in kept for t in times[:warm]]
            rest = [t for times in kept for t in times[warm:]]
            return Samples(np.array(rest), np.array(cold), of), None
    found = executed.of(library, key)
    if len(found.compared):
        return found, None
    totals = [(number(r.get("total_us")), whole(r["calls"])) for r in chosen]
    calls = sum(c for total, c in totals if total is not None and c)
    if calls:
        mean = sum(t for t, c in totals if t is not None and c) / calls
        return Samples(np.array([mean]), np.empty(0), of), MEAN if calls > 1 else None
    single = next((t for r in chosen if (t := number(r["time_us"])) is not None), None)
    if single is None:
        return NOTHING, None
    tried = any(whole(r["trials"]) for r in chosen)
    return Samples(np.array([single]), np.empty(0), of), TRIAL if tried else ONE_TIME


def number(value: Any) -> float | None:
    """The value as a finite number, else None."""
    if value is None or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def whole(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def _finite(values: Any) -> list[float]:
    return [] if values is None else [t for v in values if (t := number(v)) is not None]
