"""Columns that are kept on disk come back as they were, in the order that was asked for."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.correlate.tables.columns import TraceBuilder
from tftrace.correlate.tables.scratch import Scratch, in_turn, merged
from tftrace.errors import UsageError

chunks = st.lists(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=30), min_size=1, max_size=6
)


@settings(max_examples=200, deadline=None)
@given(chunks, st.integers(1, 40), st.sampled_from([0, 1 << 20]))
def test_chunks_that_are_in_order_are_read_in_the_order_of_all(
    parts: list[list[tuple[int, int]]], rows: int, in_memory: int
) -> None:
    scratch = Scratch(in_memory=in_memory)
    kept = []
    for part in parts:
        key, tie = np.array(sorted(part), np.int64).reshape(-1, 2).T
        one = np.broadcast_to(np.int64(7), len(part))
        kept.append({n: scratch.keep(v) for n, v in (("key", key), ("tie", tie), ("one", one))})
    slices = list(merged(kept, "key", "tie", ("key", "tie", "one"), rows))
    found = [row for s in slices for row in zip(s["key"].tolist(), s["tie"].tolist(), strict=True)]
    assert found == sorted(row for part in parts for row in part)
    assert [len(s["key"]) for s in slices[:-1]] == [rows] * (len(slices) - 1)
    assert all((s["one"] == 7).all() for s in slices)
    turn = [int(v) for s in in_turn(kept, ("key",), rows) for v in s["key"]]
    assert turn == [key for part in parts for key, _ in sorted(part)]


def test_events_are_numbered_by_time_whether_they_are_in_memory_or_on_disk(tmp_path: Path) -> None:
    tables = []
    for in_memory in (0, 1 << 30):
        build = TraceBuilder(scratch=Scratch(tmp_path, in_memory))
        a, b = build.turns(2)
        first = build.events(3, start_ns=np.array([30, 10, 20]), dur_ns=1, name=build.words.codes("abc"))
        late = build.events(
            2, start_ns=np.array([10, 5]), dur_ns=1, name=build.words.codes("de"), order=np.array([b, b + 1])
        )
        early = build.events(
            1, start_ns=np.array([10]), dur_ns=1, name=build.words.codes("f"), order=np.array([a])
        )
        build.relayer(late, "kernel")
        build.link(first, np.array([late[1], early[0], late[0]]), "rule", "joined")
        tables.append(build.tables())
    one, other = tables
    assert one["events"].equals(other["events"])
    assert one["links"].equals(other["links"])
    # of those at 10: the turns a and b were taken before that of the first three
    assert one["events"]["name"].to_pylist() == ["e", "f", "d", "b", "c", "a"]
    assert one["events"]["layer"].to_pylist() == ["kernel", None, "kernel", None, None, None]
    assert one["links"]["child_id"].to_pylist() == [5, 3, 4]
    assert one["links"]["parent_id"].to_pylist() == [0, 1, 2]


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, in_memory=0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(
            UsageError, match=rf"^{tmp_path}: what is joined cannot be written there: .*; make room$"
        ):
            scratch.keep(np.arange(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []  # the file has no name
