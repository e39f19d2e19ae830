"""What a tuning was asked for, and the candidates that come of it."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tftrace.analysis.replayable import Wanted
from tftrace.capture.settings import Candidate, Machine, candidates, why_not
from tftrace.errors import UsageError
from tftrace.model.conv2d_spec import Conv2dSpec

TOLERANCE: Final = 2.0**-7
"""Largest difference of a result to the reference, as a share of the reference's largest element, at which a candidate
may still win: that of bfloat16, whose numbers lie 2**-7 apart, relative to their size."""
BUDGET_S: Final = 120.0


@dataclass(frozen=True)
class TuneRequest:
    """`wanted` are the convolutions, `left_out` the problems of the same trace that are none, `traced` its name.

    `only`: globs on the names of candidates; empty for all. `output` None: traces/tune-<time>.
    """

    wanted: Sequence[Wanted]
    left_out: Sequence[dict[str, Any]] = ()
    traced: str | None = None
    argv: Sequence[str] = field(default_factory=list)
    output: Path | None = None
    force: bool = False
    budget_s: float = BUDGET_S
    tolerance: float = TOLERANCE
    only: tuple[str, ...] = ()
    python: str | None = None


def split(
    request: TuneRequest, machine: Machine
) -> tuple[list[tuple[Wanted, list[Candidate]]], list[dict[str, Any]]]:
    """(convolutions with their candidates, what is left out, with reasons).

    Raises UsageError where `only` leaves no candidate at all.
    """
    replayed: list[tuple[Wanted, list[Candidate]]] = []
    left_out = list(request.left_out)
    names: list[str] = []
    for wanted in request.wanted:
        reason = why_not(wanted.spec, machine)
        if reason is not None:
            left_out.append({"problem": wanted.spec.problem(), "reason": reason})
            continue
        every = candidates(wanted.spec, machine)
        names += [c.name for c in every]
        chosen = [
            c for c in every if not request.only or any(fnmatch.fnmatchcase(c.name, p) for p in request.only)
        ]
        replayed.append((wanted, chosen))
    if replayed and not any(chosen for _, chosen in replayed):
        raise UsageError(
            f"--only {' '.join(request.only)}: fits no candidate; there are {', '.join(dict.fromkeys(names))}"
        )
    return replayed, left_out


def fits(candidate: Candidate, request: TuneRequest) -> bool:
    """Whether the candidate's name is one of those asked for."""
    return not request.only or any(fnmatch.fnmatchcase(candidate.name, glob) for glob in request.only)


def candidate_record(problem: int, candidate: Candidate) -> dict[str, Any]:
    return {
        "what": "candidate", "problem": problem, "name": candidate.name, "engine": candidate.engine,
        "env": dict(candidate.setting.env), "code": list(candidate.code), "variant": dict(candidate.variant),
    }  # fmt: skip


def records(
    replayed: Sequence[tuple[Wanted, Sequence[Candidate]]], left_out: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"what": "left_out", "contract": row["problem"], "reason": row["reason"]} for row in left_out
    ]
    for number, (wanted, chosen) in enumerate(replayed):
        found.append(
            {"what": "problem", "problem": number, "spec": str(wanted.spec), "contract": wanted.spec.problem(),
             "calls": wanted.calls}
        )  # fmt: skip
        found += [candidate_record(number, candidate) for candidate in chosen]
    return found


def start_record(request: TuneRequest, here: Machine, facts: dict[str, Any]) -> dict[str, Any]:
    """What the tuning runs on; `facts` is what the interpreter said of itself."""
    return {
        "what": "start", "versions": facts["versions"], "device": here.device,
        "description": here.gpus[0] if here.gpus else here.processor, "processor": here.processor, "cpus": here.cpus,
        "memory_bytes": here.memory_bytes, "synthetic": facts["synthetic"], "python": facts["executable"],
        "budget_s": request.budget_s, "tolerance": request.tolerance, "traced": request.traced,
    }  # fmt: skip


def as_replayed(spec: Conv2dSpec, folder: Path) -> dict[str, Any]:
    """The problem as `tftrace/agent/replay.py` takes it, with its arrays in `folder`."""
    return {
        "input": spec.input, "filter": spec.filter, "output": spec.output, "strides": spec.strides,
        "dilations": spec.dilations, "padding": spec.paddings,
        "padding_name": spec.padding if isinstance(spec.padding, str) else None, "groups": spec.groups,
        "dtype": spec.dtype, "direction": spec.direction, "fused": spec.fused, "tensors": str(folder),
    }  # fmt: skip
