"""Draws the document of `tftrace algorithms`: each problem with its candidates, and what can be done about them."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.text import Text

from tftrace.views.terminal.tables import rows_table
from tftrace.views.terminal.wording import (
    NONE,
    SYNTHETIC,
    SYNTHETIC_STYLE,
    count,
    geometry,
    micros,
    plain,
    size,
)

_BY: Final = {
    "autotuner": "picked by TensorFlow's autotuner",
    "heuristics": "picked by cuDNN's heuristics, without a trial",
    "library": "picked by the library itself",
}
_ABOUT: Final = ("op", "direction", "nodes")


def draw(console: Console, document: dict[str, Any]) -> None:
    problems = document["problems"]
    if document.get("synthetic"):
        console.print(SYNTHETIC, style=SYNTHETIC_STYLE)
    if not problems:
        console.print("No library reported an algorithm; 'tftrace summary' says which layers were seen.")
        return
    for row in problems:
        _draw_problem(console, row)
    console.print("* chosen", style="dim")
    for line in _selection(document):
        console.print(Text(line, style="dim"))
    _draw_advice(console, document.get("advice") or [])


def _draw_problem(console: Console, row: dict[str, Any]) -> None:
    console.print(_title(row))
    problem = row["problem"]
    console.print(Text("  " + _shape(problem), style="dim"))
    for node in problem.get("nodes") or []:
        console.print(Text(f"  node {plain(node)}", style="dim"))
    for line in _facts(row):
        console.print(f"  {line}", markup=False, highlight=False)
    console.print(rows_table(console, [_candidate(c) for c in row["candidates"]]))
    for c in row["candidates"]:
        if c.get("reason"):
            said = Text(f"  {_name(c)}: {plain(c['reason'])}", style="yellow")
            console.print(said)
    console.print()


def _candidate(c: dict[str, Any]) -> dict[str, Any]:
    low, high = c.get("low_us"), c.get("high_us")
    return {
        " ": "*" if c["chosen"] else " ",
        "algorithm": f"{c['algorithm']} or {c['alternative']}" if c.get("alternative") else c["algorithm"],
        "implementation": c.get("implementation"),
        "engine": c.get("engine") if c["algorithm"] is None else None,
        "time_us": c.get("time_us"),
        "95 %": None if low is None or high is None else f"{micros(low)} .. {micros(high)}",
        "calls": c.get("calls") or None,
        "workspace": size(c["workspace_bytes"]) if c.get("workspace_bytes") is not None else None,
        "status": c["status"] if c["status"] != "ok" else None,
        "evidence": c["evidence"],
        "sure": None if c.get("confidence") is None else f"{c['confidence']:.0%}",
        "source": c["source"],
    }


def _name(c: dict[str, Any]) -> str:
    return plain(c["algorithm"] or c.get("implementation") or "a plan whose engine is not known")


def _facts(row: dict[str, Any]) -> list[str]:
    lines = []
    how = _BY.get(row.get("picked_by") or "")
    if how:
        lines.append(f"{_won(row)} {how}")
    margin, percent = row.get("margin_us"), row.get("margin_percent")
    if margin is not None:
        share = "" if percent is None else f" ({abs(percent):.1f} %)"
        ahead = "ahead of the next" if margin >= 0 else "slower than"
        other = f", {plain(row['runner_up'])}" if row.get("runner_up") and margin >= 0 else ""
        other = f" {plain(row['runner_up'])}" if row.get("runner_up") and margin < 0 else other
        lines.append(f"{micros(abs(margin))}{share} {ahead}{other}")
    lines += _trade_off(row.get("workspace_trade_off") or [])
    if row.get("tunings"):
        times = "once" if row["tunings"] == 1 else f"{count(row['tunings'])} times"
        spent = "" if row.get("tuning_us") is None else f", {micros(row['tuning_us'])} in its trials"
        lines.append(f"tuned {times}{spent}")
    elif row.get("tuning_us") is not None:
        lines.append(f"{micros(row['tuning_us'])} spent on tuning")
    return lines


def _won(row: dict[str, Any]) -> str:
    won = next((c for c in row["candidates"] if c["chosen"]), None)
    return _name(won) if won is not None else NONE


def _trade_off(front: list[dict[str, Any]]) -> list[str]:
    if len(front) < 2:
        return []
    first, last = front[0], front[-1]
    return [
        f"{plain(last['algorithm'])} needs {size(last['workspace_bytes'])} of workspace instead of "
        f"{size(first['workspace_bytes'])}, and {micros(last['time_us'])} instead of {micros(first['time_us'])}"
    ]


def _title(row: dict[str, Any]) -> Text:
    problem = row["problem"]
    title = Text(plain(problem["op"]), style="bold")
    if problem.get("direction") not in (None, "other") and "Backprop" not in problem["op"]:
        title.append(f" {plain(problem['direction'])}")
    title.append(f"  {count(row['calls'], 'call')}" if row["calls"] is not None else "", style="bold")
    if row.get("total_us") is not None:
        title.append(f"  {micros(row['total_us'])} in all")
    told = [row.get(k) for k in ("library", "version", "device", "device_model")]
    names = dict.fromkeys(plain(name) for name in told if name)
    return title.append("  " + "  ".join(names), style="dim")


def _shape(problem: dict[str, Any]) -> str:
    known = {k: v for k, v in problem.items() if k not in _ABOUT and v not in (None, [], "")}
    return "  ".join(f"{plain(k)} {geometry(v)}" for k, v in known.items())


def _selection(document: dict[str, Any]) -> list[str]:
    told = document.get("selection") or {}
    lines = []
    if told.get("autotune") is False:
        lines.append("autotuning was off: cuDNN's heuristics picked")
    if told.get("deterministic"):
        lines.append("only deterministic algorithms could be picked")
    settings = document.get("settings") or {}
    if settings:
        lines.append("settings  " + "  ".join(f"{plain(k)}={plain(v)}" for k, v in settings.items()))
    return lines


def _draw_advice(console: Console, advice: list[dict[str, Any]]) -> None:
    if not advice:
        return
    console.print("\nWhat could be done", style="bold")
    for one in advice:
        console.print(Text("  " + _sentence(one)))


def _sentence(one: dict[str, Any]) -> str:
    problem = one["problem"]
    where = f"{plain(problem['op'])} {geometry(problem.get('input') or problem.get('order', ''))}".rstrip()
    cost = "" if one.get("cost_us") is None else f", {micros(one['cost_us'])} in all"
    if one["kind"] == "slower_pick":
        return (
            f"{where}: {plain(one['faster'])} was {micros(one['loss_us'])} faster in its trial than "
            f"{plain(one['chosen'])}, which ran{cost}"
        )
    if one["kind"] == "shape_changes":
        shapes = ", ".join(geometry(shape) for shape in one["shapes"])
        return (
            f"{plain(problem['op'])} was tuned for each of its shapes {shapes}{cost} after the first; "
            "fixed shapes avoid it"
        )
    if one["kind"] == "retuned":
        return f"{where} was tuned again {count(one['retunes'], 'time')}{cost}"
    if one["kind"] == "untuned":
        return (
            f"{count(one['problems'], 'problem was', 'problems were')} solved without a trial{cost}: "
            "run once with autotuning on, or see 'tftrace tune'"
        )
    return plain(one["kind"])
