"""Writes the page of a trace as one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tftrace.model.trace import Trace
from tftrace.views.page import write_page
from tftrace.views.timeline.compose import composer
from tftrace.views.timeline.document import empty_document


@dataclass(frozen=True)
class TimelineInfo:
    """What was written. `events` of the trace, of which `exact_events` are embedded one by one; the others,
    all shorter than `exact_from_ns`, only as parts of blocks. `exact_from_ns` is 0 where every event is
    embedded."""

    path: Path
    bytes: int
    events: int
    exact_events: int
    exact_from_ns: int
    lanes: int
    rows: int


def write_timeline(trace: Trace, path: Path, *, max_bytes: int = 25_000_000) -> TimelineInfo:
    """Writes the timeline of `trace` to `path`: one HTML page that opens offline, of at most `max_bytes`
    bytes.

    The page shows every event of the `events` table in a lane per process, thread or device stream, and
    layer; a click shows the chain of its call from `links`, `calls`, `event_calls`, `sites` and `stacks`.
    Where not every event fits, the shortest are merged into blocks that say how many they stand for.

    Raises UsageError where `max_bytes` cannot hold even the coarsest picture or `path` cannot be written, and
    InputError where a table does not hold what the trace format says.
    """
    made = composer(trace)
    if made is None:
        page = empty_document(trace)
        write_page(page, path)
        return TimelineInfo(path, len(page), 0, 0, 0, 0, 0)
    page, exact, exact_from = made.fit(max_bytes)
    write_page(page, path)
    lanes = made.events.lanes
    return TimelineInfo(
        path, len(page), len(made.events.start), exact, exact_from, len(lanes.lanes), lanes.rows
    )
