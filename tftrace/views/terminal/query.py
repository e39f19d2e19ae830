"""Rows that a query answered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from tftrace.views.terminal.tables import rows_table


def draw(console: Console, rows: Sequence[Mapping[str, Any]], limit: int) -> None:
    """The first `limit` rows, and how many more there are."""
    if not rows:
        console.print("no rows")
        return
    console.print(rows_table(console, [{str(k): v for k, v in row.items()} for row in rows[:limit]]))
    if len(rows) > limit:
        console.print(f"and {len(rows) - limit:,} more rows; --limit shows them")
