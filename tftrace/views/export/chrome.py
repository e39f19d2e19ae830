"""Chrome's trace event format: one JSON object with an event a line.

Every event is complete (`ph: X`), in us with three decimals from the first one; `otherData.began_ns` tells when that
was. A thread that is split (see `slices`) and a device's streams get thread numbers of their own, above any of Linux;
the process of a device is named as TensorFlow names it (`/device:GPU:0`). A link between two threads is a flow.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any, Final

import orjson

from tftrace.model.trace import Trace
from tftrace.views.export.slices import Slices, Track, numbered, read_slices, written

SUFFIX: Final = ".trace.json"

_ABOVE_PIDS: Final = 1 << 22
"""What Linux gives no process or thread as its number."""


def write(trace: Trace, path: Path) -> None:
    slices = read_slices(trace)
    places = _places(slices.tracks)
    with written(path) as file:
        head = {"tool": "tftrace", "trace": trace.name, "began_ns": slices.t0, "synthetic": trace.synthetic}
        file.write(b'{"displayTimeUnit":"ns","otherData":' + orjson.dumps(head) + b',"traceEvents":[\n')
        lines = [orjson.dumps(event) for event in _names(slices.tracks, places)]
        file.write(b",\n".join(lines))
        for number, members in enumerate(slices.by_track):
            pid, tid = places[number]
            for event in members.tolist():
                kind = slices.kinds[slices.kind[event]]
                _put(
                    file,
                    {
                        "ph": "X", "name": kind.name, "cat": kind.layer, "pid": pid, "tid": tid,
                        "ts": int(slices.start[event]) / 1000, "dur": int(slices.dur[event]) / 1000,
                        "args": kind.arguments,
                    },
                )  # fmt: skip
        _flows(file, slices, places)
        file.write(b"\n]}\n")


def _put(file: IO[bytes], event: dict[str, Any]) -> None:
    file.write(b",\n" + orjson.dumps(event))


def _places(tracks: list[Track]) -> list[tuple[int, int]]:
    """(pid, tid) of each track; no two have the same."""
    devices = numbered([(track.pid, track.device) for track in tracks if track.stream is not None])
    taken: set[tuple[int, int]] = set()
    places = []
    for number, track in enumerate(tracks):
        if track.stream is not None:
            place = _ABOVE_PIDS + devices[track.pid, track.device], track.stream
        else:
            place = track.pid or 0, track.tid or 0
        if track.part or place in taken:
            place = place[0], _ABOVE_PIDS + number
        taken.add(place)
        places.append(place)
    return places


def _names(tracks: list[Track], places: list[tuple[int, int]]) -> list[dict[str, Any]]:
    rows = []
    named: set[int] = set()
    for number, (track, (pid, tid)) in enumerate(zip(tracks, places, strict=True)):
        on_device = track.stream is not None
        if pid not in named:
            named.add(pid)
            rows.append(_name("process_name", pid, None, track.device or track.process))
        part = f", part {track.part + 1}" if track.part else ""
        label = f"Stream #{track.stream}{part}" if on_device else track.label
        rows.append(_name("thread_name", pid, tid, label))
        rows.append(
            {"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "args": {"sort_index": number}}
        )
    return rows


def _name(what: str, pid: int, tid: int | None, name: str) -> dict[str, Any]:
    return {
        "ph": "M",
        "name": what,
        "pid": pid,
        **({} if tid is None else {"tid": tid}),
        "args": {"name": name},
    }


def _flows(file: IO[bytes], slices: Slices, places: list[tuple[int, int]]) -> None:
    for number, (parent, child) in enumerate(slices.flows, 1):
        for phase, event in (("s", parent), ("f", child)):
            pid, tid = places[slices.track[event]]
            row = {
                "ph": phase, "id": number, "name": "causes", "cat": "link", "pid": pid, "tid": tid,
                "ts": int(slices.start[event]) / 1000,
            }  # fmt: skip
            _put(file, row if phase == "s" else {**row, "bp": "e"})
