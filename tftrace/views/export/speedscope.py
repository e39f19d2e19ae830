"""Speedscope's file format: an evented profile a thread or device stream, in ns.

Schema: https://www.speedscope.app/file-format-schema.json. A frame is a name in a layer, with the user's line or the
generated wrapper's where it stands for one; the left heavy view adds up what is called alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from tftrace.model.trace import Trace
from tftrace.views.export.slices import Kind, endings, numbered, read_slices, written

SUFFIX: Final = ".speedscope.json"
SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"


def write(trace: Trace, path: Path) -> None:
    slices = read_slices(trace)
    frames = numbered([_frame(kind) for kind in slices.kinds])
    frame_of = [frames[_frame(kind)] - 1 for kind in slices.kinds]
    shared = {"frames": [dict(frame) for frame in frames]}
    with written(path) as file:
        file.write(
            b'{"$schema":'
            + orjson.dumps(SCHEMA)
            + b',"exporter":"tftrace","name":'
            + orjson.dumps(trace.name)
        )
        file.write(b',"shared":' + orjson.dumps(shared) + b',"profiles":[')
        for number, (track, members) in enumerate(zip(slices.tracks, slices.by_track, strict=True)):
            events = [
                {"type": "O" if begins else "C", "frame": frame_of[slices.kind[event]], "at": at}
                for begins, event, at in endings(slices, members)
            ]
            several = len({other.process for other in slices.tracks}) > 1 and track.process not in track.label
            profile = {
                "type": "evented", "unit": "nanoseconds", "startValue": events[0]["at"],
                "name": f"{track.process}, {track.label}" if several else track.label,
                "endValue": int((slices.start + slices.dur)[members].max()), "events": events,
            }  # fmt: skip
            file.write((b",\n" if number else b"\n") + orjson.dumps(profile))
        file.write(b"\n]}\n")


def _frame(kind: Kind) -> tuple[tuple[str, Any], ...]:
    place = {"file": kind.file or kind.layer, "line": kind.line if kind.file else None}
    return tuple({"name": kind.name, **{k: v for k, v in place.items() if v is not None}}.items())
