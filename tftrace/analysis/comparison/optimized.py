"""What the graph's optimizer, or XLA, made of each line's ops in each run: one model in several modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tftrace.analysis import fates
from tftrace.analysis.columns import let_go
from tftrace.analysis.comparison.ops import sites_that_ran
from tftrace.analysis.comparison.run import Run


def by_fate(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row an op and line of Python that some run did not execute as it was made, in the order of the lines.

    `runs` has for each run `fate` ("ran", "not seen" of an op that was made and not seen to run, one of `fates.FATES`,
    or None where the run made no such op), `count` of its executions, and of an op whose work another kernel did
    `into`, `kernel` and `into_op`.
    """
    gone, made, ran = [], [], []
    for run in runs:
        gone.append(_by_key(run))
        made.append(set(fates.made(run.trace)))
        ran.append(sites_that_ran(run.trace))
        let_go(run.trace)
    rows = []
    for key in dict.fromkeys(k for one in gone for k in one):
        states = [
            _state(run, one.get(key), counts.get(key), key in known)
            for run, one, counts, known in zip(runs, gone, ran, made, strict=True)
        ]
        lines = sorted({n for one in gone if key in one and (n := one[key].line) is not None})
        rows.append(
            {
                "op": key[0],
                "file": key[1],
                "code": key[2],
                "line": lines[0] if lines else None,
                "runs": states,
            }
        )
    rows.sort(key=lambda row: (row["file"], row["line"] or 0))
    return rows


def _by_key(run: Run) -> dict[tuple[str, str, str], fates.Fate]:
    found: dict[tuple[str, str, str], fates.Fate] = {}
    for key, one in fates.by_line(run.trace):
        found.setdefault(key, one)
    return found


def _state(run: Run, gone: fates.Fate | None, ran: int | None, made: bool) -> dict[str, Any]:
    if gone is None:
        fate = "ran" if ran else "not seen" if made else None
        return {"trace": run.label, "fate": fate, "count": ran or 0}
    told = {k: v for k, v in gone.document().items() if k in ("fate", "meaning", "into", "kernel", "into_op")}
    return {"trace": run.label, "count": ran or 0, **told}
