"""What a comparison knows of one run as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from tftrace.analysis.columns import Codes, Ints, let_go, numbers, parts, positions_in, rows_of, table, texts
from tftrace.analysis.comparison.environment import devices, machine
from tftrace.analysis.python_cost import python_cost
from tftrace.model.trace import Trace


@dataclass(frozen=True)
class Run:
    """`label` is unique among the runs compared; `steps` is None where the trace has none."""

    label: str
    trace: Trace
    steps: int | None
    _steps_of: Mapping[str, int] = field(default_factory=dict)

    def steps_with(self, op: str) -> int | None:
        """In how many steps this op type ran: some run in fewer than all, such as those of an input pipeline."""
        return self._steps_of.get(op) or self._steps_of.get(f"_Fused{op}") or self.steps

    def document(self) -> dict[str, Any]:
        manifest = self.trace.manifest
        return {
            "trace": self.label,
            "path": None if self.trace.path is None else str(self.trace.path),
            "synthetic": self.trace.synthetic,
            "steps": self.steps,
            "versions": dict(manifest.get("versions") or {}),
            "env": dict(manifest.get("env") or {}),
            "devices": devices(self.trace),
            "machine": machine(self.trace),
            "tracing_us": _tracing_us(self.trace),
            "python": python_cost(self.trace),
        }


def runs(traces: Sequence[Trace]) -> list[Run]:
    """The runs under names that tell them apart: that of the directory, with so many above it as that takes."""
    found = []
    for label, trace in zip(labels(traces), traces, strict=True):
        found.append(_run(label, trace))
        let_go(trace)
    return found


def labels(traces: Sequence[Trace]) -> list[str]:
    parts = [t.path.absolute().parts if t.path else (t.name,) for t in traces]
    found = [""] * len(traces)
    for depth in range(1, max(map(len, parts), default=0) + 1):
        tails = ["/".join(p[-depth:]) for p in parts]
        counts = Counter(tails)
        found = [f or (tail if counts[tail] == 1 else "") for f, tail in zip(found, tails, strict=True)]
    # one trace given twice
    seen: Counter[str] = Counter()
    named = []
    for label, trace in zip(found, traces, strict=True):
        seen[label or trace.name] += 0 if label else 1
        named.append(label or f"{trace.name} ({seen[trace.name]})")
    return named


def _run(label: str, trace: Trace) -> Run:
    sites = table(trace, "sites")
    op, site_rows = texts(sites, "op"), rows_of(sites, "site_id")
    op_of = np.append(op.codes, -1)

    def make(part: pa.Table, _: int) -> tuple[Ints, Ints]:
        step = numbers(part, "step")
        code = op_of[positions_in(site_rows, numbers(part, "site_id"))]
        return _pairs(code[step.valid], step.values[step.valid])

    none = np.zeros(0, np.int64)
    codes, steps = zip((none, none), *parts(trace, "calls", ["site_id", "step"], make), strict=True)
    code, step = _pairs(np.concatenate(codes), np.concatenate(steps))
    counts = np.bincount(code[code >= 0], minlength=len(op.values)).tolist()
    steps_of = {name: n for name, n in zip(op.values, counts, strict=True) if n}
    return Run(label, trace, len(np.unique(step)) or None, steps_of)


def _pairs(code: Codes, step: Ints) -> tuple[Codes, Ints]:
    """Each different pair once."""
    known, at = np.unique(step, return_inverse=True)
    span = int(code.max(initial=-1)) + 2
    at, code = np.divmod(np.unique(at * span + code + 1), span)
    return code - 1, known[at]


def _tracing_us(trace: Trace) -> float | None:
    """Python time spent on making graph nodes; None where none was made."""
    sites = table(trace, "sites")
    if "trace_us" not in sites.column_names or not sites.num_rows:
        return None
    spent = np.asarray(sites.column("trace_us").to_numpy(), np.float64)
    return round(float(np.nansum(spent)), 3) if np.isfinite(spent).any() else None
