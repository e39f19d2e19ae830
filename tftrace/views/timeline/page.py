"""Writes the page: chooses how much detail fits, and puts data, code and security policy into one file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from tftrace.errors import UsageError
from tftrace.model.layers import LAYER_MEANING
from tftrace.model.trace import Trace
from tftrace.views.page import legible, write_page
from tftrace.views.timeline import details, pack, pyramid
from tftrace.views.timeline.columns import Ints
from tftrace.views.timeline.document import empty_document, timeline_document
from tftrace.views.timeline.events import Events, Strings, read_events

SEARCH_BINS = 1024


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
    strings = Strings()
    calls = details.read_calls(trace, strings)
    events = read_events(trace, strings, calls.kind_of)
    if events is None:
        page = empty_document(trace)
        write_page(page, path)
        return TimelineInfo(path, len(page), 0, 0, 0, 0, 0)
    page, exact, exact_from = _Page(trace, events, calls, strings).fit(max_bytes)
    write_page(page, path)
    return TimelineInfo(
        path, len(page), len(events.start), exact, exact_from, len(events.lanes.lanes), events.lanes.rows
    )


class _Page:
    """Assembles the page of one trace at as fine a level as the budget allows."""

    def __init__(self, trace: Trace, events: Events, calls: details.Calls, strings: Strings) -> None:
        self.trace, self.events, self.calls, self.strings = trace, events, calls, strings
        self.widths = pyramid.widths(events.span)
        self.by_row = np.lexsort((events.start, events.lanes.row))
        self.cls = pyramid.duration_class(events.dur, self.widths)
        row, start = events.lanes.row[self.by_row], events.start[self.by_row]
        self.levels = pyramid.useful_levels(row, start, self.cls[self.by_row], self.widths)
        self.links = details.links(trace, events, strings)
        used = {s for s in events.infos["stack"] if s >= 0}
        self.static = {
            **{f"info_{k}": v for k, v in events.infos.items()},
            **{f"kind_{k}": v for k, v in calls.kinds.items()},
            "sites": details.sites(trace, strings),
            **details.stacks(trace, used, strings),
        }
        self.static["strings"] = strings.all()
        self.search = self._search_index()
        self.static_text = pack.deflated(
            json.dumps(self.static, separators=(",", ":"), ensure_ascii=False).encode()
        )

    def fit(self, max_bytes: int) -> tuple[bytes, int, int]:
        """(page, events embedded exactly, shortest duration that is always embedded) of the finest level that
        fits."""
        chunks: list[pack.Chunk] = []
        best: tuple[bytes, int, int] | None = None
        floor = len(self.widths)
        for level in reversed(self.levels):
            for cls in range(floor - 1, level - 1, -1):
                chunks += self._exact(cls)
            floor = max(level, -1)
            if level >= 0:
                chunks += self._blocks(level)
            # What is packed so far is a lower bound of the page: spare the rest of the work where it is too
            # much.
            if best and sum(len(c.body) for c in chunks) + len(self.static_text) > max_bytes:
                break
            embedded = (self.cls >= level).astype(np.int64)
            page = self._html(chunks, level, embedded)
            if len(page) > max_bytes:
                if best is None:
                    raise UsageError(
                        f"the timeline of {self.trace.name} takes {len(page):,} bytes at its coarsest, "
                        f"more than the {max_bytes:,} allowed; allow more, or view fewer steps"
                    )
                break
            best = page, int(embedded.sum()), int(self.widths[level]) if level >= 0 else 0
        assert best is not None
        return best

    def _exact(self, cls: int) -> list[pack.Chunk]:
        e = self.events
        rank = np.flatnonzero(self.cls == cls)
        return pack.exact_chunks(
            cls, e.lanes.rows, e.lanes.row[rank], e.start[rank], e.dur[rank], e.info[rank], rank
        )

    def _blocks(self, level: int) -> list[pack.Chunk]:
        e, order = self.events, self.by_row
        short = order[self.cls[order] < level]
        width = int(self.widths[level])
        blocks = pyramid.merge(e.lanes.row[short], e.start[short], e.dur[short], e.info[short], width)
        return pack.block_chunks(level, e.lanes.rows, width, blocks)

    def _search_index(self) -> str:
        """What 1024 stretches of the trace hold. Columns: events running in each; then per info the stretches
        that have an event of it (by its middle): how many, their gaps, and the events in each."""
        e = self.events
        begins = np.bincount(_stretch(e.start, e.span), minlength=SEARCH_BINS + 1)
        ends = np.bincount(_stretch(e.start + e.dur, e.span) + 1, minlength=SEARCH_BINS + 1)
        running = np.cumsum(begins - ends)[:SEARCH_BINS]
        middle = _stretch(e.start + e.dur // 2, e.span)
        key, count = np.unique(e.info * SEARCH_BINS + middle, return_counts=True)
        info, stretch = key // SEARCH_BINS, key % SEARCH_BINS
        gap = np.diff(stretch, prepend=0)
        first = np.r_[True, info[1:] != info[:-1]]
        gap[first] = stretch[first]
        return pack.text(running, np.bincount(info, minlength=len(e.infos["name"])), gap, count)

    def _html(self, chunks: list[pack.Chunk], level: int, embedded: Ints) -> bytes:
        e = self.events
        packed = details.pack_details(embedded, e, self.calls, self.links)
        seen = set(e.infos["layer"])
        meta: dict[str, Any] = {
            "name": legible(self.trace.name, 120),
            "synthetic": self.trace.synthetic,
            "began": _utc(e.t0),
            "span": e.span,
            "events": len(e.start),
            "exact": int(embedded.sum()),
            "finest": level,
            "levels": [k for k in self.levels if k >= level],
            "widths": self.widths.tolist(),
            "rows": e.lanes.rows,
            "lanes": [[x.layer, x.row, x.depth, x.track] for x in e.lanes.lanes],
            "tracks": [[legible(x.label, 160), legible(x.detail, 160), x.row] for x in e.lanes.tracks],
            "layers": LAYER_MEANING,
            "unobserved": details.unobserved(self.trace, seen),
            "chunks": [chunk.head for chunk in chunks],
            "links": packed.link_count,
            "linksLost": packed.links_lost,
            "rules": [[self._text(rule), self._text(grade)] for rule, grade in packed.rules],
            "calls": packed.call_count,
            "belongings": packed.belongings,
            "infos": len(e.infos["name"]),
            "rowIds": bool(np.array_equal(e.event_id, np.arange(len(e.event_id)))),
        }
        data = {
            "static": self.static_text,
            "search": self.search,
            "links": packed.links,
            "calls": packed.calls,
            **{f"c{number}": chunk.body for number, chunk in enumerate(chunks)},
        }
        return timeline_document(self.trace, meta, data)

    def _text(self, number: int) -> str | None:
        return self.static["strings"][number] if number >= 0 else None


def _stretch(t: Ints, span: int) -> Ints:
    """Which of the stretches of the trace a time lies in."""
    return np.minimum(t // -(-span // SEARCH_BINS), SEARCH_BINS - 1)


def _utc(ns: int) -> str:
    try:
        return datetime.fromtimestamp(ns // 10**9, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{ns} ns since the epoch"
