"""When a profile began that does not tell it (TensorFlow up to 2.15), from what it and our own records both saw."""

from __future__ import annotations

import numpy as np

from tftrace.correlate.tables.columns import Int

_MOST = 400
"""Intervals of each kind that are looked at: a few already leave little choice."""
_SLACK_NS = 1_000_000


class Pairs:
    """Intervals of which each lies within one of the others, on the same thread, once the profile is moved by the
    gap that is sought. Of the two one side is in the profile's time, the other in ours."""

    def __init__(self, profile: tuple[Int, Int, Int], ours: tuple[Int, Int, Int], ours_outside: bool) -> None:
        self.profile, self.ours, self.ours_outside = profile, ours, ours_outside

    def allowed(self, low: int, high: int) -> tuple[Int, Int]:
        """For every pair that can fit, the lowest and the highest gap under which it does."""
        (tid, start, end), (my_tid, my_start, my_end) = self.profile, self.ours
        near = np.flatnonzero(
            (my_end >= start.min(initial=0) + low) & (my_start <= end.max(initial=0) + high)
        )
        near = near[: 10 * _MOST]
        mine, his = my_start[near][:, None], start[None, :_MOST]
        my_last, his_last = my_end[near][:, None], end[None, :_MOST]
        first, last = (
            (mine - his, my_last - his_last) if self.ours_outside else (my_last - his_last, mine - his)
        )
        fits = (
            (my_tid[near][:, None] == tid[None, :_MOST]) & (first <= last) & (last >= low) & (first <= high)
        )
        return np.maximum(first[fits], low), np.minimum(last[fits], high)


def gap(low: int, high: int, *evidence: Pairs) -> int:
    """What to add to the times of the profile: between `low` and `high`, and so that most of the pairs fit.

    `high` where nothing was seen by both.
    """
    low, high = low - _SLACK_NS, high + _SLACK_NS
    found = [pairs.allowed(low, high) for pairs in evidence]
    first, last = (np.concatenate([part[i] for part in found]) for i in (0, 1))
    if len(first) == 0:
        return high - _SLACK_NS
    # the place under most intervals: where they begin one more lies there, behind their end one less
    at = np.concatenate([first, last + 1])
    step = np.concatenate([np.ones(len(first), np.int64), np.full(len(last), -1)])
    order = np.lexsort((step, at))
    depth = np.cumsum(step[order])
    best = int(np.argmax(depth))
    begin, behind = int(at[order[best]]), int(at[order[min(best + 1, len(order) - 1)]])
    return (begin + behind) // 2
