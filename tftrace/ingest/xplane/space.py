"""Reader of TensorFlow profiles, `<host>.xplane.pb`, without TensorFlow.

An XSpace holds planes (a host, a device), a plane holds lines (a thread, a stream), a line holds events, and
an event holds stats. Names of events and of stats stand once per plane, in its metadata tables.

Time. TensorFlow 2.21 (and JAX of 2025) writes line times relative to the start of the session, and the start
itself, in epoch ns, as stat `profile_start_time` on the plane `Task Environment`. TensorFlow up to 2.15
write line times relative to the start too, but no start: such a profile tells durations and order, not the
date. A line time that is itself an epoch time is taken as it is.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tftrace.errors import InputError
from tftrace.ingest.hlo import XlaProgram
from tftrace.ingest.wire import LENGTH, WireError
from tftrace.ingest.wire_walk import walk
from tftrace.ingest.xplane.events import text
from tftrace.ingest.xplane.layout import read_layout
from tftrace.ingest.xplane.profile import Profile, XEventMeta, XLineInfo, XPlaneInfo
from tftrace.ingest.xplane.schema import PROFILE_OPTIONS, PROFILE_OPTIONS_SWITCH, PROFILE_OPTIONS_TEXT
from tftrace.ingest.xplane.stats import Bools, Column, Int64s, Piece, Scalar, StatColumns

__all__ = ["Piece", "XEventMeta", "XLineInfo", "XPlaneInfo", "XSpace", "read_xspace", "rows_of"]

Int32s: TypeAlias = npt.NDArray[np.int32]


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

    def of(self, pieces: Sequence[Piece]) -> XSpace:
        """A part of the events, with the same planes, lines and names; `dur_ps` is left out."""
        rows = rows_of(pieces)
        return replace(
            self, start_ns=self.start_ns[rows], dur_ns=self.dur_ns[rows], dur_ps=self.dur_ps[:0], line=self.line[rows],
            meta=self.meta[rows], name_code=self.name_code[rows], occurrences=self.occurrences[rows],
            stats=self.stats.of(pieces),
        )  # fmt: skip

    def stat_ids(self, name: str) -> tuple[Int64s, Bools]:
        """(values, valid), one per event: an integer stat, 0 where not valid.

        An id of 64 bits keeps its bits, whether it was written signed (TensorFlow 2.21) or not (2.3): the
        same id is the same number, and `.view(np.uint64)` the number as written.
        """
        values, valid = np.zeros(len(self), np.int64), np.zeros(len(self), np.bool_)
        at, whole = self.stats.integers(name)
        values[at], valid[at] = whole, True
        return values, valid


def rows_of(pieces: Sequence[Piece]) -> Int64s:
    """The events of these pieces, by their place in the profile."""
    return np.concatenate(
        [np.empty(0, np.int64)] + [np.arange(p.first, p.last) if p.rows is None else p.rows for p in pieces]
    )


def read_xspace(path: Path, stats: Collection[str] | None = None, native: bool | None = None) -> XSpace:
    """Reads a `*.xplane.pb` file; of the events' statistics those named, or all.

    `native` tells whether C decodes the events, None leaves it to each line; the outcome is the same.
    Raises InputError where the file cannot be read, is empty (TensorFlow's writer leaves 0 bytes of a profile
    above 2 GB, and reports success), is cut short, or is something else.
    """
    try:
        with open(path, "rb") as file:
            return _whole_file(Profile(read_layout(path, file), stats, native), stats)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); give a *.xplane.pb file"
        ) from None


def _whole_file(profile: Profile, stats: Collection[str] | None) -> XSpace:
    lines, counts, events = profile.whole()
    base, absolute = profile.starts(lines)
    ends = np.cumsum(counts, dtype=np.int64)
    for start, first, last in zip(base.tolist(), (ends - counts).tolist(), ends.tolist(), strict=True):
        events.start_ns[first:last] += start
    codes: dict[str, int] = {}
    name_of_meta = np.array([codes.setdefault(m.name, len(codes)) for m in profile.metas], np.int32)
    parts: dict[str, dict[int, Column]] = {}
    for (name, kind), column in events.stats.items():
        parts.setdefault(name, {})[kind] = column
    message = profile.layout.message
    return XSpace(
        path=profile.layout.path,
        planes=profile.planes,
        lines=lines,
        metas=profile.metas,
        names=list(codes),
        start_ns=events.start_ns,
        dur_ns=events.dur_ns,
        dur_ps=events.dur_ps,
        line=np.repeat(np.arange(len(lines), dtype=np.int32), counts),
        meta=events.meta,
        name_code=name_of_meta[events.meta],
        occurrences=np.broadcast_to(np.int64(1), len(events))
        if events.occurrences is None
        else events.occurrences,
        stats=StatColumns(parts, profile.texts, stats),
        absolute=absolute,
        start_walltime_ns=profile.began,
        stop_walltime_ns=profile.ended,
        options=_options(profile.session.get("profile_options")),
        hostnames=[text(raw) for raw in message.hostnames],
        errors=[text(raw) for raw in message.errors],
        warnings=[text(raw) for raw in message.warnings],
        programs=profile.programs(),
    )


def _options(data: Scalar | None) -> dict[str, Scalar]:
    """tensorflow.ProfileOptions by name; a field whose number is not known is called `field_<number>`."""
    if not isinstance(data, bytes):
        return {}
    out: dict[str, Scalar] = {}
    try:
        for found in walk(io.BytesIO(data), 0, len(data)):
            number, kind = divmod(found.tag, 8)
            name = PROFILE_OPTIONS.get(number, f"field_{number}")
            if kind != LENGTH:
                out[name] = bool(found.value) if number in PROFILE_OPTIONS_SWITCH else found.value
            else:
                raw = data[found.begin : found.end]
                out[name] = text(raw) if number in PROFILE_OPTIONS_TEXT else raw
    except WireError:
        return {}
    return out
