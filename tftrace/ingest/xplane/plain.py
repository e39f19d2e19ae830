"""Events of one line of a TensorFlow profile by protobuf's own runtime, one after the other.

What reads a profile where there is no C compiler, and what the C decoder has to agree with. It is much slower.
"""

from __future__ import annotations

import struct
from array import array
from typing import Any, Final

import numpy as np

from tftrace.ingest.wire import LENGTH, WireError
from tftrace.ingest.xplane.columns import Columns
from tftrace.ingest.xplane.events import PlaneIds, Texts
from tftrace.ingest.xplane.schema import Event, Stat, message_class

_EVENTS: Final = Event.FIELD << 3 | LENGTH
_LARGEST: Final = (1 << 31) - 1  # bytes of a message, for protobuf
_WORD: Final = (1 << 64) - 1
_KINDS: Final = {
    "double_value": Stat.DOUBLE, "uint64_value": Stat.UINT64, "int64_value": Stat.INT64, "str_value": Stat.STR,
    "bytes_value": Stat.BYTES, "ref_value": Stat.REF,
}  # fmt: skip


def decode(data: bytes, texts: Texts, ids: PlaneIds, columns: Columns) -> bytes:
    """Adds the events of a line to `columns`; returns its other fields. Raises DecodeError or WireError where the bytes
    are no events."""
    if len(data) > _LARGEST:
        raise WireError("a line above 2 GB, which only the decoder in C reads: install a C compiler")
    line = message_class("XLine").FromString(data)
    first = columns.events
    metas, starts, durs, durs_ps, occurrences = (array("q") for _ in range(5))
    stats: dict[tuple[int, str], tuple[array[int], array[int]]] = {}
    for row, event in enumerate(line.events, first):
        offset, dur = event.offset_ps, event.duration_ps
        start = offset // 1000
        starts.append(start)
        durs.append(_signed(_signed(offset + dur) // 1000 - start))
        durs_ps.append(dur)
        occurrences.append(event.num_occurrences if event.HasField("num_occurrences") else 1)
        for stat in event.stats:
            slot = ids.stat(stat.metadata_id)
            if slot < 0 or (kind := stat.WhichOneof("value")) is None:
                continue
            column = stats.get((slot, kind))
            if column is None:
                column = stats[slot, kind] = array("i"), array("Q")
            column[0].append(row)
            column[1].append(_bits(kind, getattr(stat, kind), texts, ids))
        metas.append(ids.meta(event.metadata_id))
    line.ClearField("events")
    for (slot, kind), (at, bits) in stats.items():
        columns.add_stat(slot, _KINDS[kind], np.array(at, np.int32), np.array(bits, np.uint64))
    last = first + len(metas)
    columns.grow(last)
    columns.events = last
    for grown, values in (
        (columns.meta, metas), (columns.start_ns, starts), (columns.dur_ns, durs), (columns.dur_ps, durs_ps),
    ):  # fmt: skip
        grown.filled(first, last)[:] = values
    if columns.occurrences is not None or any(several != 1 for several in occurrences):
        columns.count_occurrences().filled(first, last)[:] = occurrences
    header: bytes = line.SerializeToString()
    return header


def _signed(value: int) -> int:
    """As a number of 64 bits."""
    if -(1 << 63) <= value < 1 << 63:
        return value
    value &= _WORD
    return value - (1 << 64) if value >> 63 else value


def _bits(kind: str, value: Any, texts: Texts, ids: PlaneIds) -> int:
    if kind == "double_value":
        return int.from_bytes(struct.pack("<d", value), "little")
    if kind == "ref_value":
        return ids.reference(int(value))
    return texts.written(value, _KINDS[kind]) if kind in ("str_value", "bytes_value") else int(value) & _WORD
