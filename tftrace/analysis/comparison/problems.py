"""Each problem in each run: who won, in which time, what changed, why, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tftrace.analysis.comparison.environment import Difference, Kind, may_change_picks
from tftrace.analysis.comparison.matching import Matched
from tftrace.analysis.comparison.run import Run
from tftrace.analysis.comparison.solved import Pick, Solved, number, whole
from tftrace.analysis.comparison.times import between, cost, of_run, rounded

VERDICTS: Final = ("algorithm_changed", "only_in_some", "slower", "faster", "within_noise", "same")
"""Of a problem in all runs: the first that holds for one of them. `same` is also where nothing tells a difference."""

UNEXPLAINED: Final = "no visible reason (nondeterminism)"

_HOW: Final[tuple[Kind, ...]] = ("layout", "dtype", "math", "fused")


def compared(
    row: Matched, runs: Sequence[Run], differences: Sequence[Sequence[Difference]]
) -> dict[str, Any]:
    """The document of one problem. The first run is the baseline; `differences` are those of each run to it."""
    base = row.runs.get(0)
    changes = [
        _change(base, row.runs[n], runs[0], runs[n], differences[n])
        for n in range(1, len(runs))
        if base is not None and n in row.runs
    ]
    found = {c["time"] for c in changes if c["difference_us"] != 0}
    found |= {"algorithm_changed"} if any(c["pick_changed"] for c in changes) else set()
    found |= {"only_in_some"} if len(row.runs) < len(runs) else set()
    return {
        "problem": row.first.problem,
        "verdict": next((v for v in VERDICTS if v in found), "same"),
        "cause": next((c["cause"] for c in changes if c["pick_changed"]), None),
        "evidence": row.evidence,
        "runs": [_run(row.runs.get(n), run) for n, run in enumerate(runs)],
        "changes": changes,
    }


def _run(one: Solved | None, run: Run) -> dict[str, Any]:
    if one is None:
        nothing = {"chosen": None, "time_us": None, "low_us": None, "high_us": None, "calls": None}
        return {"trace": run.label, "present": False, **nothing}
    main = one.picks[0] if one.picks else None
    times = of_run(one.samples)
    tuning = [t for r in one.rows if (t := number(r.get("tuning_us"))) is not None]
    return {
        "trace": run.label,
        "present": True,
        "chosen": None if main is None else main.algorithm or main.label,
        "implementation": main.implementation if main else None,
        "kernel": main.kernel if main else None,
        "pick": main.label if main else None,
        "also": [{"pick": p.label, "calls": p.calls} for p in one.picks[1:]],
        "problem": one.problem,
        "evidence": next((r["evidence"] for r in one.rows if r["chosen"]), None),
        "library": one.library,
        "version": one.version,
        "device": one.device,
        "device_model": one.device_model,
        **times,
        "note": one.note or times["note"],
        "calls": one.calls,
        "per_step_us": _per_step(times["time_us"], one, run),
        "in_all_us": _in_all(times["time_us"], one),
        "tuning_us": rounded(sum(tuning)) if tuning else None,
        "workspace_bytes": one.workspace_bytes,
        "candidates": [_candidate(r) for r in one.rows],
    }


def _candidate(row: dict[str, Any]) -> dict[str, Any]:
    pick = Pick.of(row)
    return {
        "pick": pick.label,
        "kernel": pick.kernel,
        "time_us": rounded(number(row["time_us"])),
        "time_of": row.get("time_of"),
        "workspace_bytes": whole(row["workspace_bytes"]),
        "status": row["status"],
        "chosen": bool(row["chosen"]),
        "evidence": row["evidence"],
    }


def _change(
    base: Solved, other: Solved, base_run: Run, run: Run, differences: Sequence[Difference]
) -> dict[str, Any]:
    changed = pick_changed(base, other)
    why = causes(base, other, differences) if changed else []
    times = between(base.samples, other.samples)
    notes = dict.fromkeys(n for n in (base.note, other.note, times["note"]) if n)
    return {
        "trace": run.label,
        "baseline": base_run.label,
        "pick_changed": changed,
        "kernel_changed": _kernel_changed(base, other) if changed is False else None,
        "cause": ("; ".join(d.words() for d in why) or UNEXPLAINED) if changed else None,
        "causes": [d.document() for d in why],
        **times,
        "note": "; ".join(notes) or None,
        "also_tried": _tried_by_other(base, other) if changed else None,
        **cost(times, other.calls, run.steps_with(other.problem["op"])),
    }


def pick_changed(base: Solved, other: Solved) -> bool | None:
    """Whether the runs used different algorithms; None where either does not tell. All count, if several."""
    if not base.picks or not other.picks:
        return None
    told = [a.differs(b) for a in base.picks for b in other.picks]
    if all(t is None for t in told):
        return None
    return any(
        all(a.differs(b) for b in theirs)
        for mine, theirs in ((base.picks, other.picks), (other.picks, base.picks))
        for a in mine
    )


def _kernel_changed(base: Solved, other: Solved) -> bool | None:
    """Whether the same algorithm ran as something else; None where either does not tell."""
    mine, others = ({p.kernel for p in one.picks} for one in (base, other))
    return None if None in mine | others else mine != others


def causes(base: Solved, other: Solved, differences: Sequence[Difference]) -> list[Difference]:
    """What is visibly different about the problem and the runs, and can have changed the pick; the closest first."""
    found = [
        Difference(kind, kind, (_text(base.problem.get(kind)), _text(other.problem.get(kind))))
        for kind in _HOW
        if base.problem.get(kind) != other.problem.get(kind)
    ]
    for kind, name, a, b in (
        ("library", "library", base.library, other.library),
        ("library", base.library or "library", base.version, other.version),
        ("device", "device", *_devices(base, other)),
    ):
        if a != b and a is not None and b is not None:
            found.append(Difference(kind, name, (a, b)))  # type: ignore[arg-type]
    of_runs = may_change_picks(differences, base.device)
    if any(d.kind == "device" for d in found):
        of_runs = [d for d in of_runs if d.kind != "device"]
    return found + of_runs


def _devices(base: Solved, other: Solved) -> tuple[str | None, str | None]:
    """The devices of the two by what both tell: a model that one of them alone knows is no difference."""
    if base.device_model and other.device_model:
        return base.device_model, other.device_model
    return base.device, other.device


def _tried_by_other(base: Solved, other: Solved) -> str | None:
    """How the baseline's pick fared in the other run, where it was a candidate there: what a close race looks like."""
    mine, won = base.picks[0], next(r for r in other.rows if r["chosen"])
    row = next((r for r in other.rows if not r["chosen"] and Pick.of(r).differs(mine) is False), None)
    if row is None:
        return None
    if row["status"] != "ok":
        return f"{mine.label}: {row['status']} there"
    times = [number(r["time_us"]) for r in (row, won)]
    if row.get("time_of") != won.get("time_of") or not times[0] or not times[1]:
        return None
    return f"{mine.label}: {100 * (times[0] / times[1] - 1):+.1f} % against the winner there"


def _per_step(time_us: float | None, one: Solved, run: Run) -> float | None:
    steps = run.steps_with(one.problem["op"])
    return None if time_us is None or one.calls is None or not steps else rounded(time_us * one.calls / steps)


def _in_all(time_us: float | None, one: Solved) -> float | None:
    return None if time_us is None or one.calls is None else rounded(time_us * one.calls)


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        return "+".join(map(str, value)) or "nothing"
    return None if value is None else str(value)
