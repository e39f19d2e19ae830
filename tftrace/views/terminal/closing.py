"""What `tftrace run` says when the script has ended: where the trace is, what it found, what to do next."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from tftrace.views.terminal.failures import headline
from tftrace.views.terminal.wording import SYNTHETIC, SYNTHETIC_STYLE, count, micros, plain

_FAILURES = 3


def draw(
    console: Console,
    run: dict[str, Any],
    summary: dict[str, Any],
    algorithms: dict[str, Any],
    manifest: Mapping[str, Any],
) -> None:
    """`run` holds `directory`, `wall_s`, `exit_status`, `op` (the one to ask about next) and `doctor` (an interpreter
    whose TensorFlow is to be looked at); the others are the documents by those names."""
    head = Text("tftrace: ", style="bold")
    head.append(plain(run["directory"]), style="bold green")
    head.append(f"  ({micros(run['wall_s'] * 1e6)}, exit {run['exit_status']})")
    console.print(head, soft_wrap=True)
    if summary.get("synthetic"):
        console.print(f"  {SYNTHETIC}", style=SYNTHETIC_STYLE)
    facts = (
        ("ran", _ran(summary["rows"], manifest)),
        ("observed", _observed(summary["layers"])),
        ("library", _library(algorithms["problems"])),
        ("not seen", _unseen(summary["layers"], manifest)),
        ("lost", _lost(summary["lost"])),
        *(("failed", headline(row)) for row in (summary.get("failures") or [])[:_FAILURES]),
    )
    for title, text in facts:
        line = Text(f"  {title:<9} ", style="dim")
        line.append(text, style="not dim")
        line.truncate(console.width, overflow="ellipsis")
        console.print(line)
    advice = Text("  next      ", style="dim").append(_next(run, summary), style="not dim bold")
    console.print(advice, soft_wrap=True)


def _ran(rows: list[dict[str, Any]], manifest: Mapping[str, Any]) -> str:
    if not rows:
        why = next((p.get("reason") for p in manifest.get("probes", []) if p.get("name") == "dispatch"), None)
        return "no TensorFlow op was executed" + (f": {plain(why)}" if why else "")
    executions = sum(row["count"] for row in rows)
    total = sum(row["self_us"] or 0 for row in rows)
    top = sorted(rows, key=lambda row: -(row["self_us"] or 0))[:3]
    text = f"{count(executions, 'execution')} of {count(len(rows), 'op')}, {micros(total)}"
    if not total:
        return text
    most = (f"{plain(row['op'], 40)} {(row['self_us'] or 0) / total:.0%}" for row in top)
    return f"{text}; most in {', '.join(most)}"


def _observed(layers: list[dict[str, Any]]) -> str:
    mark = {"partly": " (partly)"}
    seen = (f"{row['layer']}{mark.get(row['status'], '')}" for row in layers if row["events"])
    return ", ".join(seen) or "no layer"


def _library(problems: list[dict[str, Any]]) -> str:
    if not problems:
        return "no library call reported its algorithm"
    used: Counter[str] = Counter()
    for problem in problems:
        for candidate in problem["candidates"]:
            if candidate["chosen"]:
                how = candidate.get("implementation") or candidate.get("algorithm") or "(not named)"
                used[plain(how, 60)] += problem["calls"] or 0
    names = ", ".join(name for name, _ in used.most_common(2))
    library = plain(problems[0].get("library") or "library")
    more = f" and {len(used) - 2} more" if len(used) > 2 else ""
    return f"{library}: {count(len(problems), 'problem')}, solved by {names}{more}"


def _unseen(layers: list[dict[str, Any]], manifest: Mapping[str, Any]) -> str:
    parts = [f"{row['layer']}: {plain(row.get('reason'))}" for row in layers if row["status"] == "unobserved"]
    failed = [
        f"{plain(p['name'])} {p['status']}: {plain(p['reason'])}"
        for p in manifest.get("probes", [])
        if p.get("status") in ("failed", "unavailable")
    ]
    return "; ".join([*failed, *parts]) or "nothing: every layer was observed"


def _lost(lost: list[dict[str, Any]]) -> str:
    parts = [f"{plain(row['probe'])}: {count(row['count'])} {plain(row['what'])}" for row in lost]
    return "; ".join(parts) or "nothing"


def _next(run: dict[str, Any], summary: dict[str, Any]) -> str:
    where = shlex.quote(plain(run["directory"], 4000))
    if any(row["other_graph"] for row in summary.get("failures") or []):
        return f"tftrace summary --by graph {where}"
    if run.get("doctor"):
        return f"tftrace doctor --python {shlex.quote(plain(run['doctor'], 4000))}"
    if run.get("op") is None:
        return f"tftrace summary {where}"
    return f"tftrace why {shlex.quote(plain(run['op']).lower())} {where}"
