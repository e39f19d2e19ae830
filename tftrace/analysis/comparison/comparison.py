"""`compare`: several runs, the first of them the baseline, as one document and as DataFrames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import pandas as pd

from tftrace.analysis.comparison import ops, problems
from tftrace.analysis.comparison.environment import environment
from tftrace.analysis.comparison.intervals import LEVEL
from tftrace.analysis.comparison.matching import match
from tftrace.analysis.comparison.optimized import by_fate
from tftrace.analysis.comparison.run import runs as named
from tftrace.analysis.comparison.solved import solved
from tftrace.errors import UsageError
from tftrace.model.trace import Trace

_ENOUGH: Final = 3
"""Unchanged problems from which on their median says something about the runs."""


@dataclass(frozen=True)
class Comparison:
    """What `tftrace compare` knows. `document` is that of `--json`; the frames are the same, for use in Python.

    Times are in microseconds, of one steady execution; warm-up is apart. `difference_us` and `ratio` go from the
    baseline to the run of the row, with intervals at `document["level"]`; a null interval has its reason in `note`.
    """

    document: Mapping[str, Any]

    @property
    def problems(self) -> pd.DataFrame:
        """One row a problem and run: the fields of the problem, verdict, cause, and those of the run and its change."""
        return _frame(self.document["problems"], lambda row: {**row["problem"], "cause": row["cause"]})

    @property
    def ops(self) -> pd.DataFrame:
        """One row an op type and run."""
        return _frame(self.document["ops"], lambda row: {"op": row["op"]})

    @property
    def sites(self) -> pd.DataFrame:
        """One row an op, line of Python and run."""
        return _frame(self.document["sites"], lambda row: {k: row[k] for k in ("op", "file", "code")})

    @property
    def kernels(self) -> pd.DataFrame:
        """One row a kernel and run."""
        return _frame(self.document["kernels"], lambda row: {k: row[k] for k in ("layer", "kernel")})

    @property
    def optimized(self) -> pd.DataFrame:
        """One row an op, line of Python and run, of those that some run did not execute as they were made."""
        rows = [
            {k: row[k] for k in ("op", "file", "line", "code")} | run
            for row in self.document["optimized"]
            for run in row["runs"]
        ]
        frame: pd.DataFrame = pd.DataFrame(rows)
        return frame

    @property
    def environment(self) -> pd.DataFrame:
        """What about the runs is not the same: columns kind, name, and one a run."""
        rows = [
            {
                "kind": d["kind"],
                "name": d["name"],
                **dict(zip(self.document["traces"], d["values"], strict=True)),
            }
            for d in self.document["environment"]
        ]
        frame: pd.DataFrame = pd.DataFrame(rows, columns=["kind", "name", *self.document["traces"]])
        return frame


def compare(traces: Sequence[Trace]) -> Comparison:
    """What differs from the first of `traces` to each of the others. Raises UsageError for fewer than two."""
    if len(traces) < 2:
        raise UsageError(
            "a comparison takes two traces or more, the baseline first; 'tftrace list' shows those here"
        )
    runs = named(traces)
    differences = [environment([traces[0], trace]) for trace in traces]
    rows = [problems.compared(row, runs, differences) for row in match([solved(t) for t in traces])]
    rows.sort(key=lambda row: -_cost(row))
    return Comparison(
        {
            "traces": [run.label for run in runs],
            "baseline": runs[0].label,
            "synthetic": any(t.synthetic for t in traces),
            "level": LEVEL,
            "runs": [run.document() for run in runs],
            "environment": [d.document() for d in environment(traces)],
            "summary": _summary(rows),
            "problems": rows,
            "ops": ops.by_op(runs),
            "sites": ops.by_site(runs),
            "kernels": ops.by_kernel(runs),
            "optimized": by_fate(runs),
        }
    )


def _cost(row: Mapping[str, Any]) -> float:
    return max((r.get("in_all_us") or 0.0) for r in row["runs"])


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many problems have each verdict; changed picks without a visible reason; differences nobody can judge; what
    the differences outside the noise come to, over all calls of each run; and by how much problems whose algorithm did
    not change differ at the median: where that is far from 1, the machine was in another state or had other load."""
    verdicts = Counter(row["verdict"] for row in rows)
    changes = [c for row in rows for c in row["changes"]]
    told = [c for c in changes if c["time"] in ("slower", "faster") and c["in_all_us"] is not None]
    spent: dict[str, float] = {}
    for c in told:
        spent[c["trace"]] = spent.get(c["trace"], 0.0) + c["in_all_us"]
    alike: dict[str, list[float]] = {}
    for c in changes:
        if c["pick_changed"] is False and c["ratio_low"] is not None:
            alike.setdefault(c["trace"], []).append(c["ratio"])
    return {
        "verdicts": {v: verdicts[v] for v in problems.VERDICTS},
        "unexplained": sum(bool(c["pick_changed"]) and not c["causes"] for c in changes),
        "unjudged": sum(c["time"] is None for c in changes),
        "in_all_us": {trace: round(us, 3) for trace, us in spent.items()},
        "unchanged_ratio": {
            trace: round(median(ratios), 4) for trace, ratios in alike.items() if len(ratios) >= _ENOUGH
        },
    }


def _frame(rows: Sequence[Mapping[str, Any]], names: Any) -> pd.DataFrame:
    flat = []
    for row in rows:
        by_trace = {c["trace"]: c for c in row["changes"]}
        for run in row["runs"]:
            told = {k: v for k, v in run.items() if k not in ("candidates", "problem", "also")}
            change = by_trace.get(run["trace"], {})
            moved = {
                f"change_{k}" if k in told else k: v
                for k, v in change.items()
                if k not in ("trace", "causes")
            }
            flat.append({**names(row), "verdict": row["verdict"], **told, **moved})
    frame: pd.DataFrame = pd.DataFrame(flat)
    return frame
