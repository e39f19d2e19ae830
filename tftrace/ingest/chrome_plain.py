"""Events of a trace in Chrome's format in columns, by C (native/reader/chrome.c): those in which all is plain.

Most events of a trace are: complete ones, of ASCII without escapes, with whole numbers and short fractions. An event
that holds anything else is parsed by itself, and what is no list of events is not read here at all.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from tftrace.ingest.text_columns import Bool, Int, texts, texts_by_number
from tftrace.native.compiling import SOURCES, loops

_SOURCE: Final = SOURCES / "reader" / "chrome.c"
LIMIT: Final = 9e15
"""Microseconds, three hundred years: no time of an event is farther from 0."""
NONE: Final = -1
ROOM: Final = 1 << 15
"""Events that are read at once."""
_FIELDS: Final = ("name", "cat", "pid", "tid", "ts", "dur")
_MEMBERS: Final = (
    ("data", "p"), ("at", "q"), ("end", "q"), ("events", "q"), ("room", "q"), ("begin", "p"), ("stop", "p"),
    ("first", "p"), ("last", "p"), ("whole", "p"), ("correlation", "p"), ("text", "p"), ("text_at", "p"), ("odd", "p"),
)  # fmt: skip
"""The struct `tft_chrome`: pointers and 64-bit numbers."""


class _Events(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p if kind == "p" else ctypes.c_int64) for name, kind in _MEMBERS]


class Told(NamedTuple):
    """A value for each event, by number."""

    number: Int
    values: list[Any]


class Rows(NamedTuple):
    """Events as columns: `at` is the place of each row among those that go with them, times are in ns, -1 a duration
    that is none, `args` the arguments as compact JSON without its braces."""

    at: Int
    name: Told
    category: Told
    pid: Told
    tid: Told
    start_ns: Int
    dur_ns: Int
    correlation: Int
    args: pa.Array


@dataclass(frozen=True)
class Block:
    """Some events of a list, in their order: `odd` are those that were parsed, `odd_at` their places among all, and
    `rows` the others, complete events."""

    events: int
    odd: list[Any]
    odd_at: Int
    rows: Rows

    def __len__(self) -> int:
        return self.events


ABSENT: Final[dict[str, Any]] = {"name": "(event without a name)", "cat": None, "pid": "", "tid": ""}
"""What stands for a field that an event does not have."""


def plain(value: Any) -> Any:
    """The value where it is told from others by being equal, else its text: 1, 1.0 and True are three things."""
    kind = type(value)
    return value if kind is str or kind is int or value is None else str(value)


@cache
def _library() -> Any:
    """The C functions; None where they cannot be had."""
    functions, _ = loops("chrome", _SOURCE)
    if functions is not None:
        functions.tft_chrome_events.argtypes = [ctypes.POINTER(_Events)]
        functions.tft_chrome_events.restype = ctypes.c_int
    return functions


class Plain:
    """Reads pieces of one file."""

    def __init__(self) -> None:
        self._made: dict[str, npt.NDArray[Any]] = {}

    def read(self, data: bytes) -> tuple[Block, int] | None:
        """The events that the text begins with, up to one that is cut off or the last of the list, and where that one
        begins; None where there are none, where it is no list of events, or where C cannot be had."""
        functions = _library()
        if functions is None or len(data) >= 1 << 31:
            return None
        made = self._made = self._made or {
            "begin": np.empty(ROOM, np.int32), "stop": np.empty(ROOM, np.int32),
            "first": np.empty((len(_FIELDS), ROOM), np.int32), "last": np.empty((len(_FIELDS), ROOM), np.int32),
            "whole": np.empty((2, ROOM), np.bool_), "correlation": np.empty(ROOM, np.int64),
            "text_at": np.empty(ROOM + 1, np.int32), "odd": np.empty(ROOM, np.bool_),
        }  # fmt: skip
        text = np.empty(len(data), np.uint8)
        scan = _Events(
            data=np.frombuffer(data, np.uint8).ctypes.data, end=len(data), room=ROOM, text=text.ctypes.data,
            **{name: values.ctypes.data for name, values in made.items()},
        )  # fmt: skip
        if not functions.tft_chrome_events(scan) or not scan.events:
            return None
        try:
            return self._block(data, text, int(scan.events)), int(scan.at)
        except orjson.JSONDecodeError:
            return None

    def _block(self, data: bytes, text: npt.NDArray[np.uint8], count: int) -> Block:
        """Raises JSONDecodeError where an event that is not plain is no JSON."""
        made = self._made
        first, last = made["first"][:, :count].astype(np.int64), made["last"][:, :count].astype(np.int64)
        odd, whole = made["odd"][:count], made["whole"]
        rows = np.flatnonzero(~odd)
        start, known = _nanoseconds(data, first[4, rows], last[4, rows], whole[0, rows])
        odd[rows[~known]] = True
        rows, start, odd_at = rows[known], start[known], np.flatnonzero(odd)
        begin, stop = made["begin"], made["stop"]
        parsed = orjson.loads(b"".join((b"[", b",".join(data[begin[n] : stop[n]] for n in odd_at), b"]")))
        ends = made["text_at"][: count + 1]
        args = pa.Array.from_buffers(
            pa.string(), count, [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(text[: ends[-1]].tobytes())]
        )
        length, known = _nanoseconds(data, first[5, rows], last[5, rows], whole[1, rows])
        duration = np.where(known, np.maximum(length, NONE), NONE)
        name, category, pid, tid = (
            _told(data, field, first[n, rows], last[n, rows]) for n, field in enumerate(_FIELDS[:4])
        )
        args = args if len(rows) == count else args.take(pa.array(rows))
        correlation = made["correlation"][rows]
        return Block(
            count, parsed, odd_at, Rows(rows, name, category, pid, tid, start, duration, correlation, args)
        )


def _told(data: bytes, field: str, first: Int, last: Int) -> Told:
    number, tokens = texts_by_number(data, first, last)
    return Told(number, [plain(orjson.loads(text)) if text else ABSENT[field] for text in tokens])


def _nanoseconds(data: bytes, first: Int, last: Int, whole: Bool) -> tuple[Int, Bool]:
    """ns of the us between these places, to the nearest, 0 where nothing stands there; and whether they are within
    bounds. `whole`: without a fraction."""
    ns, within = np.zeros(len(first), np.int64), np.ones(len(first), np.bool_)
    for kind, rows in ((pa.int64(), whole & (last > first)), (pa.float64(), ~whole)):
        at = np.flatnonzero(rows)
        if not len(at):
            continue
        values = texts(data, first[at], last[at]).cast(pa.string()).cast(kind).to_numpy()
        within[at] = (values > -LIMIT) & (values < LIMIT)
        values = np.where(within[at], values, 0)
        ns[at] = values * 1000 if kind == pa.int64() else np.rint(values * 1000)
    return ns, within
