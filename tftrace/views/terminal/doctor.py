"""Draws the document of `tftrace doctor`: a line a check, and what to do."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tftrace.views.terminal.wording import SYNTHETIC, SYNTHETIC_STYLE, count, plain

_STYLE: Final = {"ok": "green", "not ok": "bold yellow", "not checked": "dim"}


def draw(console: Console, document: dict[str, Any]) -> None:
    checks = document["checks"]
    if document.get("synthetic"):
        console.print(SYNTHETIC, style=SYNTHETIC_STYLE)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        said = Text(plain(check["found"], 1000))
        if check["advice"]:
            said.append(f"\n{plain(check['advice'], 1000)}", style="italic")
        table.add_row(
            Text(plain(check["name"])), Text(check["state"], style=_STYLE.get(check["state"], "")), said
        )
    console.print(table)
    wrong = sum(check["state"] == "not ok" for check in checks)
    console.print()
    console.print("all is well" if not wrong else f"{count(wrong, 'check')} not ok", style="bold")
