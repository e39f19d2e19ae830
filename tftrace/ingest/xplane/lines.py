"""The lines of a TensorFlow profile one by one, in columns: memory follows the largest line, not the file.

C decodes the events (`native`); where there is no compiler, or a line is so short that calling C costs more,
protobuf's runtime does (`plain`), with the same outcome.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError

from tftrace.ingest.wire import WireError
from tftrace.ingest.wire_walk import part
from tftrace.ingest.xplane.events import Column, Events, Slots, Texts, UInt64s, merged, text
from tftrace.ingest.xplane.layout import Layout, unreadable
from tftrace.ingest.xplane.native import TooManyStatsError, native_decoder
from tftrace.ingest.xplane.plain import decode
from tftrace.ingest.xplane.schema import Stat, message_class

_SHORTEST: Final = 512
"""Bytes of a line, some ten events, from which on C is faster."""
_TEXTS: Final = (Stat.STR, Stat.BYTES, Stat.REF)


@dataclass(frozen=True)
class Line:
    """One line: `message` is the XLine without its events, `plane` the index of its plane.

    `stats` are columns by (name, kind), kind one of INT64, UINT64, DOUBLE and STR, whose bits are codes of the
    reader's `texts`, whether written as text, as bytes or as a reference.
    """

    plane: int
    message: Any
    events: Events
    stats: dict[tuple[str, int], Column]

    def __len__(self) -> int:
        return len(self.events.meta)


class LineReader:
    """Reads the lines of one file in their order.

    `wanted` names the statistics to keep, None all of them; `native`: whether C decodes, None to let that
    depend on the line.
    """

    def __init__(
        self, layout: Layout, wanted: Collection[str] | None = None, native: bool | None = None
    ) -> None:
        self.layout = layout
        self.texts = Texts()
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

    def __iter__(self) -> Iterator[Line]:
        """Raises InputError where the bytes are no events."""
        try:
            for at, plane in enumerate(self.layout.planes):
                yield from (self._line(at, begin, end) for begin, end in plane.lines)
        except (DecodeError, WireError) as error:
            raise unreadable(self.layout.path, error) from None

    def _line(self, plane: int, begin: int, end: int) -> Line:
        events = self._events(plane, part(self.layout.file, begin, end))
        parts: dict[tuple[str, int], list[Column]] = {}
        for (slot, kind), (event, bits) in sorted(events.stats.items()):
            if kind == Stat.REF:
                bits = self._referred(plane, bits)
            key = self._slots.names[slot], Stat.STR if kind in _TEXTS else kind
            parts.setdefault(key, []).append((event, bits))
        stats = {key: merged(columns) for key, columns in parts.items()}
        events.stats.clear()
        return Line(plane, message_class("XLine").FromString(events.header), events, stats)

    def _events(self, plane: int, data: bytes) -> Events:
        def slot_of(key: int) -> int:
            return self._slots.number(self.stat_name(plane, key))

        if self._native is not None and len(data) >= self._shortest:
            try:
                return self._native(data, slot_of, plane)
            except TooManyStatsError:
                pass
        return decode(data, self.texts, slot_of)

    def _referred(self, plane: int, bits: UInt64s) -> UInt64s:
        """Codes of the names that these metadata ids have."""
        if not len(bits):
            return bits
        low, high = int(bits.min()), int(bits.max())
        if high - low < 4 * len(bits) + 1024:  # a table by id
            used = np.zeros(high - low + 1, np.bool_)
            used[bits - np.uint64(low)] = True
            ids = np.flatnonzero(used)
            codes = np.zeros(len(used), np.uint64)
            codes[ids] = [self.texts.code(self.reference(plane, low + key)) for key in ids.tolist()]
            referred: UInt64s = codes[bits - np.uint64(low)]
            return referred
        known, which = np.unique(bits, return_inverse=True)
        few = [self.texts.code(self.reference(plane, key)) for key in known.tolist()]
        return np.array(few, np.uint64)[which]
