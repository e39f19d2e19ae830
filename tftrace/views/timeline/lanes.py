"""Where each event is drawn: lanes (process > thread or device stream > layer) and rows (lane + nesting
depth)."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tftrace.model.layers import LAYERS
from tftrace.views.page import legible
from tftrace.views.timeline.columns import Ints, combine, order_of, slices

OTHER = len(LAYERS)
"""Layer number of tftrace's own work, which belongs to no layer of the user's program."""
MOST_ROWS = 250
"""Rows of one lane. Deeper events share the last one, where they may overlap: a lane of a hundred thousand events at
one instant would be as many rows deep."""


@dataclass(frozen=True)
class Lane:
    """The events of one layer on one thread or stream; they fill rows `row` to `row + depth - 1`."""

    layer: int
    row: int
    depth: int
    track: int


@dataclass(frozen=True)
class Track:
    """A thread or a device stream: a heading in row `row`, its lanes below."""

    label: str
    detail: str
    row: int
    process: int


@dataclass(frozen=True)
class Process:
    """A process; `row` is its heading's, None where the trace holds no other process and needs no heading."""

    label: str
    row: int | None


@dataclass(frozen=True)
class Lanes:
    lanes: list[Lane]
    tracks: list[Track]
    processes: list[Process]
    rows: int
    row: Ints
    """Row of each event. Events of one row never overlap, but in the crowded ones."""
    crowded: list[int]
    """Rows that events share which lie deeper than `MOST_ROWS`."""


def nesting_depth(start: Ints, end: Ints) -> Ints:
    """Depth of each of one lane's events: 0 for outermost; no two events of one depth overlap.

    `start` ascends, the longer of two events with one start comes first, and `end > start`. Where events
    nest, as calls on a thread do, the depth is the number of events still running, and that is counted
    without a loop. Where some overlap without nesting (clocks that disagree, asynchronous work), each takes
    the first free row instead.
    """
    n = len(start)
    if (start[1:] >= end[:-1]).all():
        return np.zeros(n, np.int64)
    depth = np.arange(n, dtype=np.int64) - np.searchsorted(np.sort(end), start, side="right")
    order = order_of(depth)
    same_row = depth[order][1:] == depth[order][:-1]
    if not (same_row & (end[order][:-1] > start[order][1:])).any():
        return depth
    free: list[int] = []
    running: list[tuple[int, int]] = []  # (end, row)
    rows = 0
    for i, (begin, finish) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        while running and running[0][0] <= begin:
            heapq.heappush(free, heapq.heappop(running)[1])
        if free:
            row = heapq.heappop(free)
        else:
            row, rows = rows, rows + 1
        depth[i] = row
        heapq.heappush(running, (finish, row))
    return depth


def _ends(start: Ints, dur: Ints) -> Ints:
    """Ends of events; an instant takes a nanosecond, so that two of them do not hide each other."""
    return start + np.maximum(dur, 1)


def _by_lane(lane: Ints, start: Ints, dur: Ints) -> Ints:
    """Order by lane, then start, the longer of two that start together first."""
    order = order_of(lane)  # events come sorted by their start
    for part in slices(len(order)):
        rows = order[max(part.start - 1, 0) : part.stop]
        at, begin, finish = lane[rows], start[rows], _ends(start[rows], dur[rows])
        if ((at[1:] == at[:-1]) & (begin[1:] == begin[:-1]) & (finish[1:] > finish[:-1])).any():
            break
    else:
        return order
    order = np.lexsort((-_ends(start, dur), start))
    return order[order_of(lane[order])]


def assign_lanes(
    start: Ints,
    dur: Ints,
    layer: Ints,
    host: tuple[Ints, list[str]],
    pid: Ints,
    tid: Ints,
    device: tuple[Ints, list[str]],
    stream: Ints,
    manifest: Mapping[str, Any],
) -> Lanes:
    """Lanes and rows of all events; arrays have one entry an event, in any order, -1 where null.

    Order of tracks: processes by their first event; in a process the main thread, then threads that run
    Python, then the others by first event, then device streams, device by device. Order of lanes: the layers,
    top to bottom.
    """
    is_stream = stream >= 0
    place = np.where(is_stream, stream, tid)
    gpu = np.where(is_stream, device[0], -1)
    track_of, sample = combine(host[0], pid, gpu, is_stream.astype(np.int8), place)
    del place, gpu
    first = np.full(len(sample), np.iinfo(np.int64).max)
    np.minimum.at(first, track_of, start)
    runs_python = np.zeros(len(sample), bool)
    runs_python[track_of[layer == 0]] = True
    process_start: dict[tuple[int, int], int] = {}
    for k, i in enumerate(sample.tolist()):
        process = (int(host[0][i]), int(pid[i]))
        process_start[process] = min(process_start.get(process, int(first[k])), int(first[k]))

    def rank(k: int) -> tuple[Any, ...]:
        i = int(sample[k])
        process = (int(host[0][i]), int(pid[i]))
        main = tid[i] == pid[i] and not is_stream[i]
        unit = (device[1][device[0][i]] if device[0][i] >= 0 else "") if is_stream[i] else ""
        return process_start[process], process, is_stream[i], unit, not main, not runs_python[k], first[k], k

    names = _thread_names(manifest)
    several_hosts = len({p[0] for p in process_start}) > 1
    several = len(process_start) > 1
    row_of = np.zeros(len(start), np.int32)
    lane_key = track_of * (OTHER + 1) + layer
    order_in_lane = _by_lane(lane_key, start, dur)
    in_lane = np.bincount(lane_key, minlength=len(sample) * (OTHER + 1))
    bounds = [0, *np.cumsum(in_lane).tolist()]
    del lane_key, in_lane
    lanes: list[Lane] = []
    tracks: list[Track] = []
    processes: list[Process] = []
    owners: dict[tuple[int, int], int] = {}
    crowded: list[int] = []
    row = 0
    for k in sorted(range(len(sample)), key=rank):
        i = int(sample[k])
        machine = host[1][host[0][i]] if several_hosts and host[0][i] >= 0 else ""
        owner = f"{machine} process {pid[i]}".strip() if pid[i] >= 0 else "process unknown"
        detail = owner
        if is_stream[i]:
            unit = device[1][device[0][i]] if device[0][i] >= 0 else "device"
            # Cut to the width of its column, the whole name would lose what tells the streams apart.
            label = f"{unit.rpartition('/device:')[2]} stream {stream[i]}"
            detail = f"{owner}, {unit}"
        elif tid[i] >= 0:
            name = names.get((int(pid[i]), int(tid[i]))) or ("main thread" if tid[i] == pid[i] else "thread")
            label = name if name.endswith(f"/{tid[i]}") else f"{name} {tid[i]}"
        else:
            label = "thread unknown"
        process = (int(host[0][i]), int(pid[i]))
        if process not in owners:
            owners[process] = len(processes)
            processes.append(Process(owner, row if several else None))
            row += several
        tracks.append(Track(label, detail, row, owners[process]))
        row += 1
        for number in range(OTHER + 1):
            low, high = bounds[k * (OTHER + 1) + number : k * (OTHER + 1) + number + 2]
            if low == high:
                continue
            mine = order_in_lane[low:high]
            rows = 1
            if high - low == 1:
                row_of[mine] = row
            else:
                depth = nesting_depth(start[mine], _ends(start[mine], dur[mine]))
                rows = int(depth.max()) + 1
                if rows > MOST_ROWS:
                    rows, depth = MOST_ROWS, np.minimum(depth, MOST_ROWS - 1)
                    crowded.append(row + rows - 1)
                row_of[mine] = row + depth
            lanes.append(Lane(number, row, rows, len(tracks) - 1))
            row += rows
    return Lanes(lanes, tracks, processes, row, row_of, crowded)


def _thread_names(manifest: Mapping[str, Any]) -> dict[tuple[int, int], str]:
    """(pid, tid) -> name, from `threads` ({tid: name}) of the manifest's processes, where it gives any."""
    names: dict[tuple[int, int], str] = {}
    for process in manifest.get("processes") or []:
        threads = process.get("threads") if isinstance(process, Mapping) else None
        if not isinstance(threads, Mapping):
            continue
        pid = process.get("pid")
        owner = -1 if pid is None else str(pid)  # an imported profile does not tell its process
        for tid, name in threads.items():
            if str(tid).isdecimal() and (owner == -1 or str(owner).isdecimal()):
                names[int(owner), int(tid)] = legible(str(name), 60)
    return names
