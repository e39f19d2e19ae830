"""Draws runs of graphs that failed: what was raised where, and the lines behind the session and the tensors."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tftrace.views.terminal.wording import plain, short_file


def draw(console: Console, failures: list[dict[str, Any]], limit: int) -> None:
    for row in failures[:limit]:
        console.print()
        console.print(Text(f"failed: {headline(row)}", style="red"))
        for line in _details(row):
            console.print(Padding(line, (0, 0, 0, 2)))
    if len(failures) > limit:
        console.print(f"and {len(failures) - limit:,} more failures; --limit shows them", style="dim")


def headline(row: dict[str, Any]) -> str:
    """`ValueError by Tensor.eval at train.py:23: ..`"""
    by = f" by {plain(row['what'])}" if row.get("what") else ""
    at = f" at {_at(row['python'])}" if row.get("python") else ""
    message = f": {plain(row['message'], 400)}" if row.get("message") else ""
    return f"{plain(row['error'])}{by}{at}{message}"


def _details(row: dict[str, Any]) -> list[Text]:
    lines = [_code("called", row)] if row.get("python") else []
    session = row.get("session")
    if session:
        lines.append(_code(f"session {session['session_id']} was opened", session))
        lines += _graph("its graph", session.get("graph"))
    own = ((session or {}).get("graph") or {}).get("graph_id")
    for tensor in row.get("tensors") or []:
        graph = tensor.get("graph")
        if session and graph and graph["graph_id"] == own:
            continue  # as it should be
        lines.append(_code(f"tensor {plain(tensor['name'])} was made", tensor))
        lines += _graph("its graph", graph)
    return lines


def _graph(what: str, graph: dict[str, Any] | None) -> list[Text]:
    return [_code(f"{what}, {plain(graph['graph'])}, was made", graph)] if graph else []


def _code(what: str, row: dict[str, Any]) -> Text:
    place = row.get("python")
    text = Text(f"{what} ")
    if not place:
        return text.append("where tftrace was not watching", style="dim")
    text.append(f"at {_at(place)}", style="bold")
    if row.get("api"):
        text.append(f" by {plain(row['api'])}")
    if place.get("code"):
        text.append(f"\n    {plain(place['code'])}", style="dim")
    return text


def _at(place: dict[str, Any]) -> str:
    return f"{plain(short_file(place['file']))}:{place['line']}"
