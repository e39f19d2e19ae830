"""What `tftrace import` made of each file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from tftrace.views.terminal.wording import plain


def draw(console: Console, directory: Path, manifest: Mapping[str, Any]) -> None:
    """One line a file, then the trace and what to try next."""
    for row, clock in zip(manifest["imported"], manifest["clocks"], strict=True):
        line = Text(
            f"{plain(Path(row['file']).name)}: {row['reader']}, {row['entries']:,} entries, {row['events']:,} events"
        )
        if row["reason"]:
            line.append(f"; {plain(row['reason'])}", style="yellow")
        if clock["placed"] != "as written":
            line.append(f"; time: {clock['clock']}", style="dim")
        console.print(line, soft_wrap=True, highlight=False)
    console.print(Text(f"trace: {plain(directory)}"), soft_wrap=True, highlight=False)
    console.print(Text(f"next:  tftrace summary {plain(directory)}"), soft_wrap=True, highlight=False)
