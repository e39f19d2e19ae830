"""Which candidates need another round: time is spent where it decides who is fastest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from tftrace.correlate.ledger.repetitions import interval

FEWEST_ROUNDS: Final = 6
"""Fewer have no interval by order statistics at 95 %."""
MOST_ROUNDS: Final = 60
TIGHT: Final = 0.03
"""Width of an interval, as a share of the median, below which it is not made any narrower."""


HOPELESS: Final = 5.0
FRUGAL_ROUNDS: Final = 2


def undecided(
    rounds: Mapping[str, Sequence[float]], may_win: Mapping[str, bool], frugal: bool = False
) -> list[str]:
    """Names of the candidates to be timed again, from their times so far (one a round).

    Each gets `FEWEST_ROUNDS`. After that only the fastest one that may win, and those whose interval meets its: until
    their intervals are tight, the fastest's lies apart from all others, or `MOST_ROUNDS` are done.

        candidate  interval   rounds       candidate  again?
        a          10 .. 12   6            a          yes: b may be faster
        b          11 .. 14   6       ->   b          yes
        c          30 .. 50   6            c          no: wide, but slower for sure
        d          -          4            d          yes

    `frugal`, where there is no time for that: what is `HOPELESS` times slower than another one after `FRUGAL_ROUNDS`
    gets no more, and no interval.
    """
    young = [name for name, times in rounds.items() if len(times) < FEWEST_ROUNDS]
    if frugal:
        seen = [
            float(np.median(t)) for name, t in rounds.items() if len(t) >= FRUGAL_ROUNDS and may_win[name]
        ]
        limit = HOPELESS * min(seen, default=float("inf"))
        young = [n for n in young if len(rounds[n]) < FRUGAL_ROUNDS or min(rounds[n]) < limit]
    known = {name: interval(times) for name, times in rounds.items() if len(times) >= FEWEST_ROUNDS}
    able = [name for name in known if may_win[name]]
    if not able:
        return young
    first = min(able, key=lambda name: float(np.median(rounds[name])))
    close = [name for name in able if name == first or _meet(known[name], known[first])]
    if len(close) == 1 and not young:
        return []
    wide = [n for n in close if len(rounds[n]) < MOST_ROUNDS and _width(known[n], rounds[n]) > TIGHT]
    return young + wide


def close_to(first: str, intervals: Mapping[str, tuple[float | None, float | None]]) -> list[str]:
    """Names of the others whose interval meets that of `first`: within the noise none of them is slower."""
    return [n for n, known in intervals.items() if n != first and _meet(known, intervals[first])]


def _meet(one: tuple[float | None, float | None], other: tuple[float | None, float | None]) -> bool:
    if one[0] is None or one[1] is None or other[0] is None or other[1] is None:
        return True  # without an interval nothing tells them apart
    return one[0] <= other[1] and other[0] <= one[1]


def _width(known: tuple[float | None, float | None], times: Sequence[float]) -> float:
    if known[0] is None or known[1] is None:
        return float("inf")
    return (known[1] - known[0]) / max(float(np.median(times)), 1e-9)
