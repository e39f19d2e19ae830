"""Which candidates are timed again: those that may still be the fastest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tftrace.analysis.racing import FEWEST_ROUNDS, MOST_ROUNDS, close_to, undecided

N = FEWEST_ROUNDS
TIMES = st.lists(st.floats(0.1, 1e6), max_size=MOST_ROUNDS + 5)


def spread(low: float, high: float, count: int = N) -> list[float]:
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def all_may(rounds: dict[str, list[float]]) -> dict[str, bool]:
    return dict.fromkeys(rounds, True)


def test_every_candidate_gets_the_fewest_rounds() -> None:
    rounds = {"a": spread(10, 10.1), "b": [99.0], "c": []}
    assert set(undecided(rounds, all_may(rounds))) == {"b", "c"}


def test_what_is_slower_for_sure_is_not_timed_again_however_wide_its_interval() -> None:
    rounds = {"a": spread(10, 14), "b": spread(11, 15), "c": spread(30, 90)}
    assert set(undecided(rounds, all_may(rounds))) == {"a", "b"}


def test_the_race_ends_when_the_fastest_is_apart() -> None:
    rounds = {"a": spread(10, 20), "b": spread(21, 40)}
    assert undecided(rounds, all_may(rounds)) == []


def test_the_race_ends_when_the_close_ones_are_tight() -> None:
    rounds = {"a": spread(10, 10.1), "b": spread(10.05, 10.15)}
    assert undecided(rounds, all_may(rounds)) == []


def test_what_is_not_exact_cannot_hold_up_the_race() -> None:
    rounds = {"a": spread(1, 5), "b": spread(10, 20), "c": spread(21, 40)}
    assert undecided(rounds, {"a": False, "b": True, "c": True}) == []
    assert undecided(rounds, {"a": False, "b": False, "c": False}) == []


def test_where_time_is_short_what_is_hopeless_gets_two_rounds() -> None:
    rounds = {"a": [10.0, 11.0], "b": [90.0, 95.0], "c": [90.0], "d": [12.0, 90.0]}
    assert set(undecided(rounds, all_may(rounds), frugal=True)) == {"a", "c", "d"}
    assert set(undecided(rounds, all_may(rounds))) == {"a", "b", "c", "d"}


@given(st.dictionaries(st.sampled_from("abcdef"), TIMES), st.sets(st.sampled_from("abcdef")))
def test_no_candidate_is_timed_for_ever(rounds: dict[str, list[float]], able: set[str]) -> None:
    again = undecided(rounds, {name: name in able for name in rounds})
    assert len(again) == len(set(again))
    assert all(len(rounds[name]) < MOST_ROUNDS for name in again)
    assert {name for name, times in rounds.items() if len(times) < N} <= set(again)


def test_ties_are_those_whose_interval_meets_the_winners() -> None:
    intervals = {"a": (10.0, 12.0), "b": (12.0, 13.0), "c": (12.1, 15.0), "d": (None, None)}
    assert close_to("a", intervals) == ["b", "d"]
