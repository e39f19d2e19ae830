"""Gates on a comparison: what `--fail-on` takes.

    gate      = plain | timed
    plain     = "algorithm-changed"      a problem got another algorithm
              | "unexplained"            .. and nothing visible differs that could have changed it
              | "problem-missing"        a problem of the baseline is not in another run
              | "problem-new"            a problem is in another run, and not in the baseline
              | "op-missing" | "op-new"  the same of op types
              | "unjudged"               a time that cannot be judged: one repetition, or times of different things
    timed     = ( "slower" | "op-slower" ) [ ">" threshold ]
    threshold = number ( "%" | "ns" | "us" | "ms" | "s" )
    number    = digits [ "." digits ]

Case and blanks do not matter. `slower` judges problems, and op types where no problem is common to the runs; without a
threshold any difference outside the noise counts. A time fails a gate where the whole interval of its difference lies
above the threshold: so a gate never fails for noise, and what has no interval does not fail it; `unjudged` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from tftrace.errors import UsageError

_US: Final = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
_TIMED: Final = ("slower", "op-slower")
_TEXT: Final = re.compile(
    r"\s*(?P<name>[a-z]+(?:-[a-z]+)*)\s*(?:>\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>%|ns|us|ms|s)\s*)?",
    re.IGNORECASE | re.ASCII,
)

_NAME: Final = re.compile(r"\s*[a-z-]*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Gate:
    """One gate; `number` and `unit` are the threshold of a timed one, None without."""

    name: str
    number: float | None = None
    unit: str | None = None

    def __str__(self) -> str:
        return self.name if self.number is None else f"{self.name}>{self.number:.15g}{self.unit}"

    def exceeded(self, change: Mapping[str, Any]) -> bool:
        """Whether the whole interval of this change lies above the threshold."""
        if self.unit == "%":
            low, limit = change["ratio_low"], 1 + (self.number or 0.0) / 100
        else:
            low, limit = change["difference_low_us"], (self.number or 0.0) * _US.get(self.unit or "us", 1.0)
        return low is not None and float(low) > limit


@dataclass(frozen=True)
class Outcome:
    """How a gate fared. `failures` are lines that name problem or op, run and difference; `unjudged` counts the times
    that a timed gate could not judge, `judged` those that it could."""

    gate: Gate
    failures: list[str]
    judged: int
    unjudged: int

    def document(self) -> dict[str, Any]:
        return {
            "gate": str(self.gate), "failed": bool(self.failures), "failures": self.failures,
            "judged": self.judged, "unjudged": self.unjudged,
        }  # fmt: skip


def parse(text: str) -> Gate:
    """The gate that `text` writes. Raises UsageError where it is none, and says which there are."""
    found = _TEXT.fullmatch(text)
    name = (found["name"] if found else _NAME.match(text)[0]).strip().lower()  # type: ignore[index]
    if name not in _JUDGES:
        close = get_close_matches(name, _JUDGES, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(_JUDGES)}"
        raise UsageError(f"--fail-on {text!r}: no such gate; {hint}")
    if found is None:
        raise UsageError(f"--fail-on {text!r}: write a threshold as in {name}>5% or {name}>10us")
    if found["number"] is None:
        return Gate(name)
    if name not in _TIMED:
        raise UsageError(f"--fail-on {text!r}: {name} takes no threshold; slower>5% does")
    return Gate(name, float(found["number"]), found["unit"].lower())


def judge(document: Mapping[str, Any], gates: Sequence[Gate]) -> list[Outcome]:
    """How each gate fares on the document of a comparison."""
    return [_JUDGES[gate.name](document, gate) for gate in gates]


def verdict(outcomes: Sequence[Outcome]) -> str | None:
    """One line that names the gates that failed and the first reason of each; None where none did."""
    failed = [o for o in outcomes if o.failures]
    if not failed:
        return None
    parts = []
    for one in failed:
        more = f" and {len(one.failures) - 1} more" if len(one.failures) > 1 else ""
        parts.append(f"gate {one.gate} failed: {one.failures[0]}{more}")
    return "; ".join(parts)


def title(problem: Mapping[str, Any]) -> str:
    """A problem in a few words: op, input and filter, or what else it tells of its size."""
    sizes = [problem[k] for k in ("input", "filter", "shapes") if problem.get(k)]
    parts = [str(problem.get("op")), *(str(s).replace(", ", ",") for s in sizes)]
    if not sizes and problem.get("nodes"):
        parts.append(str(problem["nodes"][0]))
    return " ".join(parts)


def _changed(document: Mapping[str, Any], gate: Gate) -> Outcome:
    failures = [
        f"{title(row['problem'])} in {c['trace']}: {c['cause']}"
        for row, c in _changes(document["problems"])
        if c["pick_changed"] and (gate.name == "algorithm-changed" or not c["causes"])
    ]
    known = [c["pick_changed"] for _, c in _changes(document["problems"])]
    return Outcome(gate, failures, sum(k is not None for k in known), sum(k is None for k in known))


def _absent(document: Mapping[str, Any], gate: Gate) -> Outcome:
    of_ops, new = gate.name.startswith("op-"), gate.name.endswith("-new")
    rows = document["ops"] if of_ops else document["problems"]
    failures = []
    for row in rows:
        name = row["op"] if of_ops else title(row["problem"])
        base, *others = row["runs"]
        if new and not base["present"]:
            failures.append(f"{name}: only in {', '.join(r['trace'] for r in others if r['present'])}")
        elif not new and base["present"]:
            failures += [f"{name}: not in {r['trace']}" for r in others if not r["present"]]
    return Outcome(gate, failures, len(rows), 0)


def _slower(document: Mapping[str, Any], gate: Gate) -> Outcome:
    rows = list(_changes(document["problems"]))
    if gate.name == "op-slower" or not rows:
        rows = list(_changes(document["ops"]))
    failures = [f"{_name(row)} in {c['trace']}: {_by(c)}" for row, c in rows if gate.exceeded(c)]
    end = "ratio_low" if gate.unit == "%" else "difference_low_us"
    judged = sum(c[end] is not None for _, c in rows)
    return Outcome(gate, failures, judged, len(rows) - judged)


def _unjudged(document: Mapping[str, Any], gate: Gate) -> Outcome:
    rows = list(_changes(document["problems"]))
    failures = [f"{_name(row)} in {c['trace']}: {c['note']}" for row, c in rows if c["time"] is None]
    return Outcome(gate, failures, len(rows) - len(failures), len(failures))


def _changes(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for row in rows:
        for change in row["changes"]:
            yield row, change


def _name(row: Mapping[str, Any]) -> str:
    return title(row["problem"]) if "problem" in row else str(row["op"])


def _by(change: Mapping[str, Any]) -> str:
    if change["ratio"] is None or change["ratio_low"] is None:
        return f"{change['difference_us']:+.1f} us"
    low, high = (100 * (change[k] - 1) for k in ("ratio_low", "ratio_high"))
    return f"{100 * (change['ratio'] - 1):+.1f} % ({low:+.1f} to {high:+.1f} %)"


_JUDGES: Final[dict[str, Callable[[Mapping[str, Any], Gate], Outcome]]] = {
    "algorithm-changed": _changed,
    "unexplained": _changed,
    "problem-missing": _absent,
    "problem-new": _absent,
    "slower": _slower,
    "op-slower": _slower,
    "op-missing": _absent,
    "op-new": _absent,
    "unjudged": _unjudged,
}
