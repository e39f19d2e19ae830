"""Puts the page of one trace together: how much detail fits, and what stands beside the events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import numpy as np

from tftrace.errors import UsageError
from tftrace.model.layers import LAYER_MEANING
from tftrace.model.trace import Trace
from tftrace.views.page import legible
from tftrace.views.timeline import details, pack, pyramid
from tftrace.views.timeline.columns import Ints
from tftrace.views.timeline.document import timeline_document
from tftrace.views.timeline.events import Events, Strings, read_events

SEARCH_BINS = 1024


def composer(trace: Trace) -> Composer | None:
    """What composes the page of `trace`; None where the trace has no events."""
    strings = Strings()
    calls = details.read_calls(trace, strings)
    events = read_events(trace, strings, calls.kind_of)
    return None if events is None else Composer(trace, events, calls, strings)


class Composer:
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
            page = self.embedded(chunks, level, embedded)
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
        return pack.block_chunks(level, self.events.lanes.rows, int(self.widths[level]), self.blocks(level))

    def blocks(self, level: int) -> pyramid.Blocks:
        """What stands for the events shorter than the level's width."""
        e, order = self.events, self.by_row
        short = order[self.cls[order] < level]
        width = int(self.widths[level])
        return pyramid.merge(e.lanes.row[short], e.start[short], e.dur[short], e.info[short], width)

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

    def embedded(self, chunks: list[pack.Chunk], level: int, embedded: Ints) -> bytes:
        """The page that holds these chunks, and the details of the events that are `embedded`."""
        packed = details.pack_details(embedded, self.events, self.calls, self.links)
        meta = {
            **self.meta([chunk.head for chunk in chunks], level, int(embedded.sum())),
            "links": packed.link_count,
            "linksLost": packed.links_lost,
            "calls": packed.call_count,
            "belongings": packed.belongings,
        }
        bodies = {f"c{number}": chunk.body for number, chunk in enumerate(chunks)}
        return self.document(meta, {"links": packed.links, "calls": packed.calls, **bodies})

    def document(self, meta: Mapping[str, Any], data: Mapping[str, str], *, served: bool = False) -> bytes:
        shared = {"static": self.static_text, "search": self.search}
        return timeline_document(self.trace, meta, {**shared, **data}, served=served)

    def meta(self, heads: list[list[int | str]], level: int, exact: int) -> dict[str, Any]:
        """What the page knows before it unpacks anything."""
        e = self.events
        return {
            "name": legible(self.trace.name, 120),
            "synthetic": self.trace.synthetic,
            "began": _utc(e.t0),
            "span": e.span,
            "events": len(e.start),
            "exact": exact,
            "finest": level,
            "levels": [k for k in self.levels if k >= level],
            "widths": self.widths.tolist(),
            "rows": e.lanes.rows,
            "lanes": [[x.layer, x.row, x.depth, x.track] for x in e.lanes.lanes],
            "tracks": [
                [legible(x.label, 160), legible(x.detail, 160), x.row, x.process] for x in e.lanes.tracks
            ],
            "processes": [[legible(x.label, 160), -1 if x.row is None else x.row] for x in e.lanes.processes],
            "layers": LAYER_MEANING,
            "unobserved": details.unobserved(self.trace, set(e.infos["layer"])),
            "chunks": heads,
            "rules": [[self._text(rule), self._text(grade)] for rule, grade in self.links[3]],
            "infos": len(e.infos["name"]),
            "rowIds": bool(np.array_equal(e.event_id, np.arange(len(e.event_id)))),
        }

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
