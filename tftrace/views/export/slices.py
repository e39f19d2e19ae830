"""The events of a trace as slices on tracks that nest, which is what other tools' formats ask for.

A track is a thread or a device stream with the events of all of its layers. Where two events of one overlap without
one containing the other (clocks that disagree by some ns, asynchronous work), the later goes to a further track of the
same thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from tftrace.errors import InputError, UsageError
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace
from tftrace.views.page import legible
from tftrace.views.timeline import details
from tftrace.views.timeline.columns import Ints, ints, table, texts
from tftrace.views.timeline.events import Events, Strings, read_events
from tftrace.views.timeline.lanes import OTHER

TFTRACE: Final = "tftrace"
"""Category of tftrace's own work, which belongs to no layer of the user's program."""


@dataclass(frozen=True)
class Kind:
    """What events that differ in their times alone have in common. `file` and `line` are the place that the layer
    stands for: the user's line, or the generated wrapper's."""

    name: str
    layer: str
    arguments: dict[str, str]
    file: str | None
    line: int | None


@dataclass(frozen=True)
class Track:
    """A thread (`tid`) or a device's stream (`stream`) of a process; what is not known is None. `part` is 0, or counts
    the further tracks of the same thread."""

    process: str
    label: str
    pid: int | None
    tid: int | None
    device: str | None
    stream: int | None
    part: int


@dataclass(frozen=True)
class Slices:
    """Arrays have one entry an event; times are ns since `t0`, which is ns since the epoch."""

    t0: int
    start: Ints
    dur: Ints
    track: Ints
    kind: Ints
    kinds: list[Kind]
    tracks: list[Track]
    by_track: list[Ints]
    """The events of each track, by start, outer ones first."""
    flows: list[tuple[int, int]]
    """(event that caused another, that other) where the two lie on different tracks."""


def read_slices(trace: Trace) -> Slices:
    """Raises InputError where the trace has no events, as that of a tuning."""
    strings = Strings()
    calls = details.read_calls(trace, strings)
    events = read_events(trace, strings, calls.kind_of)
    if events is None:
        raise InputError(f"{trace.name}: holds no events to export; record a run with 'tftrace run'")
    kinds = _kinds(trace, events, calls, strings)
    tracks, by_track = _tracks(trace, events)
    track = np.empty(len(events.start), np.int64)
    for number, members in enumerate(by_track):
        track[members] = number
    parent, child, *_ = details.links(trace, events, strings)
    apart = track[parent] != track[child]
    flows = list(zip(parent[apart].tolist(), child[apart].tolist(), strict=True))
    return Slices(events.t0, events.start, events.dur, track, events.info, kinds, tracks, by_track, flows)


def _kinds(trace: Trace, events: Events, calls: details.Calls, strings: Strings) -> list[Kind]:
    sites = details.sites(trace, strings)
    names = _names(trace, events)
    row_of = {site: row for row, site in enumerate(sites["site_id"])}
    values = strings.all()
    infos = events.infos

    def text(number: int) -> str | None:
        return values[number] if number >= 0 else None

    kinds = []
    for at in range(len(infos["name"])):
        layer = infos["layer"][at]
        arguments: dict[str, str] = {}
        file, line = None, None
        call = infos["kind"][at]
        if call >= 0:
            site = row_of.get(calls.kinds["site"][call])
            if site is not None:
                named = {
                    name: text(sites[name][site]) for name in ("op", "api", "gen_op", "mode", "graph", "node")
                }
                arguments = {name: value for name, value in named.items() if value is not None}
                where = text(sites["python_file"][site])
                if where is not None:
                    arguments["line"] = f"{where}:{sites['python_line'][site]}"
                own = {0: "python", 2: "gen_op"}.get(layer)
                if own is not None:
                    file = text(sites["python_file" if layer == 0 else "gen_op_file"][site])
                    line = sites[f"{own}_line"][site] if file is not None else None
            for name in ("shapes", "dtypes", "device"):
                value = text(calls.kinds[name][call])
                if value is not None:
                    arguments[name] = value
        extra = infos["extra"][at]
        if extra >= 0:
            pairs = infos["extras"][extra]
            for key, value in zip(pairs[::2], pairs[1::2], strict=True):
                arguments.setdefault(values[key], values[value])
        kinds.append(Kind(names[at], LAYERS[layer] if layer != OTHER else TFTRACE, arguments, file, line))
    return kinds


def _names(trace: Trace, events: Events) -> list[str]:
    """Of each kind; a page cuts the names of C++ templates shorter."""
    rows = table(trace, "events")
    index, values = texts(rows["name"], 10_000)
    of_rank = np.empty(len(index), np.int64)
    of_rank[events.rank(ints(rows["event_id"]))] = index
    example = np.empty(len(events.infos["name"]), np.int64)
    example[events.info] = of_rank
    return [values[i] if i >= 0 else "(no name)" for i in example.tolist()]


def _tracks(trace: Trace, events: Events) -> tuple[list[Track], list[Ints]]:
    """The tracks in the timeline's order, and the events of each."""
    rows = table(trace, "events")
    rank = events.rank(ints(rows["event_id"]))
    columns: dict[str, Ints] = {}
    for name in ("pid", "tid", "stream"):
        columns[name] = np.empty(len(rank), np.int64)
        columns[name][rank] = ints(rows[name])
    index, devices = texts(rows["device"], 80)
    columns["device"] = np.empty(len(rank), np.int64)
    columns["device"][rank] = index
    first_rows = np.array([lane.row for lane in events.lanes.lanes])
    lane = np.searchsorted(first_rows, events.lanes.row, side="right") - 1
    thread = np.array([x.track for x in events.lanes.lanes])[lane]
    layer = np.array(events.infos["layer"])[events.info]
    order = np.lexsort((layer, -(events.start + events.dur), events.start, thread))
    tracks: list[Track] = []
    by_track: list[Ints] = []
    for members in np.split(order, np.flatnonzero(np.diff(thread[order])) + 1):
        first = int(members[0])
        drawn = events.lanes.tracks[int(thread[first])]
        on_device = columns["stream"][first] >= 0
        known = {name: int(column[first]) if column[first] >= 0 else None for name, column in columns.items()}
        device = devices[known["device"]] if on_device and known["device"] is not None else None
        for part, own in enumerate(_nesting_parts(events.start, events.start + events.dur, members)):
            label = legible(drawn.label, 160) + (f", part {part + 1}" if part else "")
            tracks.append(
                Track(
                    legible(drawn.detail, 160), label, known["pid"], None if on_device else known["tid"], device,
                    known["stream"] if on_device else None, part,
                )
            )  # fmt: skip
            by_track.append(own)
    return tracks, by_track


def _nesting_parts(start: Ints, end: Ints, members: Ints) -> list[Ints]:
    """`members`, outer ones first, in parts of which each nests; the first takes what it can."""
    part_of = np.zeros(len(members), np.int64)
    running: list[list[int]] = [[]]  # of each part the ends of what still runs, outermost first
    for at, (begin, finish) in enumerate(zip(start[members].tolist(), end[members].tolist(), strict=True)):
        part = next((i for i, ends in enumerate(running) if _fits(ends, begin, finish)), len(running))
        if part == len(running):
            running.append([])
        running[part].append(finish)
        part_of[at] = part
    return [members[part_of == number] for number in range(len(running))]


def _fits(running: list[int], begin: int, finish: int) -> bool:
    """Whether an event lies within the innermost that still runs at its begin; those that ended are taken off."""
    while running and running[-1] <= begin:
        running.pop()
    return not running or finish <= running[-1]


def endings(slices: Slices, members: Ints) -> Iterator[tuple[bool, int, int]]:
    """(whether it begins, event, when) for the begins and ends of one track in an order in which they nest."""
    running: list[tuple[int, int]] = []
    starts, ends = slices.start[members].tolist(), (slices.start + slices.dur)[members].tolist()
    for event, start, end in zip(members.tolist(), starts, ends, strict=True):
        while running and running[-1][1] <= start:
            yield False, *running.pop()
        yield True, event, start
        running.append((event, end))
    while running:
        yield False, *running.pop()


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A file that becomes `path` when all went well. Raises UsageError where it cannot be written."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            yield file
        os.replace(partial, path)
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}; name a file in a directory you may write"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def numbered(values: list[Any]) -> dict[Any, int]:
    """The number of each distinct value, from 1."""
    return {value: number for number, value in enumerate(dict.fromkeys(values), 1)}
