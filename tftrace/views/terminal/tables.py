"""A table of rows whose columns are known by their names: times, counts, text; fitted to the width at
hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tftrace.views.terminal.wording import NONE, count, micros, plain, share_bar

_GAP = 2
_BAR = 12
_SHORTEST_TEXT = 24


def rows_table(
    console: Console,
    rows: Sequence[Mapping[str, Any]],
    share_of: str | None = None,
    skip: Sequence[str] = (),
    titles: Mapping[str, str] | None = None,
) -> Table:
    """A table of `rows`; a column ending in `_us` is a time. `share_of` names the column that a bar is
    drawn of. `titles` are those of columns that are not called by their key.

    Columns that are null throughout are left out. Where the terminal is too narrow for all, text columns
    are cut first, and then columns dropped from the right.
    """
    names = titles or {}
    keys = [k for k in dict.fromkeys(k for row in rows for k in row) if k not in skip]
    keys = [k for k in keys if any(row.get(k) is not None for row in rows)]
    cells = {key: [_cell(key, row.get(key)) for row in rows] for key in keys}
    numeric = {k for k in keys if all(isinstance(r.get(k), (int, float, type(None))) for r in rows)}
    widths = {k: max([len(names.get(k) or _title(k)), *(len(c) for c in cells[k])]) for k in keys}
    room = console.width - (_BAR + _GAP if share_of else 0)
    least = {k: widths[k] if k in numeric else min(widths[k], _SHORTEST_TEXT) for k in keys}
    while len(keys) > 2 and sum(least[k] + _GAP for k in keys) > room:
        keys.pop()
    spare = room - sum(least[k] + _GAP for k in keys)

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP - 1, 0, 0), show_edge=False)
    for key in keys:
        if key in numeric:
            table.add_column(names.get(key) or _title(key), justify="right", no_wrap=True, width=widths[key])
            continue
        more = max(min(widths[key] - least[key], spare), 0)
        spare -= more
        table.add_column(
            names.get(key) or _title(key), no_wrap=True, overflow="ellipsis", width=least[key] + more
        )
    total = sum(max(float(row.get(share_of) or 0), 0) for row in rows) if share_of else 0.0
    if share_of:
        table.add_column("share", no_wrap=True, width=_BAR)
    unicode = console.encoding.lower().startswith("utf")
    for at, row in enumerate(rows):
        line = [Text(cells[k][at], style="dim" if cells[k][at] == NONE else "") for k in keys]
        if share_of:
            line.append(share_bar(float(row.get(share_of) or 0) / total if total else 0.0, _BAR, unicode))
        table.add_row(*line)
    return table


def _title(key: str) -> str:
    return key.removesuffix("_us").removesuffix("_bytes").replace("_", " ")


def _cell(key: str, value: Any) -> str:
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.endswith("_us") or "_us_" in key:
        return micros(float(value))
    if isinstance(value, int):
        return str(value) if key in ("step", "line") else count(value)
    if isinstance(value, float):
        return f"{value:.3g}"
    return plain(value)
