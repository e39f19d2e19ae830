"""Draws the document of `tftrace algorithms`: each problem with its candidates."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from tftrace.views.terminal.tables import rows_table
from tftrace.views.terminal.wording import SYNTHETIC, SYNTHETIC_STYLE, count, geometry, micros, plain


def draw(console: Console, document: dict[str, Any]) -> None:
    problems = document["problems"]
    if document.get("synthetic"):
        console.print(SYNTHETIC, style=SYNTHETIC_STYLE)
    if not problems:
        console.print("No library reported an algorithm; 'tftrace summary' says which layers were seen.")
        return
    for row in problems:
        console.print(_title(row))
        console.print(Text("  " + _shape(row["problem"]), style="dim"))
        for key, words in (("margin_us", "ahead of the next"), ("tuning_us", "spent on tuning")):
            if row.get(key) is not None:
                console.print(f"  {micros(row[key])} {words}")
        candidates = [
            {
                " ": "*" if c["chosen"] else " ",
                "algorithm": c["algorithm"],
                "implementation": c.get("implementation"),
                "engine": c.get("engine"),
                "time_us": c.get("time_us"),
                "workspace": f"{c['workspace_bytes']:,} B" if c.get("workspace_bytes") is not None else None,
                "status": c["status"] if c["status"] != "ok" else None,
                "evidence": c["evidence"],
                "source": c["source"],
            }
            for c in row["candidates"]
        ]
        console.print(rows_table(console, candidates))
        console.print()
    console.print("* chosen", style="dim")


def _title(row: dict[str, Any]) -> Text:
    problem = row["problem"]
    title = Text(plain(problem["op"]), style="bold")
    if problem.get("direction") not in (None, "other"):
        title.append(f" {plain(problem['direction'])}")
    title.append(f"  {count(row['calls'], 'call')}" if row["calls"] is not None else "", style="bold")
    title.append("  " + "  ".join(plain(row[k]) for k in ("library", "device") if row.get(k)), style="dim")
    return title


def _shape(problem: dict[str, Any]) -> str:
    known = {k: v for k, v in problem.items() if k not in ("op", "direction") and v not in (None, [], "")}
    return "  ".join(f"{plain(k)} {geometry(v)}" for k, v in known.items())
