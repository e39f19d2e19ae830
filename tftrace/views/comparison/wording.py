"""How a comparison is put into words, in the terminal and on the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

VERDICTS: Final = {
    "algorithm_changed": "other algorithm",
    "only_in_some": "only in some runs",
    "slower": "slower",
    "faster": "faster",
    "within_noise": "within noise",
    "same": "same",
    "not_judged": "not judged",
}
"""In the order in which rows are shown. What nobody can judge is `same` in the document, and is told apart here."""
EXPLAINED: Final = (
    "Intervals come from the repetitions within each run: what differs from one run to the next beside that (the "
    "processor's clock, other load) is not in them."
)


def verdict(row: Mapping[str, Any]) -> str:
    """The key in `VERDICTS` of a row of the document."""
    if row["verdict"] == "same" and row["changes"] and all(c["time"] is None for c in row["changes"]):
        return "not_judged"
    return str(row["verdict"])


def verdict_counts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """`6 other algorithm`, .. in the order of `VERDICTS`."""
    counts = Counter(map(verdict, rows))
    return [f"{counts[key]:,} {words}" for key, words in VERDICTS.items() if counts[key]]


def node_name(problem: Mapping[str, Any]) -> str | None:
    """The graph's node that a problem without sizes is known by, without its op type."""
    nodes = problem.get("nodes") or []
    return str(nodes[0]).rpartition(":")[0] or str(nodes[0]) if nodes else None


def change(of: Mapping[str, Any] | None) -> str | None:
    """`+38.3 % (+12.6 to +76.8)`; without an interval `+38.3 %`, and None where the times are not compared."""
    if of is None or of["difference_us"] is None:
        return None
    if of["ratio"] is None:
        low, high = of["difference_low_us"], of["difference_high_us"]
        ends = "" if low is None else f" ({low:+.1f} to {high:+.1f})"
        return f"{of['difference_us']:+.1f} us{ends}"
    ends = (
        "" if of["ratio_low"] is None else f" ({_percent(of['ratio_low'])} to {_percent(of['ratio_high'])})"
    )
    return f"{_percent(of['ratio'])} %{ends}"


def short_change(of: Mapping[str, Any] | None) -> str | None:
    """`-45.7 % faster`, without the interval; None where the times are not compared."""
    told = change(of)
    if of is None or told is None:
        return None
    return f"{told.partition(' (')[0]} {judged(of) if of['time'] else '(not judged)'}"


def judged(of: Mapping[str, Any] | None) -> str | None:
    """slower, faster, within noise, or why that cannot be told."""
    if of is None:
        return None
    if of["time"] is None:
        return str(of["note"] or "not judged")
    return "same" if of["difference_us"] == 0 else VERDICTS[of["time"]]


def _percent(ratio: float) -> str:
    value = 100 * (ratio - 1)
    return f"{value:+.0f}" if abs(value) >= 100 else f"{value:+.1f}"
