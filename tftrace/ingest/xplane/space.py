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
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias

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
from tftrace.store.pages import Pages

__all__ = ["Piece", "XEventMeta", "XLineInfo", "XPlaneInfo", "XSpace", "read_xspace", "rows_of"]

Int32s: TypeAlias = npt.NDArray[np.int32]

_ON_DISK: Final = 1 << 26
"""Bytes of a file from which on its columns may be put on disk."""


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
    meta: Int32s  # index into `metas`
    occurrences: Int64s
    stats: StatColumns
    edges: Int64s  # the events of line `n` are number edges[n] to before edges[n + 1]
    name_of_meta: Int32s  # index into `names`, an element for each of `metas`
    absolute: bool
    start_walltime_ns: int | None
    stop_walltime_ns: int | None
    options: dict[str, Scalar]
    hostnames: list[str]
    errors: list[str]
    warnings: list[str]
    programs: list[XlaProgram] = field(default_factory=list)
    pages: Pages | None = None  # what holds the columns, where they are on disk

    def __len__(self) -> int:
        return len(self.start_ns)

    @cached_property
    def line(self) -> Int32s:
        """For each event the index of its line in `lines`."""
        return np.repeat(np.arange(len(self.lines), dtype=np.int32), np.diff(self.edges))

    @cached_property
    def name_code(self) -> Int32s:
        """For each event the index of its name in `names`."""
        return np.asarray(self.name_of_meta[self.meta], np.int32)

    def line_of(self, rows: npt.NDArray[Any]) -> Int64s:
        """The lines of some of the events."""
        return np.asarray(np.searchsorted(self.edges, rows, "right") - 1, np.int64)

    def name_of(self, rows: npt.NDArray[Any] | slice) -> Int32s:
        """The names of some of the events."""
        return np.asarray(self.name_of_meta[self.meta[rows]], np.int32)

    def filled(self, kind: Any, value: int) -> npt.NDArray[Any]:
        """The value for each event, to be written to; on disk where the columns are."""
        return (
            np.full(len(self), value, kind)
            if self.pages is None
            else self.pages.filled(kind, len(self), value)
        )

    def give_back(self) -> None:
        """Columns that are on disk leave memory until they are looked at again."""
        if self.pages is not None:
            self.pages.give_back()

    def of(self, pieces: Sequence[Piece]) -> XSpace:
        """A part of the events, in memory, with the same planes, lines and names; `dur_ps` is left out. Each piece is
        of one line, and they are in the order of the file."""
        rows = rows_of(pieces)
        counts = np.zeros(len(self.lines), np.int64)
        np.add.at(
            counts, self.line_of(np.array([p.first for p in pieces], np.int64)), [len(p) for p in pieces]
        )
        return replace(
            self, start_ns=self.start_ns[rows], dur_ns=self.dur_ns[rows], dur_ps=self.dur_ps[:0],
            meta=self.meta[rows], occurrences=self.occurrences[rows], stats=self.stats.of(pieces),
            edges=_edges(counts), pages=None,
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


def read_xspace(
    path: Path,
    stats: Collection[str] | None = None,
    native: bool | None = None,
    pages: Pages | None = None,
) -> XSpace:
    """Reads a `*.xplane.pb` file; of the events' statistics those named, or all.

    `native` tells whether C decodes the events, None leaves it to each line; the outcome is the same. With `pages` the
    columns of a large file are put there, without `dur_ps`: memory follows the largest line.
    Raises InputError where the file cannot be read, is empty (TensorFlow's writer leaves 0 bytes of a profile
    above 2 GB, and reports success), is cut short, or is something else.
    """
    try:
        with open(path, "rb") as file:
            if pages is not None and os.fstat(file.fileno()).st_size < _ON_DISK:
                pages = None
            return _whole_file(Profile(read_layout(path, file), stats, native), stats, pages)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); give a *.xplane.pb file"
        ) from None


def _whole_file(profile: Profile, stats: Collection[str] | None, pages: Pages | None) -> XSpace:
    lines, counts, events = profile.whole() if pages is None else profile.kept(pages)
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
        meta=events.meta,
        occurrences=np.broadcast_to(np.int64(1), len(events))
        if events.occurrences is None
        else events.occurrences,
        stats=StatColumns(parts, profile.texts, stats),
        edges=_edges(np.array(counts, np.int64)),
        name_of_meta=name_of_meta,
        absolute=profile.starts(lines)[1],
        start_walltime_ns=profile.began,
        stop_walltime_ns=profile.ended,
        options=_options(profile.session.get("profile_options")),
        hostnames=[text(raw) for raw in message.hostnames],
        errors=[text(raw) for raw in message.errors],
        warnings=[text(raw) for raw in message.warnings],
        programs=profile.programs(),
        pages=pages,
    )


def _edges(counts: Int64s) -> Int64s:
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))


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
