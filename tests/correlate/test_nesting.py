"""Containment and covered time against what a newcomer would write with two loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.correlate import nesting
from tftrace.correlate.nesting import latest_before, nest, past, union_length


@st.composite
def nested_intervals(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Properly nested intervals of a few threads: (tid, start, end)."""
    rows: list[tuple[int, int, int]] = []

    def grow(tid: int, start: int, end: int, depth: int) -> None:
        rows.append((tid, start, end))
        at = start + 1
        while depth < 4 and at < end - 1 and draw(st.booleans()):
            stop = draw(st.integers(at, end - 1))
            grow(tid, at, stop, depth + 1)
            at = stop + 1

    for tid in draw(st.lists(st.integers(1, 5), min_size=1, max_size=4, unique=True)):
        at = draw(st.integers(-50, 50))
        for _ in range(draw(st.integers(1, 3))):
            end = at + draw(st.integers(1, 60))
            grow(tid, at, end, 0)
            at = end + draw(st.integers(0, 5))
    return draw(st.permutations(rows))


def innermost(rows: list[tuple[int, int, int]], i: int) -> tuple[int, int] | None:
    tid, start, end = rows[i]
    around = [
        (s, e)
        for j, (t, s, e) in enumerate(rows)
        if j != i
        and t == tid
        and s <= start
        and end <= e
        and (s, e) != (start, end)
        and start < max(e, s + 1)
    ]
    return min(around, key=lambda r: r[1] - r[0]) if around else None


@given(nested_intervals())
def test_parent_is_the_innermost_interval_around(rows: list[tuple[int, int, int]]) -> None:
    tid, start, end = (np.array(c, np.int64) for c in zip(*rows, strict=True))
    parent, depth = nest(tid, start, end, np.zeros(len(rows), np.int64))
    for i in range(len(rows)):
        expected = innermost(rows, i)
        if expected is None:
            assert parent[i] == -1
            assert depth[i] == 0
        else:
            assert rows[parent[i]][1:] == expected
            assert rows[parent[i]][0] == rows[i][0]
            assert depth[i] == depth[parent[i]] + 1


def test_equal_intervals_are_ordered_by_rank() -> None:
    same = np.array([10, 10, 10], np.int64)
    parent, _ = nest(np.ones(3, np.int64), same, same + 5, np.array([2, 0, 1], np.int64))
    assert parent.tolist() == [2, -1, 1]


def test_times_far_apart_on_many_threads_do_not_overflow() -> None:
    tid = np.array([1, 1, 2, 2, 3], np.int64)
    start = np.array([0, 1, 2**61, 2**61 + 1, 5], np.int64)
    end = np.array([10, 2, 2**61 + 10, 2**61 + 2, 6], np.int64)
    parent, _ = nest(tid, start, end, np.zeros(5, np.int64))
    assert parent.tolist() == [-1, 0, -1, 2, -1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 200), st.integers(0, 40)), max_size=40))
def test_union_counts_overlaps_once(rows: list[tuple[int, int, int]]) -> None:
    group, start, length = (np.array([r[k] for r in rows], np.int64) for k in range(3))
    covered: list[set[int]] = [set() for _ in range(4)]
    for g, s, n in rows:
        covered[g].update(range(s, s + n))
    assert union_length(group, start, start + length, 4).tolist() == [len(c) for c in covered]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=12),
    st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 21)), max_size=12),
)
def test_the_latest_before_a_moment_is_the_one_that_a_search_of_all_rows_finds(
    rows: list[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    def column(pairs: list[tuple[int, int]], n: int) -> np.ndarray:
        return np.array([pair[n] for pair in pairs], np.int64)

    found = latest_before(column(rows, 0), column(rows, 1), column(asked, 0), column(asked, 1))
    for (group, at), row in zip(asked, found, strict=True):
        before = [(start, n) for n, (g, start) in enumerate(rows) if g == group and start <= at]
        assert row == (max(before)[1] if before else -1)


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_what_lies_deeper_than_the_passes_is_nested_the_same(
    monkeypatch: pytest.MonkeyPatch, passes: int
) -> None:
    random = np.random.default_rng(passes)
    for _ in range(200):
        n = int(random.integers(1, 60))
        tid, start, long, rank = (random.integers(0, below, n) for below in (3, 30, 30, 2))
        known = nesting.nest(tid, start, start + long, rank)
        with monkeypatch.context() as patched:
            patched.setattr(nesting, "_PASSES", passes)
            found = nesting.nest(tid, start, start + long, rank)
        assert np.array_equal(found, known)


def test_intervals_that_are_all_the_same_lie_in_each_other_in_linear_time() -> None:
    n = 200_000
    parent, depth = nesting.nest(*(np.full(n, value) for value in (1, 5, 9, 0)))
    assert np.array_equal(parent, np.arange(-1, n - 1))
    assert np.array_equal(depth, np.arange(n))


def test_what_is_around_a_row_past_rows_of_one_kind() -> None:
    #                 entry event event call launch launch other
    parent = np.array([-1, 0, 3, 1, 2, 1, -1])
    found = past(parent, np.array([4, 5, 6]), 1, 3)
    assert found.tolist() == [3, 0, -1]  # the call, past the event that begins in it; the entry; nothing
    assert parent.tolist() == [-1, 0, 3, 1, 2, 1, -1]
