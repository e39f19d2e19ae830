"""Lengths in half the memory are the lengths."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tftrace.analysis.lengths import Lengths


@given(st.lists(st.integers(-9, 9) | st.integers(1 << 31, 1 << 40)), st.integers(0, 9), st.integers(0, 9))
def test_a_part_holds_short_ones_and_long_ones(values: list[int], first: int, count: int) -> None:
    at = [row for row, value in enumerate(values) if value >= 1 << 31]
    short = np.array([0 if row in at else value for row, value in enumerate(values)], np.int32)
    lengths = Lengths(short, np.array(at, np.int64), np.array([values[row] for row in at], np.int64))
    assert lengths.part(first, count).tolist() == values[first : first + count]
    assert len(lengths) == len(values)
    assert Lengths.of(np.array(values, np.int64)).part(first, count).tolist() == values[first : first + count]
