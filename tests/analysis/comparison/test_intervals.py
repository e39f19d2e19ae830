"""Intervals of times: known answers, what they cover, and where there is none."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.analysis.comparison import intervals
from tftrace.analysis.comparison.intervals import change, median

TIMES = st.lists(st.floats(1e-3, 1e7, allow_nan=False), min_size=1, max_size=40)


@pytest.mark.parametrize(("n", "m"), [(1, 4), (3, 4), (5, 5), (4, 6), (6, 3)])
def test_arrangements_are_those_that_counting_finds(n: int, m: int) -> None:
    counted = np.zeros(n * m + 1)
    for places in combinations(range(n + m), n):
        counted[sum(place - rank for rank, place in enumerate(places))] += 1
    assert intervals._arrangements(n, m).tolist() == counted.tolist()


def test_ranks_that_textbooks_give() -> None:
    # critical values of U, two-sided at 1 %: the rank is one more
    for n, m, critical in ((5, 5, 0), (8, 8, 7), (10, 10, 16), (12, 12, 27), (20, 20, 105)):
        assert intervals._mann_whitney_rank(n, m) == critical + 1
    # order statistics around a median at 99 %
    assert [intervals._binomial_rank(n) for n in (7, 8, 12, 20)] == [0, 1, 2, 4]
    # where the normal approximation takes over, nothing jumps
    assert intervals._binomial_rank(1001) - intervals._binomial_rank(1000) in (0, 1)
    assert intervals._mann_whitney_rank(31, 30) == 286  # exactly 288: the approximation is the wider


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 6), (8, 8), (25, 40), (60, 60)])
def test_equal_runs_are_called_different_at_most_as_often_as_the_level_says(n: int, m: int) -> None:
    random = np.random.default_rng(3)
    told = [
        change(random.lognormal(5, 0.2, n), random.lognormal(5, 0.2, m)).verdict in ("slower", "faster")
        for _ in range(600)
    ]
    assert sum(told) <= 6 + 3 * 2.5  # 1 % of 600, and three standard deviations


@pytest.mark.parametrize("n", [3, 6, 12, 60])
def test_a_run_of_twice_the_time_is_slower_and_half_is_faster(n: int) -> None:
    random = np.random.default_rng(n)
    base, twice = random.lognormal(5, 0.02, n), 2 * random.lognormal(5, 0.02, n)
    there, back = change(base, twice), change(twice, base)
    assert (there.verdict, back.verdict) == ("slower", "faster")
    assert there.ratio.low is not None
    assert there.ratio.high is not None
    assert there.ratio.low < 2 < there.ratio.high or n == 60
    assert there.ratio.value == pytest.approx(2, rel=0.05)
    assert there.difference.value == pytest.approx(np.exp(5), rel=0.05)


def test_one_slow_call_in_many_changes_nothing() -> None:
    base = np.linspace(100, 110, 20)
    spiked = base.copy()
    spiked[3] = 1e6
    found = change(base, spiked)
    assert found.verdict == "within_noise"
    assert found.difference.value == pytest.approx(0.5, abs=0.5)


def test_few_repetitions_use_another_method_and_one_has_no_interval() -> None:
    assert change([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]).difference.method == intervals.BY_RANKS
    assert change([1, 2, 3], [1, 2, 3]).difference.method == intervals.BY_LOGARITHMS
    single = change([10.0], [20.0, 21.0])
    assert (single.verdict, single.difference.low, single.ratio.high) == (None, None, None)
    assert single.difference.reason == intervals.ONE_REPETITION
    assert single.difference.value == 10.5
    assert median([7.0]).reason == intervals.ONE_REPETITION


def test_few_times_that_lie_far_apart_have_no_interval() -> None:
    apart = change([1.0, 40.0], [3_317_987.0, 0.001])
    assert (apart.verdict, apart.ratio.low, apart.difference.reason) == (None, None, intervals.FAR_APART)
    assert median([1.0, 1e6]).reason == intervals.FAR_APART


def test_what_is_no_time_is_left_out() -> None:
    assert median([float("nan"), float("inf"), 3.0]).value == 3.0
    nothing = change([float("nan")], [1.0, 2.0])
    assert (nothing.verdict, nothing.difference.value, nothing.difference.reason) == (
        None,
        None,
        intervals.NO_TIMES,
    )
    zero = change([0.0, 0.0], [1.0, 2.0])
    assert zero.verdict is None
    assert "zero" in str(zero.ratio.reason)
    many_zeros = change([0.0] * 9, [1.0] * 9)
    assert (many_zeros.verdict, many_zeros.ratio.value) == ("slower", None)


def test_many_times_give_the_same_answer_each_time() -> None:
    random = np.random.default_rng(0)
    a, b = random.lognormal(5, 0.3, 50_000), random.lognormal(5.1, 0.3, 50_000)
    assert change(a, b) == change(a, b)
    assert change(a, b).verdict == "slower"


@given(TIMES, TIMES)
def test_an_interval_holds_its_value_and_turns_round_with_the_runs(
    before: list[float], after: list[float]
) -> None:
    there, back = change(before, after), change(after, before)
    assert there.difference.value is not None
    for of in (there.difference, there.ratio):
        if of.low is None or of.high is None or of.value is None:
            continue
        near = 1e-9 * (1 + abs(of.value))
        assert of.low - near <= of.value <= of.high + near
    if there.difference.method == intervals.BY_RANKS:
        assert back.difference.low == pytest.approx(-there.difference.high)  # type: ignore[operator]
    assert {there.verdict, back.verdict} in (
        {"slower", "faster"},
        {"within_noise"},
        {None},
    )


@given(TIMES)
def test_a_run_against_itself_is_within_noise(times: list[float]) -> None:
    found = change(times, times)
    assert found.difference.value == pytest.approx(0, abs=1e-6)
    assert found.verdict in (None, "within_noise")
