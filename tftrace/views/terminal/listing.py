"""Draws the rows of `tftrace list`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from tftrace.views.terminal.tables import rows_table
from tftrace.views.terminal.wording import plain, size


def draw(console: Console, rows: list[dict[str, Any]], root: Path) -> None:
    if not rows:
        console.print(Text(f"no trace under {plain(root)}/; record one with 'tftrace run SCRIPT'"))
        return
    shown = [
        {
            "name": row["name"],
            "when": str(row.get("when") or "")[:16].replace("T", " ") or None,
            "exit": row.get("exit_status"),
            "ops": row.get("ops"),
            "events": row.get("events"),
            "size": size(row.get("bytes")) if row.get("bytes") is not None else None,
            "script": row.get("script"),
            "TF": (row.get("versions") or {}).get("tensorflow"),
            "note": "; ".join(
                n for n in ("synthetic" if row.get("synthetic") else "", row.get("problem")) if n
            )
            or None,
        }
        for row in rows
    ]
    console.print(rows_table(console, shown))
