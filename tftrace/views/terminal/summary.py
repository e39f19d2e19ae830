"""Draws the document of `tftrace summary`: the layers, the rows, what was lost."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tftrace.views.terminal import failures
from tftrace.views.terminal.tables import rows_table
from tftrace.views.terminal.wording import (
    STATUS_STYLE,
    SYNTHETIC,
    SYNTHETIC_STYLE,
    count,
    micros,
    own_cost,
    plain,
    short_file,
    step_cost,
)

_FUNCTIONS, _CAUSES = 6, 6
_NAMES_SHOWN = 5
_HIDDEN = ("graph_id",)
_TITLES = {"graph": {"count": "runs", "line": "made at"}}


def draw(console: Console, document: dict[str, Any], limit: int) -> None:
    if document.get("synthetic"):
        console.print(SYNTHETIC, style=SYNTHETIC_STYLE)
    console.print(_layers(document["layers"]))
    rows = document["rows"]
    if document.get("by") == "layer":
        pass  # that was the table above
    elif not rows:
        what = "graphs" if document.get("by") == "graph" else "executions"
        console.print(f"\nNo {what} were recorded.", style="bold")
    else:
        share_of = "self_us" if any(row.get("self_us") for row in rows) else "total_us"
        console.print()
        console.print(
            rows_table(console, rows[:limit], share_of, _HIDDEN, _TITLES.get(document.get("by", "op")))
        )
        if len(rows) > limit:
            console.print(f"and {count(len(rows) - limit, 'row')} more; --limit shows them", style="dim")
    if document.get("kernel_time"):
        _whose(console, document["kernel_time"])
    if document.get("python"):
        console.print(Text("\n" + step_cost(document["python"])))
    if document.get("tftrace"):
        console.print(Text("\n" + own_cost(document["tftrace"]), style="dim"))
    _retraced(console, document.get("retraced") or [])
    for row in document["lost"]:
        text = f"lost: {plain(row['probe'])}: {count(row['count'])} {plain(row['what'])}"
        console.print(Text(text, style="yellow"))
    failures.draw(console, document.get("failures") or [], limit)


def _retraced(console: Console, rows: list[dict[str, Any]]) -> None:
    for row in rows[:_FUNCTIONS]:
        where = f"{plain(short_file(row['file']))}:{row['line']}" if row["file"] else "no file"
        title = Text(f"\n{plain(row['function'])} ({where})", style="bold")
        spent = f" was traced {count(row['tracings'], 'time')}, {micros(row['trace_us'])} in Python"
        console.print(title.append(spent, style="not bold"))
        for again in row["again"][:_CAUSES]:
            times = f" ({count(again['count'], 'time')})" if again["count"] > 1 else ""
            console.print(Text(f"  again{times}: {plain(again['why'])}"))
        if len(row["again"]) > _CAUSES:
            console.print(
                f"  and for {len(row['again']) - _CAUSES} more reasons; --json lists them", style="dim"
            )
    if len(rows) > _FUNCTIONS:
        more = count(len(rows) - _FUNCTIONS, "more function")
        console.print(f"\n{more} traced more than once; --json lists them", style="dim")


def _whose(console: Console, time: dict[str, Any]) -> None:
    """One line where all kernel time is the user's; else the rest by what the framework made it for."""
    rows = time["framework_made"]
    if not rows:
        return
    console.print()
    share = f"{100 * time['share']:.3f}".rstrip("0").rstrip(".") if time["share"] is not None else "none"
    console.print(
        f"{share} % of {micros(time['total_us'])} in kernels led back to lines of yours; framework-made:"
    )
    for row in rows:
        shown = row["names"][:_NAMES_SHOWN]
        more = "" if len(shown) == len(row["names"]) else f" .. ({len(row['names']):,} names)"
        line = Text(f"  {micros(row['total_us'])}  {plain(row['kind'])} ({count(row['count'])}): ")
        line.append(plain(", ".join(shown)) + more, style="dim")
        console.print(line, no_wrap=True, overflow="ellipsis")


def _layers(layers: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("layer", no_wrap=True)
    for name in ("events", "total", "self"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("observed?", overflow="fold")
    for row in layers:
        status = str(row["status"])
        style = "dim" if status == "unobserved" else ""
        # "yes" needs no words beside it; the two other cases are nothing without theirs
        state = Text(
            {"observed": "yes", "unobserved": "no"}.get(status, status), style=STATUS_STYLE.get(status, "")
        )
        if row.get("reason"):
            state.append(f": {plain(row['reason'])}", style="dim")
        times = (micros(row["total_us"]), micros(row["self_us"]))
        table.add_row(
            Text(str(row["layer"]), style=style), Text(count(row["events"]), style=style),
            *(Text(t, style=style) for t in times), state,
        )  # fmt: skip
    return table
