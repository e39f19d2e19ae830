"""Events of threads that may lie inside one another, whichever file they come from: gone through by time, so that what
is in memory are some of them and those that run meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from tftrace.correlate.nesting import nest
from tftrace.correlate.tables.columns import NONE, Array, Int, TraceBuilder, numbered
from tftrace.correlate.tables.scratch import Kept, in_order, merged
from tftrace.store.pages import Pages

ROWS: Final = 1 << 18
"""Events that are sorted, looked at or linked together."""
_COLUMNS: Final = ("start", "end", "thread", "id")
Thread = tuple[int, int, int]
"""Host (a code of the builder's words, or NONE), process and thread."""


class Spans:
    """Host events of one file, added in the order of their numbers, between which lie those of no other file."""

    def __init__(self, pages: Pages) -> None:
        self._columns = {name: pages.column(np.int64) for name in _COLUMNS}
        self._edges = [0]  # of what is sorted by time
        self._numbers: dict[Thread, int] = {}
        self.hosts: set[int] = set()
        """Those that any event names."""
        self.first, self.last = NONE, NONE

    @property
    def threads(self) -> list[Thread]:
        return list(self._numbers)

    def add(self, ids: Int, host: int, pid: Int, tid: Int, start: Int, end: Int) -> None:
        """Columns of equal length; an `end` not known is `start`. What has no process or thread lies in nothing."""
        if host != NONE and len(ids):
            self.hosts.add(host)
        usable = np.flatnonzero((pid != NONE) & (tid != NONE))
        for at in range(0, len(usable), ROWS):
            some = usable[at : at + ROWS]
            some = some[in_order(start[some], ids[some])]
            thread = self._thread(host, pid[some], tid[some])
            for name, values in zip(_COLUMNS, (start[some], end[some], thread, ids[some]), strict=True):
                self._columns[name].add(values)
            self._edges.append(self._edges[-1] + len(some))
        if len(usable):
            self.first = int(ids[usable[0]]) if self.first == NONE else self.first
            self.last = int(ids[usable[-1]])

    def _thread(self, host: int, pid: Int, tid: Int) -> Int:
        number = numbered(pid, tid)
        one = np.empty(int(number.max()) + 1, np.int64)  # event of each thread
        one[number] = np.arange(len(number))
        codes = [
            self._numbers.setdefault((host, p, t), len(self._numbers))
            for p, t in zip(pid[one].tolist(), tid[one].tolist(), strict=True)
        ]
        return np.array(codes, np.int64)[number]

    def sorted(self) -> list[dict[str, Kept]]:
        """The events in pieces that are in the order of time. None can be added afterwards."""
        columns = {name: column.array() for name, column in self._columns.items()}
        return [
            {name: Kept(values[first:last]) for name, values in columns.items()}
            for first, last in zip(self._edges, self._edges[1:], strict=False)
        ]


def contain(spans: Sequence[Spans], build: TraceBuilder) -> None:
    """Links host events to what contains them on their thread; `spans` are those of the files.

        file          thread  interval         parent
        nsys (NVTX)   7       0 .. 100         none
        cuDNN log     7       10 .. 60    ->   the NVTX range
        nsys (CUDA)   7       20 .. 30         the cuDNN call
        nsys (CUDA)   8       20 .. 30         none

    A file that does not name its host may be of any: it is taken for the one host that the others name, where they name
    one only. Events without process or thread are joined with nothing. Of equal intervals that of the earlier file is
    around the other.
    """
    filled = [one for one in spans if one.first != NONE]
    if not filled:
        return
    hosts = {host for one in spans for host in one.hosts}
    files = _Files(filled, hosts.pop() if len(hosts) == 1 else None)
    parent = build.pages.filled(
        np.int32 if build.event_count < 1 << 31 else np.int64, build.event_count, NONE
    )
    running = {name: np.empty(0, np.int64) for name in _COLUMNS}
    chunks = [chunk for one in filled for chunk in one.sorted()]
    for part, until in _by_moment(chunks):
        known = len(running["id"])
        start, end, thread, ids = (np.concatenate([running[name], part[name]]) for name in _COLUMNS)
        file = files.of(ids)
        inside, _ = nest(files.thread(file, thread), start, end, file)
        rows = known + np.flatnonzero(inside[known:] >= 0)
        parent[ids[rows]] = ids[inside[rows]]
        still = np.flatnonzero(end > until)
        running = {name: v[still] for name, v in zip(_COLUMNS, (start, end, thread, ids), strict=True)}
        build.pages.give_back()
    for one in filled:
        link_each(build, one.first, parent[one.first : one.last + 1], "containment", "joined")


class _Files:
    """Which file events are from, and the threads of all files by one number each."""

    def __init__(self, spans: Sequence[Spans], host: int | None) -> None:
        """With `host`, all threads are of that one."""
        numbers: dict[Thread, int] = {}
        codes: list[int] = []
        begins: list[int] = []
        for one in spans:
            begins.append(len(codes))
            codes += [
                numbers.setdefault((own if host is None else host, pid, tid), len(numbers))
                for own, pid, tid in one.threads
            ]
        self._codes, self._begins = np.array(codes), np.array(begins)
        first = np.array([one.first for one in spans])
        self._order = np.argsort(first)
        self._first = first[self._order]

    def of(self, ids: Int) -> Int:
        return np.asarray(self._order[np.searchsorted(self._first, ids, "right") - 1], np.int64)

    def thread(self, file: Int, thread: Int) -> Int:
        return np.asarray(self._codes[self._begins[file] + thread], np.int64)


def link_each(build: TraceBuilder, first: int, parent: Array, rule: str, evidence: str) -> None:
    """Links the events from number `first` on to their `parent`, NONE for none."""
    for at in range(0, len(parent), ROWS):
        above = parent[at : at + ROWS].astype(np.int64)
        build.link(np.arange(first + at, first + at + len(above)), above, rule, evidence)
        build.pages.give_back()


def _by_moment(chunks: list[dict[str, Kept]]) -> Iterator[tuple[dict[str, Int], int]]:
    """All events by time, those that begin at one moment together; and when the next ones begin."""
    waiting: list[dict[str, Int]] = []
    for part in merged(chunks, "start", "id", _COLUMNS, ROWS):
        waiting.append(part)
        start = part["start"]
        if start[-1] == waiting[0]["start"][0]:
            continue
        whole = {name: np.concatenate([p[name] for p in waiting]) for name in _COLUMNS}
        moment = int(start[-1])
        cut = int(np.searchsorted(whole["start"], moment))
        waiting = [{name: values[cut:] for name, values in whole.items()}]
        yield {name: values[:cut] for name, values in whole.items()}, moment
    if waiting:
        last = {name: np.concatenate([p[name] for p in waiting]) for name in _COLUMNS}
        yield last, int(np.iinfo(np.int64).max)
