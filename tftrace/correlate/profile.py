"""TensorFlow profiler windows as events on the same threads and the same time line as our own records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.columns import Int, TraceBuilder
from tftrace.correlate.dispatches import Dispatches
from tftrace.correlate.host_plane import HostEvents, add_host_events, fold
from tftrace.ingest.agent_raw import RawProcess
from tftrace.ingest.thread_keys import thread_key_candidates
from tftrace.ingest.xplane import XSpace, read_xspace


@dataclass(frozen=True)
class ProfileEvents:
    """Host events of all windows of a process: parallel arrays."""

    ids: Int
    start: Int
    end: Int
    tid: Int
    name: Int  # codes of the builder's words
    is_kernel: np.ndarray
    producer: Int  # hashed (type, id); NONE where absent
    consumer: Int
    step: Int  # TensorFlow's step id, dense; NONE where absent
    eager_op: Int  # op type of an `EagerExecute` that runs a single op; NONE elsewhere
    options: list[dict[str, Any]]


def read_windows(
    raw: RawProcess, clock: Clock, build: TraceBuilder, common: dict[str, int], known: Dispatches
) -> ProfileEvents:
    """Adds the windows' host events. Raises InputError where a profile cannot be read."""
    hosts: list[HostEvents] = []
    options: list[dict[str, Any]] = []
    keys: dict[int, int] = {}
    for row in raw.threads:
        for key in thread_key_candidates(int(row["pthread"]), int(row["tid"])):
            keys[key] = int(row["tid"])
    steps: dict[tuple[int, int], int] = {}
    for number, (window, path) in enumerate(raw.profiles):
        space = read_xspace(path)
        options.append(dict(space.options))
        line_tid = np.array([keys.get(line.line_id, fold(line.line_id)) for line in space.lines], np.int64)
        start = _placed(space, window, clock, line_tid, known)
        hosts.append(add_host_events(space, build, common, start, line_tid, number, steps))
    return _joined(hosts, options)


def _joined(hosts: list[HostEvents], options: list[dict[str, Any]]) -> ProfileEvents:
    def column(name: str, kind: type = np.int64) -> Any:
        return np.concatenate([getattr(h, name) for h in hosts] or [np.empty(0, kind)])

    return ProfileEvents(
        column("ids"), column("start"), column("end"), column("tid"), column("name"), column("is_kernel", bool),
        column("producer"), column("consumer"), column("run"), column("eager_op"), options,
    )  # fmt: skip


def _placed(space: XSpace, window: dict[str, Any], clock: Clock, line_tid: Int, known: Dispatches) -> Int:
    """Start times on our time line.

    A profile that does not tell when it began (TensorFlow up to 2.15) is placed by what both recorded: it began
    between `asked` and `open`, and the offset in there is taken under which most of its own entries into the runtime
    lie inside a call of ours on the same thread.
    """
    if space.absolute:
        return clock.from_wall(space.start_ns, int(window["open"]))
    low, high = clock.from_raw(
        np.array([window.get("asked", window["open"]), window["open"]], np.int64)
    ).tolist()
    entry = np.array([n.startswith("TFE_Py_") for n in space.names], bool)
    rows = np.flatnonzero(entry[space.name_code])[:400] if len(space) else np.empty(0, np.int64)
    mine = np.flatnonzero((known.start >= low) & (known.start < low + 600_000_000_000))[:400]
    best, most = high, -1
    if len(rows) and len(mine):
        tid, at = line_tid[space.line[rows]], space.start_ns[rows]
        gaps = (known.start[mine][:, None] - at[None, :]).ravel()
        gaps = np.unique(gaps[(gaps >= low - 1_000_000) & (gaps <= high + 1_000_000)])[
            :: max(1, len(gaps) // 2000)
        ]
        for gap in gaps.tolist():
            # an entry of TensorFlow's begins some hundred ns after ours
            place = np.searchsorted(known.start[mine], at + gap + 300, "right") - 1
            call = mine[np.maximum(place, 0)]
            inside = (place >= 0) & (known.tid[call] == tid) & (at + gap + 300 < known.end[call])
            if int(inside.sum()) > most:
                best, most = gap + 300, int(inside.sum())
    return np.asarray(space.start_ns + best, np.int64)
