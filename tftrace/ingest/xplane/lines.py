"""The lines of a TensorFlow profile one by one, decoded into columns.

C decodes the events (`native`); where there is no compiler, or a line is so short that calling C costs more,
protobuf's runtime does (`plain`), with the same outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError

from tftrace.ingest.wire import WireError
from tftrace.ingest.wire_walk import part, part_into
from tftrace.ingest.xplane.columns import Columns, Grown
from tftrace.ingest.xplane.events import Column, PlaneIds, Slots, Texts, merged, text
from tftrace.ingest.xplane.layout import Layout, unreadable
from tftrace.ingest.xplane.native import PADDING, TooManyStatsError, native_decoder
from tftrace.ingest.xplane.plain import decode
from tftrace.ingest.xplane.schema import Stat, message_class

_SHORTEST: Final = 512
"""Bytes of a line, some ten events, from which on C is faster."""
_BUFFER: Final = 1 << 16
_TEXTS: Final = (Stat.STR, Stat.BYTES, Stat.REF)


@dataclass(frozen=True)
class Line:
    """One line: `message` is the XLine without its events, `plane` the index of its plane; its events are number
    `first` to `last` of the columns."""

    plane: int
    message: Any
    first: int
    last: int


class LineReader:
    """Reads the lines of one file in their order.

    `wanted` names the statistics to keep, None all of them; `native`: whether C decodes, None to let that
    depend on the line. `meta` gives the metadata of an event, by plane and id, its number.
    """

    def __init__(
        self, layout: Layout, meta: Callable[[int, int], int], wanted: Collection[str] | None = None,
        native: bool | None = None,
    ) -> None:  # fmt: skip
        self.layout = layout
        self.texts = Texts()
        self._meta = meta
        self._slots = Slots(wanted)
        self._stat_names = [
            {entry.key: text(entry.value.name) for entry in plane.message.stat_metadata}
            for plane in layout.planes
        ]
        self._native = None if native is False else native_decoder(self.texts)
        self._shortest = 0 if native else _SHORTEST

    def stat_name(self, plane: int, key: int) -> str:
        return self._stat_names[plane].get(key, f"(unknown stat {key})")

    def reference(self, plane: int, key: int) -> str:
        return self._stat_names[plane].get(key, f"(unknown reference {key})")

    def read(self, columns: Columns, each_alone: bool = False) -> Iterator[Line]:
        """Adds the events of all lines to `columns`, which are cleared before each line where it is to stand alone.
        Raises InputError where the bytes are no events."""
        data = Grown(np.uint8, _BUFFER)
        try:
            for at, plane in enumerate(self.layout.planes):
                ids = self._ids(at)
                for begin, end in plane.lines:
                    if each_alone:
                        columns.clear()
                    first = columns.events
                    header = self._decode(begin, end, data, ids, columns)
                    message = message_class("XLine").FromString(header)
                    yield Line(at, message, first, columns.events)
        except (DecodeError, WireError) as error:
            raise unreadable(self.layout.path, error) from None

    def stats(self, columns: Columns) -> dict[tuple[str, int], Column]:
        """Statistics of the events in `columns` by name and kind: INT64, UINT64, DOUBLE and STR, whose bits are codes
        of `texts`, whether written as text, as bytes or as a reference."""
        parts: dict[tuple[str, int], list[Column]] = {}
        for (slot, kind), column in sorted(columns.stats().items()):
            key = self._slots.names[slot], Stat.STR if kind in _TEXTS else kind
            parts.setdefault(key, []).append(column)
        return {key: merged(several) for key, several in parts.items()}

    def _ids(self, plane: int) -> PlaneIds:
        return PlaneIds(
            stat=lambda key: self._slots.number(self.stat_name(plane, key)),
            meta=lambda key: self._meta(plane, key),
            reference=lambda key: self.texts.code(self.reference(plane, key)),
        )

    def _decode(self, begin: int, end: int, data: Grown, ids: PlaneIds, columns: Columns) -> bytes:
        file, size, first = self.layout.file, end - begin, columns.events
        if self._native is not None and size >= self._shortest:
            if data.rows < size + PADDING:
                data.grow(size + PADDING)
            part_into(file, begin, data.filled(0, size))
            try:
                return self._native(data, size, ids, columns)
            except TooManyStatsError:
                columns.forget(first)
        return decode(part(file, begin, end), self.texts, ids, columns)
