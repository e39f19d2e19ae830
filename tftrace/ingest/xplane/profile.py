"""A TensorFlow profile, line by line: planes, lines and metadata by name, times and statistics in columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.ingest.hlo import PROGRAMS_PLANE, XlaProgram, program_of
from tftrace.ingest.xplane.columns import Columns
from tftrace.ingest.xplane.events import Column, text
from tftrace.ingest.xplane.layout import Layout
from tftrace.ingest.xplane.lines import Line, LineReader
from tftrace.ingest.xplane.stats import Scalar
from tftrace.store.pages import Growing, Pages

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]

_YEAR_2001_NS: Final = 10**18


@dataclass(frozen=True)
class XPlaneInfo:
    """A host, a device or metadata; `stats` are the plane's own, e.g. `compute_cap_major` of a GPU."""

    plane_id: int
    name: str
    stats: dict[str, Scalar]


@dataclass(frozen=True)
class XLineInfo:
    """A thread of a host plane or a stream of a device plane; `plane` is its index in `XSpace.planes`."""

    plane: int
    plane_id: int
    plane_name: str
    line_id: int
    display_id: int
    name: str
    display_name: str
    timestamp_ns: int  # as written
    duration_ps: int


@dataclass(frozen=True)
class XEventMeta:
    """What all events of one kind on one plane share. `stats` hold for every one of them (TPU, XLA)."""

    plane: int
    meta_id: int
    name: str
    display_name: str
    stats: dict[str, Scalar]


@dataclass(frozen=True)
class ProfileEvents:
    """Events of one line or of all, an element each: `start_ns` of those of one line counts from its start (see
    `Profile.starts`), `meta` is the index in `Profile.metas`. `occurrences` is None where each stands for itself.
    `stats` are columns by name and kind: INT64, UINT64, DOUBLE and STR, whose bits are codes of `Profile.texts`."""

    start_ns: Int64s
    dur_ns: Int64s
    dur_ps: Int64s
    meta: Int32s
    occurrences: Int64s | None
    stats: dict[tuple[str, int], Column]

    def __len__(self) -> int:
        return len(self.meta)


class Profile:
    """One file, opened: `lines` or `whole` reads it. `metas` and `texts` grow meanwhile by what events use."""

    def __init__(
        self, layout: Layout, stats: Collection[str] | None = None, native: bool | None = None
    ) -> None:
        self.layout = layout
        self._reader = LineReader(layout, self._number, stats, native)
        self.texts = self._reader.texts.values
        self.planes = [
            XPlaneInfo(plane.message.id, text(plane.message.name), self._stats(at, plane.message.stats))
            for at, plane in enumerate(layout.planes)
        ]
        self.session = next((p.stats for p in self.planes if p.name == "Task Environment"), {})
        self.began = _epoch_ns(self.session.get("profile_start_time"))
        self.ended = _epoch_ns(self.session.get("profile_stop_time"))
        self.metas: list[XEventMeta] = []
        self._entries: tuple[int, dict[int, Any]] = -1, {}  # a plane, and the metadata of its events by id

    def lines(self) -> Iterator[tuple[XLineInfo, ProfileEvents]]:
        """Line by line: memory follows the largest one, since each is decoded into the place of the one before. Raises
        InputError where the bytes are no events."""
        columns = Columns()
        for line in self._reader.read(columns, each_alone=True):
            yield self._info(line), self._events(columns)

    def whole(self) -> tuple[list[XLineInfo], list[int], ProfileEvents]:
        """All lines with how many events each has, and these events together. Raises InputError where the bytes are no
        events."""
        columns = Columns()
        read = [(self._info(line), line.first, line.last) for line in self._reader.read(columns)]
        events = self._events(columns)
        base, _ = self.starts([info for info, _, _ in read])
        for start, (_, first, last) in zip(base.tolist(), read, strict=True):
            events.start_ns[first:last] += start
        return [info for info, _, _ in read], [last - first for _, first, last in read], events

    def kept(self, pages: Pages) -> tuple[list[XLineInfo], list[int], ProfileEvents]:
        """The same without `dur_ps`, in `pages`: memory follows the largest line."""
        start_ns, dur_ns, occurrences = (pages.column(np.int64) for _ in range(3))
        meta = pages.column(np.int32)
        stats: dict[tuple[str, int], tuple[Growing, Growing]] = {}
        lines: list[XLineInfo] = []
        counts: list[int] = []
        for info, events in self.lines():
            (start,), _ = self.starts([info])
            for key, (event, bits) in events.stats.items():
                if key not in stats:
                    stats[key] = pages.column(np.int32), pages.column(np.uint64)
                stats[key][0].add(event + event.dtype.type(meta.rows))
                stats[key][1].add(bits)
            start_ns.add(events.start_ns + start)
            dur_ns.add(events.dur_ns)
            meta.add(events.meta)
            if events.occurrences is not None:
                occurrences.add(np.ones(sum(counts) - occurrences.rows, np.int64))
                occurrences.add(events.occurrences)
            lines.append(info)
            counts.append(len(events))
        if occurrences.rows:
            occurrences.add(np.ones(meta.rows - occurrences.rows, np.int64))
        columns = {key: (event.array(), bits.array()) for key, (event, bits) in stats.items()}
        whole = ProfileEvents(
            start_ns.array(), dur_ns.array(), np.empty(0, np.int64), meta.array(),
            occurrences.array() if occurrences.rows else None, columns,
        )  # fmt: skip
        return lines, counts, whole

    def _events(self, columns: Columns) -> ProfileEvents:
        count, several = columns.events, columns.occurrences
        start_ns, dur_ns, dur_ps, meta = (
            column.filled(0, count)
            for column in (columns.start_ns, columns.dur_ns, columns.dur_ps, columns.meta)
        )
        occurrences = None if several is None else several.filled(0, count)
        return ProfileEvents(start_ns, dur_ns, dur_ps, meta, occurrences, self._reader.stats(columns))

    def starts(self, lines: Sequence[XLineInfo]) -> tuple[Int64s, bool]:
        """Start of each line, and whether these are epoch times (else ns since the session began).

        TensorFlow subtracts the session's start from a line's time only where the line began after it, so a line
        that is a little older keeps its epoch time although the others are relative.
        """
        written = np.array([line.timestamp_ns for line in lines], np.int64)
        dated = written >= _YEAR_2001_NS
        if self.began is None:
            return written, bool(len(written)) and bool(dated.all())
        return np.where(dated, written, written + np.int64(self.began)), True

    def _number(self, plane: int, key: int) -> int:
        """Numbers the metadata of an event; an id without any gets a telling name."""
        if self._entries[0] != plane:
            self._entries = plane, {e.key: e.value for e in self.layout.planes[plane].message.event_metadata}
        entry = self._entries[1].get(key)
        if entry is None:
            self.metas.append(XEventMeta(plane, key, f"(unknown event {key})", "", {}))
        else:
            name = text(entry.name) or f"(event {key} without a name)"
            meta = XEventMeta(plane, key, name, text(entry.display_name), self._stats(plane, entry.stats))
            self.metas.append(meta)
        return len(self.metas) - 1

    def programs(self) -> list[XlaProgram]:
        """The programs that XLA compiled."""
        return [
            program
            for at, plane in enumerate(self.layout.planes)
            if self.planes[at].name == PROGRAMS_PLANE
            for entry in plane.message.event_metadata
            for program in program_of(entry.key, text(entry.value.name), self._stats(at, entry.value.stats))
        ]

    def _info(self, line: Line) -> XLineInfo:
        message, plane = line.message, self.planes[line.plane]
        return XLineInfo(
            line.plane, plane.plane_id, plane.name, message.id, message.display_id, text(message.name),
            text(message.display_name), message.timestamp_ns, message.duration_ps,
        )  # fmt: skip

    def _stats(self, plane: int, stats: Iterable[Any]) -> dict[str, Scalar]:
        """Statistics of a plane or of event metadata, few in number, as a dict."""
        out: dict[str, Scalar] = {}
        for stat in stats:
            kind = stat.WhichOneof("value")
            if kind is not None:
                value = getattr(stat, kind)
                if kind == "str_value":
                    value = text(value)
                elif kind == "ref_value":
                    value = self._reader.reference(plane, value)
                out[self._reader.stat_name(plane, stat.metadata_id)] = value
        return out


def _epoch_ns(value: Scalar | None) -> int | None:
    """The value as a date that fits int64 ns; None where it is none (an absent stat, garbage)."""
    return value if isinstance(value, int) and 0 < value < 1 << 62 else None
