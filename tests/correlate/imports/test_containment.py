"""What is around what on a thread is the same gone through by time as looked at all at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.paging import put_on_disk
from tftrace.correlate.imports.containment import Spans, contain
from tftrace.correlate.nesting import nest
from tftrace.correlate.tables.columns import NONE, TraceBuilder

EVENT = st.tuples(
    st.integers(0, 30), st.sampled_from((0, 1, 2, 5, 50)), st.sampled_from((NONE, 7, 8)), st.sampled_from((NONE, 1, 2))
)  # fmt: skip
FILES = st.lists(
    st.tuples(st.sampled_from((None, "a", "b")), st.lists(EVENT, max_size=25)), min_size=1, max_size=3
)


def all_at_once(files: list[tuple[int, list[Any]]], ids: list[np.ndarray]) -> list[tuple[int, int]]:
    """The links, from every pair of a thread."""
    hosts = {host for host, events in files if host != NONE and events}
    lone = hosts.pop() if len(hosts) == 1 else None
    rows = [
        (int(ident), (host if lone is None else lone, pid, tid), start, start + dur)
        for (host, events), numbers in zip(files, ids, strict=True)
        for ident, (start, dur, pid, tid) in zip(numbers, events, strict=True)
        if pid != NONE and tid != NONE
    ]
    threads = {thread: n for n, thread in enumerate(dict.fromkeys(row[1] for row in rows))}
    number, start, end = (
        np.array(values, np.int64)
        for values in ([threads[row[1]] for row in rows], [row[2] for row in rows], [row[3] for row in rows])
    )
    parent, _ = nest(number, start, end, np.zeros(len(rows), np.int64))
    return [(rows[n][0], rows[p][0]) for n, p in enumerate(parent.tolist()) if p >= 0]


@settings(deadline=None)
@given(FILES, st.permutations(range(3)), st.sampled_from([1, 3, 1 << 18]))
def test_links_are_those_of_all_events_together(
    files: list[tuple[str | None, list[Any]]], order: list[int], rows: int
) -> None:
    build = TraceBuilder()
    coded = [(build.words.code(host), events) for host, events in files]
    with pytest.MonkeyPatch.context() as patch:
        put_on_disk(patch, rows)
        spans: list[Spans] = [Spans(build.pages) for _ in files]
        ids = [np.empty(0, np.int64) for _ in files]
        for file in (n for n in order if n < len(files)):  # a file that tells its time is added first
            host, events = coded[file]
            start, dur, pid, tid = np.array(events, np.int64).reshape(-1, 4).T
            ids[file] = build.events(len(events), start_ns=start, dur_ns=dur, pid=pid, tid=tid)
            build.events(2, start_ns=0, dur_ns=100)  # work of a device
            spans[file].add(ids[file], host, pid, tid, start, start + dur)
        contain(spans, build)
        found = build.streams()
        place = {ident: n for n, ident in enumerate(in_time(build, found))}
    links = [row for table in found["links"] for row in table.to_pylist()]
    expected = [(place[child], place[parent]) for child, parent in all_at_once(coded, ids)]
    assert [(row["child_id"], row["parent_id"]) for row in links] == expected
    assert {(row["rule"], row["evidence"]) for row in links} <= {("containment", "joined")}


def in_time(build: TraceBuilder, streams: dict[str, Any]) -> list[int]:
    """Takes the events, which gives them their numbers; returns those that they had before in that order."""
    starts = np.concatenate([chunk["start_ns"].whole() for chunk in build._events] or [np.empty(0)])
    ids = np.concatenate([chunk["_id"].whole() for chunk in build._events] or [np.empty(0)])
    rank = np.concatenate([chunk["_order"].whole() for chunk in build._events] or [np.empty(0)])
    assert sum(table.num_rows for table in streams["events"]) == build.event_count == len(ids)
    return [int(n) for n in ids[np.lexsort((rank, starts))]]
