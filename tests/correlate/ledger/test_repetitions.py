"""Medians and the intervals around them are the same of few repetitions and of many."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.correlate.ledger import repetitions
from tftrace.correlate.ledger.repetitions import interval, ordered, timing, total

TIMES = st.lists(
    st.floats(0, 1e12, allow_nan=False) | st.sampled_from([0.0, -0.0, 5e-324, 1.5]), min_size=1, max_size=80
)


@settings(deadline=None)
@given(TIMES, st.integers(1, 9))
def test_order_statistics_of_many_are_those_of_all_of_them_sorted(values: list[float], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repetitions, "_AT_ONCE", at_once)
        patch.setattr(repetitions, "_BITS", 7)
        every = np.array(values)
        assert ordered(every, range(len(values))) == sorted(abs(v) for v in values)
        assert total(every) == pytest.approx(math.fsum(values), rel=1e-9, abs=1e-9)
        many = timing(every)
    assert many == timing(values)


@pytest.mark.parametrize("n", [1, 5, 6, 7, 20, 101, 1000, 4001])
def test_the_interval_leaves_out_as_many_as_a_fair_coin_allows(n: int) -> None:
    cut, as_few = 0, 1
    while 40 * as_few <= 2**n:  # both ends together hold at most a twentieth of all outcomes
        cut += 1
        as_few += math.comb(n, cut)
    found = interval([float(v) for v in range(n)])
    assert found == ((cut - 1, n - cut) if cut else (None, None))


def test_the_interval_of_millions_is_as_wide_as_that_of_a_normal_distribution() -> None:
    n = 3_000_000
    found = timing(np.arange(n, dtype=np.float64))
    assert found["time_us"] == (n - 1) / 2
    assert found["low_us"] == pytest.approx(n / 2 - 0.98 * math.sqrt(n), abs=2)
    assert found["high_us"] == pytest.approx(n / 2 + 0.98 * math.sqrt(n), abs=2)


def test_what_is_no_time_is_left_out() -> None:
    assert timing([math.nan, math.inf, -1.0, 3.0])["time_us"] == 3.0
    assert timing(np.array([math.nan]))["time_us"] is None
