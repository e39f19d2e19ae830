"""Draws the document of `tftrace tune`: each problem with its candidates by rank, then what to pin."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from tftrace.views.terminal.tables import rows_table
from tftrace.views.terminal.wording import NONE, SYNTHETIC, SYNTHETIC_STYLE, count, micros, plain

LEGEND: Final = (
    "* the fastest that is exact enough; ratio: to what TensorFlow does by itself; differs: at most, from a float64 "
    "reference, as a share of its largest element"
)


def draw(console: Console, document: dict[str, Any]) -> None:
    if document.get("synthetic"):
        console.print(SYNTHETIC, style=SYNTHETIC_STYLE)
    for problem in document["problems"]:
        console.print(_title(problem))
        console.print(rows_table(console, [_row(problem, c) for c in problem["candidates"]]))
        for line in _remarks(problem):
            console.print(Text(f"  {plain(line, 400)}", style="dim"))
        console.print()
    if document["problems"]:
        console.print(Text(plain(LEGEND, 400), style="dim"))
    reasons = Counter(row["reason"] for row in document["not_replayed"])
    for reason, number in reasons.items():
        left_out = Text(f"not replayed: {count(number, 'problem')}: ", style="yellow")
        console.print(left_out.append(plain(reason), style=""))
    _pin(console, document["pin"])


def _title(problem: dict[str, Any]) -> Text:
    title = Text(plain(problem["spec"]), style="bold")
    title.append(f"  {plain(problem['problem']['op'])}")
    if problem["traced_calls"] is not None:
        title.append(f"  {count(problem['traced_calls'], 'call')} in the trace")
    return title


def _row(problem: dict[str, Any], c: dict[str, Any]) -> dict[str, Any]:
    default = next((o["time_us"] for o in problem["candidates"] if o.get("default")), None)
    exact = c.get("max_relative_difference")
    return {
        " ": "*" if c["chosen"] else " ",
        "candidate": c["algorithm"],
        "time_us": c["time_us"],
        "interval": _interval(c),
        "ratio": f"{c['time_us'] / default:.2f}" if c["time_us"] and default else None,
        "differs": None if exact is None else f"{exact:.1e}",
        "what ran": _what_ran(c),
    }


def _interval(c: dict[str, Any]) -> str | None:
    """Both ends in one unit where they have the same."""
    if c.get("low_us") is None:
        return None
    low, high = micros(c["low_us"]).split(" "), micros(c["high_us"]).split(" ")
    return " ".join([*(low[:1] if low[1] == high[1] else low), "..", *high])


def _what_ran(c: dict[str, Any]) -> str | None:
    """The implementation; or why there was nothing to time, or what is wrong with the result."""
    if c.get("same_as"):
        return f"same as {plain(c['same_as'])}"
    if c["status"] != "ok":
        return plain(f"{c['status'].replace('_', ' ')}: {c.get('reason') or NONE}", 160)
    calls = [f"{p['count']} {plain(p['call'])}" for p in c.get("primitives", [])]
    ran = c["implementation"] or ", ".join(calls) or None
    return ran if c["exact_enough"] else f"not exact enough: {ran or NONE}"


def _remarks(problem: dict[str, Any]) -> list[str]:
    winner = next((c for c in problem["candidates"] if c["chosen"]), None)
    if winner is None:
        return ["no candidate was timed and is exact enough"]
    settings = winner["settings"]
    told = [f"{name}={value}" for name, value in settings["env"].items()] + settings["code"]
    lines = [f"* {winner['algorithm']}: {'; '.join(told) or 'as it is'}"]
    if problem["tied"]:
        lines.append(f"within the noise as fast: {', '.join(problem['tied'])}")
    return lines


def _pin(console: Console, pin: dict[str, Any]) -> None:
    console.print(Text("environment: ", style="bold").append(plain(pin["why"]), style=""))
    for name, value in pin["env"].items():
        console.print(Text(f"  export {plain(name)}={plain(value)}", style="green"))
    if pin["env"]:
        console.print(f"  results differ by up to {pin['max_relative_difference']:.1e} of the largest")
    for row in pin["disagree"]:
        console.print(Text(f"  {plain(row['spec'])} alone would be faster with {plain(row['candidate'])}"))
    for row in pin["in_code"]:
        console.print(
            Text(
                f"  {plain(row['spec'])} is faster with a change of the program: {plain('; '.join(row['code']))}"
            )
        )
