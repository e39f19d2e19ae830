"""Draws the document of `tftrace wrappers`: counts, then a table a category."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from tftrace.views.terminal.tables import rows_table
from tftrace.views.terminal.wording import count, plain
from tftrace.views.wrappers.wording import MEANING, made_with

Row = Mapping[str, Any]


def draw(console: Console, document: Mapping[str, Any]) -> None:
    functions = document["functions"]
    classified = document["classified"]
    share = f", {classified:.1%} classified" if classified is not None else ""
    console.print(
        Text(
            f"{', '.join(map(plain, document['names']))}: {count(len(functions), 'function')}{share}",
            style="bold",
        )
    )
    console.print(Text(plain(made_with(document)), style="dim"))
    for category, number in document["counts"].items():
        if not number:
            continue
        rows = [r for r in functions if r["category"] == category]
        console.print()
        title = Text(f"{category}  {number}", style="bold")
        if category == "alias":
            title.append(
                f"  ({', '.join(f'{k} {n}' for k, n in document['beneath'].items())} by what they do)"
            )
        title.append(f"  {MEANING[category]}", style="dim")
        console.print(title)
        _COLUMNS[category](console, rows)


def _name(row: Row, marks: bool = True) -> str:
    """The function, marked where it is legacy or says nothing of itself."""
    told = [
        word
        for word, holds in (("legacy", row["legacy"]), ("undocumented", row["documented"] is False))
        if holds
    ]
    return f"{row['name']}{f' ({told[0]})' if told and marks else ''}"


def _native(row: Row) -> str:
    natives = row["native"]
    if not natives:
        return ""
    return str(natives[0]) + (f" +{len(natives) - 1}" if len(natives) > 1 else "")


def _same(row: Row) -> str:
    return {True: "same", False: "differ", None: ""}[row["equal"]]


def _alias(console: Console, rows: Sequence[Row]) -> None:
    table = [
        {
            "function": _name(r),
            "is the object": ", ".join(r["alias_of"]),
            "which is": r["beneath"],
            "op calls": _short(r["ops"]),
            "native": _native({"native": [n for n in r["native"] if n not in r["alias_of"]]}),
        }
        for r in rows
    ]
    console.print(rows_table(console, table))


def _names(console: Console, rows: Sequence[Row]) -> None:
    console.print(Text(", ".join(plain(_name(r, marks=False)) for r in rows)))


def _thin(console: Console, rows: Sequence[Row]) -> None:
    _beside_native(console, rows, "op calls", "ops")


def _thick(console: Console, rows: Sequence[Row]) -> None:
    _beside_native(console, rows, "adds", "added")


def _beside_native(console: Console, rows: Sequence[Row], title: str, ops: str) -> None:
    table = [
        {
            "function": _name(r, marks=False),
            "native": _native(r),
            title: _short(r[ops]),
            "python_us": r["python_us"],
            "native_us": r["native_us"],
            "numbers": _same(r),
        }
        for r in rows
    ]
    console.print(rows_table(console, table))


def _unique(console: Console, rows: Sequence[Row]) -> None:
    table = [
        {"function": _name(r, marks=False), "op calls": _short(r["ops"], 6), "python_us": r["python_us"]}
        for r in rows
    ]
    console.print(rows_table(console, table))


def _not_traced(console: Console, rows: Sequence[Row]) -> None:
    for row in rows:
        line = Text(plain(row["name"]))
        line.append(f"  {plain(row['reason'])}", style="yellow")
        console.print(line)


def _short(ops: Sequence[str], most: int = 3) -> str:
    """`Cast, Mul x2` and how many more."""
    runs: list[tuple[str, int]] = []
    for op in ops:
        if runs and runs[-1][0] == op:
            runs[-1] = (op, runs[-1][1] + 1)
        else:
            runs.append((op, 1))
    told = [op if times == 1 else f"{op} x{times}" for op, times in runs]
    return ", ".join(told[:most]) + (f" +{len(told) - most}" if len(told) > most else "")


_COLUMNS: Final[dict[str, Callable[[Console, Sequence[Row]], None]]] = {
    "alias": _alias,
    "no_op": _names,
    "thin": _thin,
    "thick": _thick,
    "unique": _unique,
    "not_traced": _not_traced,
}
