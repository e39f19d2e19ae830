"""Events of one line of a TensorFlow profile by protobuf's own runtime, one after the other.

What reads a profile where there is no C compiler, and what the C decoder has to agree with. It is much slower.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tftrace.ingest.wire import LENGTH, WireError
from tftrace.ingest.xplane.events import Events, Texts
from tftrace.ingest.xplane.schema import Event, Stat, message_class

_EVENTS: Final = Event.FIELD << 3 | LENGTH
_LARGEST: Final = (1 << 31) - 1  # bytes of a message, for protobuf
_WORD: Final = (1 << 64) - 1
_KINDS: Final = {
    "double_value": Stat.DOUBLE, "uint64_value": Stat.UINT64, "int64_value": Stat.INT64, "str_value": Stat.STR,
    "bytes_value": Stat.BYTES, "ref_value": Stat.REF,
}  # fmt: skip


def decode(data: bytes, texts: Texts, slot_of: Callable[[int], int]) -> Events:
    """Decodes a line. Raises DecodeError or WireError where the bytes are no events."""
    if len(data) > _LARGEST:
        raise WireError("a line above 2 GB, which only the decoder in C reads: install a C compiler")
    line = message_class("XLine").FromString(data)
    numbers = [array("q") for _ in range(5)]
    metas, starts, durs, durs_ps, occurrences = numbers
    stats: dict[tuple[int, str], tuple[array[int], array[int]]] = {}
    slots: dict[int, int] = {}
    for row, event in enumerate(line.events):
        offset, dur = event.offset_ps, event.duration_ps
        start = offset // 1000
        metas.append(event.metadata_id)
        starts.append(start)
        durs.append(_signed(_signed(offset + dur) // 1000 - start))
        durs_ps.append(dur)
        occurrences.append(event.num_occurrences if event.HasField("num_occurrences") else 1)
        for stat in event.stats:
            key = stat.metadata_id
            slot = slots.get(key)
            if slot is None:
                slot = slots[key] = slot_of(key)
            if slot < 0 or (kind := stat.WhichOneof("value")) is None:
                continue
            column = stats.get((slot, kind))
            if column is None:
                column = stats[slot, kind] = array("i"), array("Q")
            column[0].append(row)
            column[1].append(_bits(kind, getattr(stat, kind), texts))
    line.ClearField("events")
    columns = {
        (slot, _KINDS[kind]): (np.array(at, np.int32), np.array(bits, np.uint64))
        for (slot, kind), (at, bits) in stats.items()
    }
    meta, start_ns, dur_ns, dur_ps, several = (np.array(column, np.int64) for column in numbers)
    told = several if bool((several != 1).any()) else None
    return Events(meta, start_ns, dur_ns, dur_ps, told, columns, line.SerializeToString())


def _signed(value: int) -> int:
    """As a number of 64 bits."""
    if -(1 << 63) <= value < 1 << 63:
        return value
    value &= _WORD
    return value - (1 << 64) if value >> 63 else value


def _bits(kind: str, value: Any, texts: Texts) -> int:
    if kind == "double_value":
        return int.from_bytes(struct.pack("<d", value), "little")
    return texts.written(value, _KINDS[kind]) if kind in ("str_value", "bytes_value") else int(value) & _WORD
