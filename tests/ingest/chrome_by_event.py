"""The straightforward reader of Chrome's traces: the whole document parsed, then one event after the other."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

NONE = -1
Row = tuple[str, int, int, str, str, str | None, dict[str, Any] | None]
"""Name, start and duration in ns, process, thread, category and arguments."""


def by_event(events: list[Any]) -> tuple[list[Row], dict[str, int], int]:
    """The rows, the events passed over by phase, and how many are malformed."""
    process_names: dict[str, str] = {}
    thread_names: dict[tuple[str, str], str] = {}
    rows: list[list[Any]] = []
    passed: Counter[str] = Counter()
    malformed = 0
    open_: dict[tuple[str, str], list[int]] = {}
    for event in events:
        if not isinstance(event, dict):
            malformed += 1
            continue
        if not event:
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
        start = ns(event.get("ts"))
        if phase == "E" and start is not None and open_.get((pid, tid)):
            at = open_[pid, tid].pop()
            rows[at][2] = max(start - rows[at][1], 0)
            continue
        if phase not in ("X", "B", "i", "I", "R"):
            passed[phase] += 1
            continue
        if start is None:
            malformed += 1
            continue
        length = ns(event.get("dur", 0)) if phase == "X" else (0 if phase != "B" else NONE)
        if phase == "B":
            open_.setdefault((pid, tid), []).append(len(rows))
        name = str(event.get("name", "(event without a name)"))
        category = str(event["cat"]) if event.get("cat") is not None else None
        rows.append([name, start, NONE if length is None or length < 0 else length, pid, tid, category, own])
    named: list[Row] = [
        (name, start, dur, process_names.get(pid, pid), thread_names.get((pid, tid), tid), category, own)
        for name, start, dur, pid, tid, category, own in rows
    ]
    return named, dict(passed), malformed


def ns(us: Any) -> int | None:
    if isinstance(us, bool) or not isinstance(us, (int, float)) or not -9e15 < us < 9e15:
        return None
    return us * 1000 if isinstance(us, int) else round(us * 1000)


def attributes(category: str | None, args: dict[str, Any] | None) -> str:
    """What an event has for attributes, as JSON; "" without any."""
    row = dict(args or {})
    if category is not None:
        row["cat"] = category
    return json.dumps(row, separators=(",", ":"), default=str) if row else ""


def correlation(args: dict[str, Any] | None) -> int:
    for key in ("correlation_id", "correlation"):
        value = str((args or {}).get(key, ""))
        if value.isdecimal() and int(value) < 1 << 62:
            return int(value)
    return NONE
