"""Puts the page of one trace together: how much detail fits, and what stands beside the events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from tftrace.errors import UsageError
from tftrace.model.layers import LAYER_MEANING
from tftrace.model.trace import Trace
from tftrace.store.lazy import LazyTables
from tftrace.views.colours import THEMES
from tftrace.views.page import legible
from tftrace.views.timeline import details, pack, pyramid
from tftrace.views.timeline.columns import Ints, numbered, order_of, slices
from tftrace.views.timeline.document import timeline_document
from tftrace.views.timeline.events import Events, Strings, read_events

SEARCH_BINS = 1024
_YEAR_2000 = 946_684_800 * 10**9


def composer(trace: Trace) -> Composer | None:
    """What composes the page of `trace`; None where the trace has no events.

    Tables that are read from files are let go once they are arrays: of ten million events they are more than a GB.
    """
    strings = Strings()
    calls = details.read_calls(trace, strings)
    _let_go(trace, "calls", "event_calls")
    events = read_events(trace, strings, calls.kind_of)
    _let_go(trace, "events")
    return None if events is None else Composer(trace, events, calls, strings)


def _let_go(trace: Trace, *names: str) -> None:
    if isinstance(trace.tables, LazyTables):
        trace.tables.forget(*names)


class Composer:
    """Assembles the page of one trace at as fine a level as the budget allows."""

    def __init__(self, trace: Trace, events: Events, calls: details.Calls, strings: Strings) -> None:
        self.trace, self.events, self.calls, self.strings = trace, events, calls, strings
        self.links = details.links(trace, events, strings)
        _let_go(trace, "links")
        self.widths = pyramid.widths(events.span)
        self.cls = pyramid.duration_class(events.dur, self.widths)
        self._by_row = order_of(events.lanes.row)  # events are sorted by their start
        self.levels = pyramid.useful_levels(
            events.lanes.row, events.start, self.cls, self.widths, self._by_row
        )
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
        room = max_bytes - len(self.document(self.meta([], -1, 0), {}))
        chunks: list[pack.Chunk] = []
        held: dict[int, int] = {}  # level -> how many of the chunks it takes
        floor = len(self.widths)
        for level in reversed(self.levels):
            fits = self._extend(chunks, range(floor - 1, level - 1, -1), level, room)
            if not fits and held:
                break
            held[level] = len(chunks)
            floor = max(level, -1)
        # The details of single events come on top, so that the finest level whose chunks fit may not.
        for level in sorted(held):
            embedded = self.cls >= level
            page = self.embedded(chunks[: held[level]], level, embedded)
            if len(page) <= max_bytes:
                return page, int(embedded.sum()), int(self.widths[level]) if level >= 0 else 0
        raise UsageError(
            f"the timeline of {self.trace.name} takes {len(page):,} bytes at its coarsest, "
            f"more than the {max_bytes:,} allowed; allow more, or view fewer steps"
        )

    def _extend(self, chunks: list[pack.Chunk], classes: range, level: int, room: int) -> bool:
        """Adds the chunks of these duration classes and of the level's blocks; False where they exceed the room."""
        taken = sum(len(chunk.body) for chunk in chunks)
        exact = chain.from_iterable(map(self._exact, classes))
        for chunk in chain(exact, self._blocks(level) if level >= 0 else ()):
            chunks.append(chunk)
            taken += len(chunk.body)
            if taken > room and self.levels[-1] != level:
                return False
        return taken <= room

    def _exact(self, cls: int) -> Iterator[pack.Chunk]:
        e = self.events
        rank = np.flatnonzero(self.cls == cls)
        return pack.exact_chunks(
            cls, e.lanes.rows, e.lanes.row[rank], e.start[rank], e.dur[rank], e.info[rank], rank
        )

    def _blocks(self, level: int) -> Iterator[pack.Chunk]:
        return pack.block_chunks(level, self.events.lanes.rows, int(self.widths[level]), self.blocks(level))

    def blocks(self, level: int) -> pyramid.Blocks:
        """What stands for the events shorter than the level's width."""
        e = self.events
        short = self._by_row[self.cls[self._by_row] < level]
        return pyramid.merge_all(short, e.lanes.row, e.start, e.dur, e.info, int(self.widths[level]))

    def _search_index(self) -> str:
        """What 1024 stretches of the trace hold. Columns: events running in each; then per info the stretches
        that have an event of it (by its middle): how many, their gaps, and the events in each."""
        e = self.events
        changes = np.zeros(SEARCH_BINS + 1, np.int64)
        keys, counts = [], []
        for part in slices(len(e.start)):
            start, dur = e.start[part], e.dur[part]
            changes += np.bincount(_stretch(start, e.span), minlength=SEARCH_BINS + 1)
            changes -= np.bincount(_stretch(start + dur, e.span) + 1, minlength=SEARCH_BINS + 1)
            middle = _stretch(start + dur // 2, e.span)
            key, count = _counted(e.info[part].astype(np.int64) * SEARCH_BINS + middle)
            keys.append(key)
            counts.append(count)
        running = np.cumsum(changes)[:SEARCH_BINS]
        key, count = _counted(np.concatenate(keys), np.concatenate(counts))
        info, stretch = key // SEARCH_BINS, key % SEARCH_BINS
        gap = np.diff(stretch, prepend=0)
        first = np.r_[True, info[1:] != info[:-1]]
        gap[first] = stretch[first]
        return pack.text(running, np.bincount(info, minlength=len(e.infos["name"])), gap, count)

    def embedded(self, chunks: list[pack.Chunk], level: int, embedded: npt.NDArray[np.bool_]) -> bytes:
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
            **self._places,
            "crowded": e.lanes.crowded,
            "layers": LAYER_MEANING,
            "colours": THEMES,
            "unobserved": details.unobserved(self.trace, set(e.infos["layer"])),
            "chunks": heads,
            "rules": [[self._text(rule), self._text(grade)] for rule, grade in self.links[3]],
            "infos": len(e.infos["name"]),
            "rowIds": e.numbered,
        }

    @cached_property
    def _places(self) -> dict[str, Any]:
        lanes = self.events.lanes
        return {
            "lanes": [[x.layer, x.row, x.depth, x.track] for x in lanes.lanes],
            "tracks": [
                [legible(x.label, 160), legible(x.detail, 160), x.row, x.process] for x in lanes.tracks
            ],
            "processes": [[legible(x.label, 160), -1 if x.row is None else x.row] for x in lanes.processes],
        }

    def _text(self, number: int) -> str | None:
        return self.static["strings"][number] if number >= 0 else None


def _counted(keys: Ints, times: Ints | None = None) -> tuple[Ints, Ints]:
    """(distinct keys in ascending order, how often each occurs); each counts as often as `times` says, else once."""
    number, size = numbered(keys)
    count = np.zeros(size, np.int64)
    np.add.at(count, number, 1 if times is None else times)
    distinct = np.zeros(size, np.int64)
    distinct[number] = keys
    return distinct, count


def _stretch(t: Ints, span: int) -> Ints:
    """Which of the stretches of the trace a time lies in."""
    return np.minimum(t // -(-span // SEARCH_BINS), SEARCH_BINS - 1)


def _utc(ns: int) -> str | None:
    """When the trace began; None where its clock did not count from 1970, as that of many a profile."""
    if 0 <= ns < _YEAR_2000:
        return None
    try:
        return datetime.fromtimestamp(ns // 10**9, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{ns} ns since the epoch"
