"""Reader of TensorFlow profiles, `<host>.xplane.pb`, without TensorFlow.

An XSpace holds planes (a host, a device), a plane holds lines (a thread, a stream), a line holds events, and
an event holds stats. Names of events and of stats stand once per plane, in its metadata tables.

Time. TensorFlow 2.21 (and JAX of 2025) writes line times relative to the start of the session, and the start
itself, in epoch ns, as stat `profile_start_time` on the plane `Task Environment`. TensorFlow up to 2.15
write line times relative to the start too, but no start: such a profile tells durations and order, not the
date. A line time that is itself an epoch time is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from tftrace.errors import InputError
from tftrace.ingest import wire
from tftrace.ingest.hlo import PROGRAMS_PLANE, XlaProgram, program_of
from tftrace.ingest.xplane_schema import (
    PROFILE_OPTIONS,
    PROFILE_OPTIONS_SWITCH,
    PROFILE_OPTIONS_TEXT,
    Event,
    Stat,
    xspace_class,
)
from tftrace.ingest.xplane_stats import Bools, Int64s, Kinds, Scalar, StatColumns, UInt64s, read_stats

Int32s: TypeAlias = npt.NDArray[np.int32]

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
class XSpace:
    """One profile, in columns: the arrays have one element per event, in the order of the file.

    `start_ns` is ns since the epoch, rounded down; where `absolute` is false, ns since the session began.
    `dur_ns` is the difference of the rounded ends, so that an event inside another one stays inside;
    `dur_ps` is as written. `occurrences` is 1, except for an aggregated event: that stands for so many, has
    no time of its own, and carries the start of its line. `options` are the tensorflow.ProfileOptions that
    were in force, empty where the profile has none (TensorFlow 2.3, TPU). `programs` are those that XLA compiled.
    """

    path: Path
    planes: list[XPlaneInfo]
    lines: list[XLineInfo]
    metas: list[XEventMeta]
    names: list[str]
    start_ns: Int64s
    dur_ns: Int64s
    dur_ps: Int64s
    line: Int32s  # index into `lines`
    meta: Int32s  # index into `metas`
    name_code: Int32s  # index into `names`
    occurrences: Int64s
    stats: StatColumns
    absolute: bool
    start_walltime_ns: int | None
    stop_walltime_ns: int | None
    options: dict[str, Scalar]
    hostnames: list[str]
    errors: list[str]
    warnings: list[str]
    programs: list[XlaProgram] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.start_ns)

    def stat_ids(self, name: str) -> tuple[Int64s, Bools]:
        """(values, valid), one per event: an integer stat, 0 where not valid.

        An id of 64 bits keeps its bits, whether it was written signed (TensorFlow 2.21) or not (2.3): the
        same id is the same number, and `.view(np.uint64)` the number as written.
        """
        values, valid = np.zeros(len(self), np.int64), np.zeros(len(self), np.bool_)
        at, whole = self.stats.integers(name)
        values[at], valid[at] = whole, True
        return values, valid


def read_xspace(path: Path) -> XSpace:
    """Reads a `*.xplane.pb` file whole.

    Raises InputError where the file cannot be read, is empty (TensorFlow's writer leaves 0 bytes of a profile
    above 2 GB, and reports success), is cut short, or is something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); give a *.xplane.pb file"
        ) from None
    if not data:
        raise InputError(
            f"{path}: empty; TensorFlow leaves 0 bytes of a profile above 2 GB: record a shorter window"
        )
    message = xspace_class()()
    try:
        message.ParseFromString(data)
        del data
        if not any(plane.name for plane in message.planes):
            raise wire.WireError("no plane with a name")
        return _Reader(path, message).read()
    except (DecodeError, wire.WireError) as error:
        raise InputError(
            f"{path}: cut short or not a TensorFlow profile ({_one_line(error)}); record it again"
        ) from None


class _Reader:
    """One reading of one file: what its steps hand on to each other."""

    def __init__(self, path: Path, message: Any) -> None:
        self.path = path
        self.message = message
        self.stat_names = [
            {entry.key: _text(entry.value.name) for entry in plane.stat_metadata} for plane in message.planes
        ]

    def read(self) -> XSpace:
        message = self.message
        planes = [
            XPlaneInfo(plane.id, _text(plane.name), self._stats_of(at, plane.stats))
            for at, plane in enumerate(message.planes)
        ]
        lines, plane_events, parts = self._lines(planes)
        counts = np.array([len(line.events) for plane in message.planes for line in plane.lines], np.int64)
        line = np.repeat(np.arange(len(lines), dtype=np.int32), counts)
        buffer, begin, end = wire.buffer_of(parts)
        del parts
        found = wire.fields(buffer, begin, end)
        offset_ps = self._number(found, Event.OFFSET_PS, len(line))
        dur_ps = self._number(found, Event.DURATION_PS, len(line))
        occurrences = np.ones(len(line), np.int64)
        at = found.where(Event.NUM_OCCURRENCES, wire.VARINT)
        occurrences[found.owner[at]] = found.value[at].view(np.int64)

        metas, meta = self._metas(self._number(found, Event.METADATA_ID, len(line)), plane_events)
        codes: dict[str, int] = {}
        name_of_meta = np.array([codes.setdefault(m.name, len(codes)) for m in metas], np.int32)
        session = next((p.stats for p in planes if p.name == "Task Environment"), {})
        began, ended = (
            _epoch_ns(session.get("profile_start_time")),
            _epoch_ns(session.get("profile_stop_time")),
        )
        base, absolute = _line_starts(lines, began)
        return XSpace(
            path=self.path,
            planes=planes,
            lines=lines,
            metas=metas,
            names=list(codes),
            start_ns=base[line] + offset_ps // 1000,
            dur_ns=(offset_ps + dur_ps) // 1000 - offset_ps // 1000,
            dur_ps=dur_ps,
            line=line,
            meta=meta,
            name_code=name_of_meta[meta],
            occurrences=occurrences,
            stats=self._columns(buffer, found, plane_events),
            absolute=absolute,
            start_walltime_ns=began,
            stop_walltime_ns=ended,
            options=_options(session.get("profile_options")),
            hostnames=_texts(message.hostnames),
            errors=_texts(message.errors),
            warnings=_texts(message.warnings),
            programs=self._programs(),
        )

    @staticmethod
    def _number(found: wire.Fields, field: int, count: int) -> Int64s:
        out = np.zeros(count, np.int64)
        at = found.where(field, wire.VARINT)
        out[found.owner[at]] = found.value[at].view(np.int64)
        return out

    def _lines(self, planes: list[XPlaneInfo]) -> tuple[list[XLineInfo], list[int], list[bytes]]:
        """Lines, the first event of each plane (and the total at the end), and the events' bytes."""
        lines: list[XLineInfo] = []
        first, parts = [0], []
        for at, (info, plane) in enumerate(zip(planes, self.message.planes, strict=True)):
            for line in plane.lines:
                parts += line.events
                lines.append(
                    XLineInfo(
                        at,
                        info.plane_id,
                        info.name,
                        line.id,
                        line.display_id,
                        _text(line.name),
                        _text(line.display_name),
                        line.timestamp_ns,
                        line.duration_ps,
                    )
                )
            first.append(len(parts))
        return lines, first, parts

    def _metas(self, ids: Int64s, plane_events: list[int]) -> tuple[list[XEventMeta], Int32s]:
        """The metadata that events use, and which each event uses; an id without any gets a telling name."""
        metas: list[XEventMeta] = []
        meta = np.empty(len(ids), np.int32)
        for at, plane in enumerate(self.message.planes):
            span = slice(plane_events[at], plane_events[at + 1])
            used, code = np.unique(ids[span], return_inverse=True)
            meta[span] = code + len(metas)
            known = {entry.key: entry.value for entry in plane.event_metadata}
            for key in used.tolist():
                if (entry := known.get(key)) is None:
                    metas.append(XEventMeta(at, key, f"(unknown event {key})", "", {}))
                else:
                    stats = self._stats_of(at, entry.stats)
                    name = _text(entry.name) or f"(event {key} without a name)"
                    metas.append(XEventMeta(at, key, name, _text(entry.display_name), stats))
        return metas, meta

    def _programs(self) -> list[XlaProgram]:
        return [
            program
            for at, plane in enumerate(self.message.planes)
            if _text(plane.name) == PROGRAMS_PLANE
            for entry in plane.event_metadata
            for program in program_of(
                entry.key, _text(entry.value.name), self._stats_of(at, entry.value.stats)
            )
        ]

    def _stats_of(self, plane: int, parts: Iterable[bytes]) -> dict[str, Scalar]:
        """Stats of a plane or of event metadata, few in number, as a dict."""
        if not (listed := list(parts)):
            return {}
        buffer, begin, end = wire.buffer_of(listed)
        found = wire.fields(buffer, begin, end)
        return dict(self._stat_rows(plane, *read_stats(found, len(listed)), buffer))

    def _stat_rows(
        self,
        plane: int,
        ids: Int64s,
        kind: Kinds,
        bits: UInt64s,
        size: Int64s,
        buffer: wire.Bytes,
    ) -> Iterator[tuple[str, Scalar]]:
        names = self.stat_names[plane]
        for key, what, value, length in zip(ids.tolist(), kind.tolist(), bits, size.tolist(), strict=True):
            name = names.get(key, f"(unknown stat {key})")
            if what == Stat.DOUBLE:
                yield name, float(value.view(np.float64))
            elif what == Stat.INT64:
                yield name, int(value.view(np.int64))
            elif what == Stat.UINT64:
                yield name, int(value)
            elif what == Stat.REF:
                yield name, names.get(int(value), f"(unknown reference {value})")
            elif what:
                raw = buffer[int(value) : int(value) + length].tobytes()
                yield name, _text(raw) if what == Stat.STR else raw

    def _columns(self, buffer: wire.Bytes, found: wire.Fields, plane_events: list[int]) -> StatColumns:
        """Stats of all events; their names and texts, which each plane numbers anew, become codes."""
        at = found.where(Event.STATS, wire.LENGTH)
        at = at[np.argsort(found.owner[at], kind="stable")]
        begin = found.value[at].astype(np.int64)
        owner = found.owner[at]
        inner = wire.fields(buffer, begin, begin + found.size[at])
        ids, kind, bits, size = read_stats(inner, len(at))
        texts: dict[str | bytes, int] = {}
        written = np.flatnonzero((kind == Stat.STR) | (kind == Stat.BYTES))
        whole = memoryview(buffer)  # type: ignore[arg-type]
        for row, start, length in zip(
            written.tolist(), bits[written].tolist(), size[written].tolist(), strict=True
        ):
            raw = bytes(whole[start : start + length])
            value = _text(raw) if kind[row] == Stat.STR else raw
            bits[row] = texts.setdefault(value, len(texts))

        names: dict[str, int] = {}
        name = np.empty(len(at), np.int32)
        edges = np.searchsorted(owner, plane_events).tolist()
        for plane, known in enumerate(self.stat_names):
            span = slice(edges[plane], edges[plane + 1])
            used, code = np.unique(ids[span], return_inverse=True)
            name_codes = [
                names.setdefault(known.get(k, f"(unknown stat {k})"), len(names)) for k in used.tolist()
            ]
            name[span] = np.array(name_codes, np.int32)[code] if name_codes else 0
            referring = edges[plane] + np.flatnonzero(kind[span] == Stat.REF)
            used_refs, code = np.unique(bits[referring], return_inverse=True)
            ref_texts = [known.get(k, f"(unknown reference {k})") for k in used_refs.tolist()]
            ref_codes = [texts.setdefault(text, len(texts)) for text in ref_texts]
            bits[referring] = np.array(ref_codes, np.uint64)[code] if ref_codes else 0
        valued = kind > 0
        return StatColumns(name[valued], list(names), owner[valued], kind[valued], bits[valued], list(texts))


def _epoch_ns(value: Scalar | None) -> int | None:
    """The value as a date that fits int64 ns; None where it is none (an absent stat, garbage)."""
    return value if isinstance(value, int) and 0 < value < 1 << 62 else None


def _line_starts(lines: list[XLineInfo], began: int | None) -> tuple[Int64s, bool]:
    """Start of each line, and whether these are epoch times (else ns since the session began).

    TensorFlow subtracts the session's start from a line's time only where the line began after it, so a line
    that is a little older keeps its epoch time although the others are relative.
    """
    written = np.array([line.timestamp_ns for line in lines], np.int64)
    dated = written >= _YEAR_2001_NS
    if began is None:
        return written, bool(len(written)) and bool(dated.all())
    return np.where(dated, written, written + np.int64(began)), True


def _options(data: Scalar | None) -> dict[str, Scalar]:
    """tensorflow.ProfileOptions by name; a field whose number is not known is called `field_<number>`."""
    if not isinstance(data, bytes):
        return {}
    buffer, begin, end = wire.buffer_of([data])
    try:
        found = wire.fields(buffer, begin, end)
    except wire.WireError:
        return {}
    out: dict[str, Scalar] = {}
    for tag, value, size in zip(found.tag.tolist(), found.value.tolist(), found.size.tolist(), strict=True):
        number, name = tag >> 3, PROFILE_OPTIONS.get(tag >> 3, f"field_{tag >> 3}")
        if tag & 7 != wire.LENGTH:
            out[name] = bool(value) if number in PROFILE_OPTIONS_SWITCH else value
        else:
            raw = buffer[value : value + size].tobytes()
            out[name] = _text(raw) if number in PROFILE_OPTIONS_TEXT else raw
    return out


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _texts(raw: Iterable[bytes]) -> list[str]:
    return [_text(item) for item in raw]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
