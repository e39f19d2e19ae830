"""Which problem of one run is which of another.

Two problems can only be the same where they compute the same: op, direction, sizes, strides, padding, groups. Among
those, the pair that agrees in most else (library, device, layout, dtype, math type, what is fused) goes together:

    run A                     run B
    conv [8,32,32,3] float32  conv [8,32,32,3] float32   same problem
    conv [8,64,64,3] float32  conv [8,64,64,3] float16   same problem in another dtype
    conv [8,99,99,3] float32                             only in A

Sizes are compared with channels last, whatever the layout. Problems that a profile left without sizes are matched by
the nodes of the graph, or else by the order in which they first ran, which is *inferred*.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tftrace.analysis.comparison.solved import Solved
from tftrace.model.problem import OPEN, compatible

_NOT_COMPUTED: Final = (*OPEN, "nodes")
_OTHER_ORDER: Final = 100


@dataclass
class Matched:
    """One problem, with what each run (by its number) made of it."""

    runs: dict[int, Solved] = field(default_factory=dict)
    evidence: str = "measured"
    """inferred where sizes are unknown and only the order tells."""

    @property
    def first(self) -> Solved:
        return self.runs[min(self.runs)]


def match(runs: Sequence[Sequence[Solved]]) -> list[Matched]:
    """The problems of all runs, in the order of the first run that has them."""
    rows: list[Matched] = []
    buckets: dict[str, list[Matched]] = {}
    for number, problems in enumerate(runs):
        wanted: dict[str, list[Solved]] = {}
        for one in problems:
            wanted.setdefault(computed(one.problem), []).append(one)
        for key, here in wanted.items():
            for one, row, by_order in _paired(here, buckets.get(key, [])):
                if row is None:
                    row = Matched()
                    rows.append(row)
                    buckets.setdefault(key, []).append(row)
                elif by_order:
                    row.evidence = "inferred"
                row.runs[number] = one
    return rows


def _paired(here: list[Solved], there: list[Matched]) -> list[tuple[Solved, Matched | None, bool]]:
    """Each of `here` with the row that it belongs to, None for a new one; and whether only their order says so."""
    order = {id(one): at for at, one in enumerate(sorted(here, key=lambda s: s.order))}
    rank = {id(row): at for at, row in enumerate(sorted(there, key=lambda r: r.first.order))}
    pairs = sorted(
        (
            (distance(row.first, one), abs(order[id(one)] - rank[id(row)]), at, number)
            for at, row in enumerate(there)
            for number, one in enumerate(here)
        )
    )
    taken: dict[int, tuple[Matched, bool]] = {}
    used: set[int] = set()
    for apart, _, at, number in pairs:
        if at not in used and number not in taken:
            used.add(at)
            taken[number] = (there[at], apart >= _OTHER_ORDER)
    return [(one, *taken.get(number, (None, False))) for number, one in enumerate(here)]


def distance(one: Solved, other: Solved) -> int:
    """In how much that does not tell problems apart the two differ; 0 for the same."""
    apart = 0
    if one.key != other.key:
        apart += 1 if compatible(one.problem, other.problem) else 2
        apart += sum(one.problem.get(k) != other.problem.get(k) for k in OPEN)
    apart += 4 * (one.library != other.library) + 2 * (one.device != other.device)
    if not sized(one.problem):
        mine, others = one.problem.get("nodes"), other.problem.get("nodes")
        apart += 0 if mine and mine == others else _OTHER_ORDER
    return apart


def sized(problem: Mapping[str, Any]) -> bool:
    """Whether the problem tells any size."""
    return any(problem.get(k) for k in ("input", "filter", "output", "shapes"))


def computed(problem: Mapping[str, Any]) -> str:
    """What is computed, however it is: one text, with channels last."""
    told = {k: v for k, v in problem.items() if k not in _NOT_COMPUTED and v is not None}
    layout = str(problem.get("layout") or "")
    for name in ("input", "output"):
        if isinstance(told.get(name), list) and len(told[name]) > 2 and not layout.endswith("C"):
            told[name] = [told[name][0], *told[name][2:], told[name][1]]
    return json.dumps(told, sort_keys=True, default=str)
