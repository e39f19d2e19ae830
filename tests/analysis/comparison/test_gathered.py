"""Times gathered part by part are those of all rows, in their order, and take no more bytes than they need."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tftrace.analysis.comparison.gathered import Gathered, pieces

ROW = st.tuples(st.integers(0, 4), st.integers(-(1 << 40), 1 << 40) | st.integers(0, 9), st.booleans())


@given(st.lists(ROW, max_size=60), st.integers(1, 70))
def test_pieces_of_parts_are_the_times_of_the_whole(rows: list[tuple[int, int, bool]], size: int) -> None:
    found = Gathered()
    for first in range(0, len(rows), size):
        part = rows[first : first + size]
        number, ns, cold = (np.array(column) for column in zip(*part, strict=True))
        for one in pieces(number, 5, ns, cold):
            found.add(*one)
    for number in range(5):
        expected = tuple([ns for at, ns, c in rows if (at, c) == (number, cold)] for cold in (False, True))
        assert (number in found) == any(expected)
        assert tuple(times.tolist() for times in found.times(number)) == expected
        assert number not in found


def test_times_below_two_seconds_take_four_bytes() -> None:
    number, cold = np.zeros(2, np.int64), np.zeros(2, bool)
    (short,) = pieces(number, 1, np.array([1, (1 << 31) - 1]), cold)
    (long,) = pieces(number, 1, np.array([1, 1 << 31]), cold)
    assert (short[2].dtype, long[2].dtype) == (np.dtype(np.int32), np.dtype(np.int64))
    assert long[2].tolist() == [1, 1 << 31]
