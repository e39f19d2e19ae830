"""Reader of traces in Chrome's trace event format: TensorFlow's `*.trace.json.gz`, PyTorch's, those of other tools.

    trace := "[" event* ["]"] | "{" [more] '"traceEvents": [' event* "]" [more] "}"
    event := {"ph": phase, "name", "cat", "ts": us, "dur": us, "pid", "tid", "id", "args": {..}}
    phase := "X" complete | "B" .. "E" begin and end on one thread | "i" "I" "R" mark | "M" names of processes and
             threads | "C" counter | "b" "e" "n" "s" "t" "f" asynchronous and flows | ..

Times count us from a start that the file does not tell. A file whose end is missing (writers append to it while the
program runs) is read up to its last whole event. Events of other phases are counted in `passed_over`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from tftrace.errors import InputError
from tftrace.ingest.chrome_events import BEGIN, Events
from tftrace.ingest.chrome_plain import ABSENT, LIMIT, NONE, Block, Plain, Rows, Told, plain
from tftrace.ingest.collector import resting
from tftrace.store.pages import Growing, Pages
from tftrace.store.texts import Texts

NAME: Final = "chrome"
TITLE: Final = "Chrome trace"

Array = npt.NDArray[Any]
Codes = npt.NDArray[np.int32]
Int = npt.NDArray[np.int64]
_COLUMNS: Final = (np.int32, np.int64, np.int64, np.int32, np.int32, np.int64)
"""Name, start, duration, thread, category, correlation id."""
_DURATION: Final = 2
ROWS: Final = 1 << 18
"""Rows that are looked at together."""
_CORRELATION: Final = ("correlation_id", "correlation")
_SMALL: Final = 9e12


@dataclass(frozen=True)
class ChromeTrace:
    """Intervals and marks as columns: `start_ns` and `dur_ns` (-1: never ended) from the start of the trace; `name`,
    `thread` and `category` (-1: none) are codes into `names`, `threads` and `categories`; `process_of` is for each
    thread the place of its process in `processes`. `process_ids` and `thread_ids` are their numbers in the
    file as text.

    `correlation` is the id by which work of a device and its launch know each other, -1 where there is none. `args` are
    the arguments as JSON without its braces, empty where there are none; `recategorized` are the rows, ascending, whose
    arguments hold a category of their own, which is that of the event there. All of these are in `pages`.
    """

    path: Path
    names: list[str]
    name: Codes
    start_ns: Int
    dur_ns: Int
    thread: Codes
    process_of: Int
    processes: list[str]
    threads: list[str]
    process_ids: list[str]
    thread_ids: list[str]
    categories: list[str]
    category: Codes
    correlation: Int
    args: pa.ChunkedArray
    recategorized: Int
    passed_over: dict[str, int]
    malformed: int
    cut: str | None
    pages: Pages

    def __len__(self) -> int:
        return len(self.name)

    @property
    def process(self) -> Int:
        """The process of each event, by its place in `processes`."""
        return self.process_of[self.thread] if len(self) else np.empty(0, np.int64)


def sniff(path: Path, head: bytes) -> bool:
    """Whether this is JSON with trace events."""
    return BEGIN.match(head) is not None


def read(path: Path) -> ChromeTrace:
    """Reads a trace, plain or compressed, in pieces. Raises InputError where it cannot be read or holds no event."""
    events = Events(path, Plain().read)
    scan = _Scan()
    any_ = False
    with resting():
        for some in events:
            any_ |= bool(len(some))
            scan.take(some)
    if not any_:
        raise InputError(f"{path}: holds no trace event; give a trace in Chrome's JSON format")
    return scan.trace(path, events.cut)


class _Memo(dict[Any, int]):
    """The code of a key, worked out when it is first asked for."""

    def __init__(self, code: Callable[[Any], int]) -> None:
        self._code = code

    def __missing__(self, key: Any) -> int:
        code = self[key] = self._code(key)
        return code


class _Scan:
    """One pass over the events, in their order. What can be done column by column is, which is quicker than to do
    everything for each event."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.categories: dict[str, int] = {}
        self.processes: dict[str, int] = {}
        self.threads: dict[tuple[str, str], int] = {}
        self.process_names: dict[str, str] = {}
        self.thread_names: dict[tuple[str, str], str] = {}
        self.name_of = _Memo(lambda name: _numbered(self.names, str(name)))
        self.category_of = _Memo(lambda name: NONE if name is None else _numbered(self.categories, str(name)))
        self.ids: dict[str, int] = {}
        self.id_of = _Memo(lambda id_: _numbered(self.ids, str(id_)))
        self.open: dict[tuple[str, str], list[tuple[int, int]]] = {}  # row and start of what has begun
        self.ended: dict[int, int] = {}  # of rows in `columns` or before: how long they took
        self.passed: Counter[str] = Counter()
        self.malformed = self.rows = 0
        self.pages = Pages()
        self.columns = tuple(map(self.pages.column, _COLUMNS))
        self.args = Texts(self.pages)
        self.recategorized = self.pages.column(np.int64)
        self.lengths: tuple[Growing, Growing] = (self.pages.column(np.int64), self.pages.column(np.int64))

    def take(self, events: list[Any] | Block) -> None:
        if isinstance(events, Block):
            before = events.odd_at - np.arange(len(events.odd_at))
            parsed = self._parsed(events.odd, before.tolist())
            self._add(events.rows if parsed is None else _merged(events.rows, parsed))
        elif (parsed := self._parsed(events, None)) is not None:
            self._add(parsed)
        if self.ended:
            for column, values in zip(self.lengths, zip(*self.ended.items(), strict=True), strict=True):
                column.add(np.array(values, np.int64))
            self.ended.clear()

    def _parsed(self, events: list[Any], before: list[int] | None) -> Rows | None:
        """The rows of events that were parsed; `before`: how many rows of other events come before each."""
        kept: list[dict[str, Any]] = []
        starts: list[int | float] = []
        marks: dict[int, int] = {}
        at: list[int] = []
        for n, event in enumerate(events):
            if not isinstance(event, dict):
                self.malformed += 1
                continue
            start: Any = event.get("ts")
            known = (type(start) is float or type(start) is int) and -LIMIT < start < LIMIT
            row = len(kept) + (before[n] if before else 0)
            if event.get("ph") != "X":
                length = self._other(event, _ns(start) if known else None, self.rows + row)
                if length is None:
                    continue
                marks[len(kept)] = length
            elif not known:
                self.malformed += 1
                continue
            kept.append(event)
            starts.append(start)
            at.append(row)
        if not kept:
            return None
        durations = _nanoseconds([event.get("dur", 0) for event in kept])
        durations[list(marks)] = list(marks.values())
        own = [_own(event) for event in kept]
        correlation = np.array([NONE if args is None else _correlation(args) for args in own], np.int64)
        told = []
        for n, args in enumerate(own):
            if args is not None and "cat" in args and kept[n].get("cat") is not None:
                own[n] = args | {"cat": str(kept[n]["cat"])}
                told.append(self.rows + at[n])
        self.recategorized.add(np.array(told, np.int64))
        each = np.arange(len(kept))
        name, category, pid, tid = (
            Told(each, [plain(event.get(field, ABSENT[field])) for event in kept])
            for field in ("name", "cat", "pid", "tid")
        )
        args = pa.array([_text(args) for args in own], pa.binary()).cast(pa.string())
        return Rows(
            np.array(at),
            name,
            category,
            pid,
            tid,
            _nanoseconds(starts),
            np.maximum(durations, NONE),
            correlation,
            args,
        )

    def _add(self, rows: Rows) -> None:
        if not len(rows.at):
            return
        found: tuple[Array, ...] = (
            _codes(self.name_of, rows.name), rows.start_ns, rows.dur_ns,
            self._threads(_codes(self.id_of, rows.pid), _codes(self.id_of, rows.tid)),
            _codes(self.category_of, rows.category), rows.correlation,
        )  # fmt: skip
        for column, values in zip(self.columns, found, strict=True):
            column.add(values)
        self.args.add(rows.args)
        self.rows += len(rows.at)

    def _other(self, event: dict[str, Any], start: int | None, row: int) -> int | None:
        """What an event is that is no interval: the length with which it becomes a row, or None for no row."""
        if not event:  # TensorFlow ends its list with {}
            return None
        phase, pid, tid = str(event.get("ph")), str(event.get("pid", "")), str(event.get("tid", ""))
        if phase == "M":
            own = event.get("args")
            told = str(own.get("name", "")) if isinstance(own, dict) else ""
            if event.get("name") == "process_name":
                self.process_names[pid] = told
            elif event.get("name") == "thread_name":
                self.thread_names[pid, tid] = told
            return None
        if phase == "E" and start is not None and self.open.get((pid, tid)):
            began, at = self.open[pid, tid].pop()
            self.ended[began] = max(start - at, 0)
            return None
        if phase not in ("X", "B", "i", "I", "R"):
            self.passed[phase] += 1
            return None
        if start is None:
            self.malformed += 1
            return None
        if phase != "B":
            return 0
        self.open.setdefault((pid, tid), []).append((row, start))
        return NONE

    def _threads(self, pid: Codes, tid: Codes) -> Codes:
        _, first, of = np.unique(pid.astype(np.int64) << 32 | tid, return_index=True, return_inverse=True)
        codes, ids = np.empty(len(first), np.int32), list(self.ids)
        for n in np.argsort(first).tolist():  # as they come
            at = first[n]
            key = ids[pid[at]], ids[tid[at]]
            _numbered(self.processes, key[0])
            codes[n] = _numbered(self.threads, key)
        return codes[of]

    def trace(self, path: Path, cut: str | None) -> ChromeTrace:
        name, start, dur, thread, category, correlation = (
            column.array(writable=at == _DURATION) for at, column in enumerate(self.columns)
        )
        ended, lengths = (column.array() for column in self.lengths)
        for first in range(0, len(ended), ROWS):
            some = slice(first, first + ROWS)
            dur[ended[some]] = lengths[some]
            self.pages.give_back()
        return ChromeTrace(
            path=path, names=list(self.names), name=name, start_ns=start, dur_ns=dur, thread=thread,
            process_of=np.array([self.processes[pid] for pid, _ in self.threads], np.int64),
            processes=[self.process_names.get(p, p) for p in self.processes],
            threads=[self.thread_names.get(t, t[1]) for t in self.threads], process_ids=list(self.processes),
            thread_ids=[t for _, t in self.threads], categories=list(self.categories), category=category,
            correlation=correlation, args=pa.chunked_array(self.args.arrays(), pa.string()),
            recategorized=self.recategorized.array(), passed_over=dict(self.passed),
            malformed=self.malformed, cut=cut, pages=self.pages,
        )  # fmt: skip


def _numbered(codes: dict[Any, int], key: Any) -> int:
    return codes.setdefault(key, len(codes))


def _codes(memo: _Memo, told: Told) -> Codes:
    """Those of the values of all events; values get theirs as they come."""
    number, values = told
    first = np.full(len(values), len(number))
    first[number[::-1]] = np.arange(len(number))[::-1]
    codes = np.empty(len(values), np.int32)
    for n in np.argsort(first, kind="stable").tolist():
        if first[n] < len(number):
            codes[n] = memo[values[n]]
    return codes[number]


def _merged(one: Rows, other: Rows) -> Rows:
    """The rows of both, each where its `at` says, or, of `one`, where there is room."""
    count = len(one.at) + len(other.at)
    free = np.ones(count, np.bool_)
    free[other.at] = False
    place = np.empty(count, np.int64)  # of each row in one behind the other
    place[free], place[other.at] = np.arange(len(one.at)), np.arange(len(one.at), count)

    def both(a: Told, b: Told) -> Told:
        return Told(np.concatenate((a.number, b.number + len(a.values)))[place], a.values + b.values)

    def column(a: Int, b: Int) -> Int:
        return np.concatenate((a, b))[place]

    return Rows(
        np.arange(count), both(one.name, other.name), both(one.category, other.category), both(one.pid, other.pid),
        both(one.tid, other.tid), column(one.start_ns, other.start_ns), column(one.dur_ns, other.dur_ns),
        column(one.correlation, other.correlation), pa.concat_arrays([one.args, other.args]).take(pa.array(place)),
    )  # fmt: skip


def _own(event: dict[str, Any]) -> dict[str, Any] | None:
    args = event.get("args")
    return args if isinstance(args, dict) and args else None


def _text(args: dict[str, Any] | None) -> bytes:
    """The arguments as the standard library writes them; orjson writes the same, quicker, where all is plain."""
    if args is None:
        return b""
    for value in args.values():
        if type(value) is not str and type(value) is not int:
            break
    else:
        text = orjson.dumps(args)
        if text.isascii() and b"\x7f" not in text:
            return text[1:-1]
    return json.dumps(args, separators=(",", ":"), default=str)[1:-1].encode()


def _correlation(args: dict[str, Any]) -> int:
    for key in _CORRELATION:
        if key in args:
            value = str(args[key])
            if value.isdecimal() and int(value) < 1 << 62:
                return int(value)
    return NONE


def _nanoseconds(us: list[Any]) -> Int:
    """ns of these us, to the nearest; -1 for what is no number or out of bounds."""
    kinds = set(map(type, us))
    if kinds == {int} and max(us) < LIMIT and min(us) > -LIMIT:
        return np.array(us, np.int64) * 1000
    # a whole number is multiplied exactly, which in floats holds for small ones
    if kinds == {float} or (kinds == {int, float} and max(us) < _SMALL and min(us) > -_SMALL):
        values = np.array(us, np.float64)
        within = (values > -LIMIT) & (values < LIMIT)
        return np.where(within, np.rint(np.where(within, values, 0) * 1000), NONE).astype(np.int64)
    return np.array([NONE if (ns := _ns(value)) is None else ns for value in us], np.int64)


def _ns(us: Any) -> int | None:
    if isinstance(us, bool) or not isinstance(us, (int, float)) or not -LIMIT < us < LIMIT:
        return None
    return us * 1000 if isinstance(us, int) else round(us * 1000)
