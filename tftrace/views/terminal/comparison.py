"""Draws the document of `tftrace compare`: what differs between the runs, problems, ops, and what only some have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from tftrace.views.comparison.wording import (
    EXPLAINED,
    VERDICTS,
    change,
    judged,
    node_name,
    short_change,
    verdict,
    verdict_counts,
)  # fmt: skip
from tftrace.views.terminal.tables import rows_table
from tftrace.views.terminal.wording import (
    NONE,
    SYNTHETIC,
    SYNTHETIC_STYLE,
    count,
    geometry,
    micros,
    place,
    plain,
    short_fate,
)

_STYLE: Final = {"algorithm_changed": "yellow", "only_in_some": "cyan", "slower": "red", "faster": "green"}
_NAME: Final = 20
_SHORT: Final = 15
_LISTED: Final = 12
_SHIFT: Final = 0.1
"""A shift of all unchanged problems that is worth a line."""


def draw(console: Console, document: Mapping[str, Any], limit: int) -> None:
    _runs(console, document)
    problems = sorted(document["problems"], key=lambda row: list(VERDICTS).index(verdict(row)))
    for row in problems[:limit]:
        _problem(console, row)
    _more(console, len(problems), limit, "problem")
    if not problems:
        console.print("No library reported an algorithm in these runs: they are compared by ops.\n")
    for key, what in (("ops", "op"), ("sites", "line"), ("kernels", "kernel")):
        _table(console, document, key, what, limit)
    _steps(console, document)
    _optimized(console, document, limit)
    console.print(Text(f"intervals at {100 * document['level']:.0f} %. {EXPLAINED}", style="dim"))


def draw_gates(console: Console, outcomes: Sequence[Mapping[str, Any]]) -> None:
    """How each gate fared, with every failure."""
    for one in outcomes:
        unjudged = f", {count(one['unjudged'])} not judged" if one["unjudged"] else ""
        state = "FAILED" if one["failed"] else "passed" if one["judged"] else "passed: nothing to judge"
        style = "bold red" if one["failed"] else "green"
        console.print(Text(f"gate {one['gate']}: {state}{unjudged}", style=style))
        for line in one["failures"]:
            console.print(Text(f"  {plain(line)}"))


def _runs(console: Console, document: Mapping[str, Any]) -> None:
    if document["synthetic"]:
        console.print(SYNTHETIC, style=SYNTHETIC_STYLE)
    base, *others = document["traces"]
    console.print(Text(f"baseline {plain(base)}, against it {', '.join(map(plain, others))}", style="bold"))
    for one in document["environment"]:
        values = " | ".join(NONE if v is None else plain(v) for v in one["values"])
        name = "" if one["name"] in (one["kind"], f"{one['kind']}s") else f" {plain(one['name'])}"
        console.print(f"  {one['kind']}{name}: {values}")
    if not document["environment"]:
        console.print("  nothing visible differs: versions, devices, machine, settings", style="dim")
    summary = document["summary"]
    told = verdict_counts(document["problems"])
    if told:
        console.print(f"{count(len(document['problems']), 'problem')}: {', '.join(told)}")
    if summary["unexplained"]:
        line = f"{count(summary['unexplained'], 'pick')} changed for no visible reason"
        console.print(Text(line, style="yellow"))
    for trace, us in summary["in_all_us"].items():
        console.print(f"outside the noise: {_signed(us)} over all library calls of {plain(trace)}")
    for trace, ratio in summary["unchanged_ratio"].items():
        if abs(ratio - 1) > _SHIFT:
            line = f"unchanged algorithms ran {100 * (ratio - 1):+.0f} % in {plain(trace)} at the median: "
            console.print(
                Text(line + "the machine's state or other load is in all of these times", style="yellow")
            )
    console.print()


def _problem(console: Console, row: Mapping[str, Any]) -> None:
    problem = row["problem"]
    title = Text(plain(problem["op"]), style="bold")
    for key in ("input", "filter", "shapes", "layout", "dtype"):
        if problem.get(key):
            title.append(f" {geometry(problem[key])}", style="dim")
    if row["evidence"] != "measured" and node_name(problem):
        title.append(f" {plain(node_name(problem), 80)}", style="dim")
    title.append(f"  {VERDICTS[verdict(row)]}", style=_STYLE.get(row["verdict"], "dim"))
    if row["evidence"] != "measured":
        title.append("  matched by order alone: inferred", style="yellow")
    console.print(title)
    for cause in dict.fromkeys(c["cause"] for c in row["changes"] if c["cause"]):
        whose = [plain(c["trace"]) for c in row["changes"] if c["cause"] == cause]
        name = f"{', '.join(whose)}: " if len(row["changes"]) > 1 else ""
        console.print(Text(f"  {name}{plain(cause)}", style="yellow"))
    grades = dict.fromkeys(str(r["evidence"]) for r in row["runs"] if r.get("evidence"))
    if set(grades) - {"measured"}:
        console.print(Text(f"  algorithms: {', '.join(grades)}", style="dim"))
    changes = {c["trace"]: c for c in row["changes"]}
    table = [
        {
            "run": run["trace"],
            "algorithm": run["pick"] if run["present"] else "(not in this run)",
            "time_us": run["time_us"],
            "change": change(changes.get(run["trace"])),
            "": judged(changes.get(run["trace"])) or run.get("note"),
            "calls": run["calls"],
            "per_step_us": changes.get(run["trace"], {}).get("per_step_us"),
            "in_all_us": changes.get(run["trace"], {}).get("in_all_us"),
        }
        for run in row["runs"]
    ]
    console.print(rows_table(console, table))
    for one in row["changes"]:
        if one["also_tried"]:
            console.print(Text(f"  {plain(one['trace'])} tried {plain(one['also_tried'])}", style="dim"))
        if one["kernel_changed"]:
            line = f"  {plain(one['trace'])}: the same algorithm ran as another kernel, {_kernels(row, one)}"
            console.print(Text(line, style="dim"))
    for run in row["runs"]:
        for other in run.get("also") or []:
            line = (
                f"  {plain(run['trace'])} also used {plain(other['pick'])}, {count(other['calls'], 'call')}"
            )
            console.print(Text(line, style="dim"))
    console.print()


def _kernels(row: Mapping[str, Any], change: Mapping[str, Any]) -> str:
    """`volta_scudnn_128x128 -> volta_scudnn_128x32`."""
    return " -> ".join(plain(_run(row, change[which])["kernel"], 60) for which in ("baseline", "trace"))


def _table(console: Console, document: Mapping[str, Any], key: str, what: str, limit: int) -> None:
    rows = document[key]
    common = [row for row in rows if row["verdict"] != "only_in_some"]
    if common and key != "kernels":
        shown = [_line(row, what) for row in common[:limit]]
        titles = {f"{at}_us": plain(trace, _NAME) for at, trace in enumerate(document["traces"])}
        titles |= {f"change {at}": f"{plain(t, _SHORT)}: change" for at, t in enumerate(document["traces"])}
        console.print(rows_table(console, shown, titles=titles))
        _more(console, len(common), limit, what)
        console.print()
    for trace in document["traces"]:
        only = [r for r in rows if _present(r) == [trace]]
        if only:
            names = [f"{_name(r, what)} ({_run(r, trace)['count']:,})" for r in only[:_LISTED]]
            more = f" and {len(only) - _LISTED} more" if len(only) > _LISTED else ""
            console.print(Text(f"{what}s only in {plain(trace)}: {', '.join(names)}{more}"))


def _steps(console: Console, document: Mapping[str, Any]) -> None:
    """What a step costs in Python, in each run."""
    told = [run for run in document["runs"] if run.get("python")]
    if not told:
        return
    rows = [
        {
            "run": run["trace"],
            **{k: run["python"][k] for k in ("period_us", "runtime_us", "python_us", "calls", "steps")},
        }
        for run in told
    ]
    titles = {
        "period_us": "step (median)",
        "runtime_us": "in the runtime",
        "python_us": "in Python",
        "calls": "calls",
    }
    console.print()
    console.print(rows_table(console, rows, titles=titles))


def _optimized(console: Console, document: Mapping[str, Any], limit: int) -> None:
    """What became of the ops that some run did not execute as the line made them."""
    rows = document.get("optimized") or []
    if not rows:
        return
    console.print()
    titles = {f"run {at}": plain(trace, _NAME) for at, trace in enumerate(document["traces"])}
    shown = [
        {
            "op": row["op"],
            "line": place({"file": row["file"], "line": row["line"] or "?"}),
            **{f"run {at}": short_fate(run) for at, run in enumerate(row["runs"])},
        }
        for row in rows[:limit]
    ]
    console.print(rows_table(console, shown, titles=titles))
    _more(console, len(rows), limit, "op")


def _line(row: Mapping[str, Any], what: str) -> dict[str, Any]:
    counts = [f"{r['count']:,}" for r in row["runs"]]
    times = {f"{at}_us": r["time_us"] for at, r in enumerate(row["runs"])}
    found = {c["trace"]: c for c in row["changes"]}
    if len(row["runs"]) == 2:
        one = found.get(row["runs"][1]["trace"])
        changes = {"change": change(one), "": judged(one)}
    else:  # side by side there is no room for intervals
        changes = {
            f"change {at}": short_change(found.get(r["trace"])) for at, r in enumerate(row["runs"][1:], 1)
        }
    return {
        what: _name(row, what),
        "count": counts[0] if len(set(counts)) == 1 else " | ".join(counts),
        **times,
        **changes,
    }


def _name(row: Mapping[str, Any], what: str) -> str:
    if what != "line":
        return plain(row[what], 60)
    lines = [n for listed in row["lines"] if listed for n in listed]
    return f"{plain(row['op'])} {place({'file': row['file'], 'line': lines[0] if lines else '?'})}"


def _present(row: Mapping[str, Any]) -> list[str]:
    return [run["trace"] for run in row["runs"] if run["present"]]


def _run(row: Mapping[str, Any], trace: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(run for run in row["runs"] if run["trace"] == trace)
    return found


def _signed(us: float) -> str:
    return f"{'+' if us >= 0 else ''}{micros(us)}"


def _more(console: Console, rows: int, limit: int, what: str) -> None:
    if rows > limit:
        console.print(Text(f"and {count(rows - limit, what)} more; --limit shows them\n", style="dim"))
