"""Reader of traces in Chrome's trace event format: TensorFlow's `*.trace.json.gz`, PyTorch's, those of other tools.

    trace := "[" event* ["]"] | "{" [more] '"traceEvents": [' event* "]" [more] "}"
    event := {"ph": phase, "name", "cat", "ts": us, "dur": us, "pid", "tid", "id", "args": {..}}
    phase := "X" complete | "B" .. "E" begin and end on one thread | "i" "I" "R" mark | "M" names of processes and
             threads | "C" counter | "b" "e" "n" "s" "t" "f" asynchronous and flows | ..

Times count us from a start that the file does not tell. A file whose end is missing (writers append to it while the
program runs) is read up to its last whole event. Events of other phases are counted in `passed_over`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from tftrace.errors import InputError
from tftrace.ingest.recorded_file import read_recorded

NAME: Final = "chrome"
TITLE: Final = "Chrome trace"
NONE: Final = -1

Int = npt.NDArray[np.int64]
_SNIFF = re.compile(rb'\s*(?:\{[^\[]*?"traceEvents"\s*:\s*\[|\[\s*\{[^}]*?"ph"\s*:)', re.DOTALL)


@dataclass(frozen=True)
class ChromeTrace:
    """Intervals and marks as columns: `start_ns` and `dur_ns` (-1: never ended) from the start of the trace; `process`
    and `thread` index `processes` and `threads`, lists of names; `ids` are their numbers in the file as text."""

    path: Path
    names: list[str]
    name: Int
    start_ns: Int
    dur_ns: Int
    process: Int
    thread: Int
    processes: list[str]
    threads: list[str]
    process_ids: list[str]
    thread_ids: list[str]
    categories: list[str | None]
    args: list[dict[str, Any] | None]
    passed_over: dict[str, int]
    malformed: int
    cut: str | None

    def __len__(self) -> int:
        return len(self.name)


def sniff(path: Path, head: bytes) -> bool:
    """Whether this is JSON with trace events."""
    return _SNIFF.match(head) is not None


def read(path: Path) -> ChromeTrace:
    """Reads a trace, plain or compressed. Raises InputError where it cannot be read or holds no event."""
    recorded = read_recorded(path)
    events, cut = _events(recorded.data)
    if not events:
        raise InputError(f"{path}: holds no trace event; give a trace in Chrome's JSON format")
    return _table(path, events, recorded.cut or cut)


def _events(data: bytes) -> tuple[list[Any], str | None]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return _whole_ones(data), f"the file is cut or damaged: {error.msg} in line {error.lineno}"
    found = document.get("traceEvents") if isinstance(document, dict) else document
    return (found if isinstance(found, list) else []), None


def _whole_ones(data: bytes) -> list[Any]:
    """The events of a file that is no whole JSON document: up to the last one that closes."""
    text = data.decode("utf-8", "replace")
    match = _SNIFF.match(text.encode()[: 1 << 16])
    if match is None:
        return []
    begin = text.find("[")
    last = len(text)
    for _ in range(200):  # an event may hold objects of its own: go back one brace at a time
        last = text.rfind("}", begin, last)
        if last < 0:
            return []
        try:
            found = orjson.loads(text[begin : last + 1] + "]")
        except orjson.JSONDecodeError:
            continue
        return found if isinstance(found, list) else []
    return []


def _table(path: Path, events: list[Any], cut: str | None) -> ChromeTrace:
    names: dict[str, int] = {}
    processes: dict[str, int] = {}
    threads: dict[tuple[str, str], int] = {}
    process_names: dict[str, str] = {}
    thread_names: dict[tuple[str, str], str] = {}
    rows: list[tuple[int, int, int, int, int]] = []
    categories: list[str | None] = []
    args: list[dict[str, Any] | None] = []
    passed: Counter[str] = Counter()
    malformed = 0
    open_: dict[tuple[str, str], list[int]] = {}
    for event in events:
        if not isinstance(event, dict):
            malformed += 1
            continue
        if not event:  # TensorFlow ends its list with {}
            continue
        phase, pid, tid = str(event.get("ph")), str(event.get("pid", "")), str(event.get("tid", ""))
        own = event.get("args") if isinstance(event.get("args"), dict) else None
        if phase == "M":
            told = str((own or {}).get("name", ""))
            if event.get("name") == "process_name":
                process_names[pid] = told
            elif event.get("name") == "thread_name":
                thread_names[pid, tid] = told
            continue
        start = _ns(event.get("ts"))
        if phase == "E" and start is not None and open_.get((pid, tid)):
            at = open_[pid, tid].pop()
            rows[at] = (*rows[at][:2], max(start - rows[at][1], 0), *rows[at][3:])
            continue
        if phase not in ("X", "B", "i", "I", "R"):
            passed[phase] += 1
            continue
        if start is None:
            malformed += 1
            continue
        length = _ns(event.get("dur", 0)) if phase == "X" else (0 if phase != "B" else NONE)
        if phase == "B":
            open_.setdefault((pid, tid), []).append(len(rows))
        name = names.setdefault(str(event.get("name", "(event without a name)")), len(names))
        process = processes.setdefault(pid, len(processes))
        thread = threads.setdefault((pid, tid), len(threads))
        rows.append((name, start, NONE if length is None or length < 0 else length, process, thread))
        categories.append(str(event["cat"]) if event.get("cat") is not None else None)
        args.append(own)
    columns = np.array(rows, np.int64).reshape(-1, 5)
    name_of, start_of, dur_of, process_of, thread_of = (np.ascontiguousarray(columns[:, i]) for i in range(5))
    return ChromeTrace(
        path=path, names=list(names), name=name_of, start_ns=start_of, dur_ns=dur_of, process=process_of,
        thread=thread_of, processes=[process_names.get(p, p) for p in processes],
        threads=[thread_names.get(t, t[1]) for t in threads], process_ids=list(processes),
        thread_ids=[t for _, t in threads], categories=categories, args=args, passed_over=dict(passed),
        malformed=malformed, cut=cut,
    )  # fmt: skip


def _ns(us: Any) -> int | None:
    if isinstance(us, bool) or not isinstance(us, (int, float)) or not -9e15 < us < 9e15:
        return None
    return us * 1000 if isinstance(us, int) else round(us * 1000)
