"""Events of one line of a TensorFlow profile in columns, by C (native/reader/xplane.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.ingest.wire import WireError
from tftrace.ingest.xplane.events import Column, Events, Texts
from tftrace.ingest.xplane.schema import Stat
from tftrace.native.compiling import SOURCES, cached, compiled

_FLAGS: Final = ("-std=gnu11", "-O2", "-fPIC", "-shared")
_SOURCE: Final = SOURCES / "reader" / "xplane.c"

_FINISHED, _FULL, _NEW_STAT, _NEW_COLUMN, _TEXTS_FULL, _CUT, _TOO_LONG, _BAD_TYPE = range(8)
_WRONG: Final = {
    _CUT: "a message that ends within a field",
    _TOO_LONG: "a field longer than the message that holds it",
    _BAD_TYPE: "a field of unknown wire type",
}
_KINDS: Final = 8
_COLUMN: Final = 3  # words of a `tft_column`: events, bits, rows
_ROWS: Final = 2
_WRITTEN: Final = (Stat.STR, Stat.BYTES)
_NUMBERS: Final = ("meta", "start_ns", "dur_ns", "dur_ps", "occurrences")
_EVENTS: Final = 1 << 22  # that are decoded before their columns have to be joined with more
_SMALLEST: Final = 8  # bytes of an event with a name, a start and a duration: says how many there may be
_SLOTS: Final = 64
_MOST_SLOTS: Final = 4096
_FIELDS: Final = 256
_TEXTS: Final = 1 << 8
_DENSE: Final = 1 << 16
_UNKNOWN: Final = -2

_Chunk = tuple[list[npt.NDArray[np.int64]], dict[int, Column]]
"""Numbers of events, and statistics by column."""

_MEMBERS: Final = (
    ("data", "P"), ("size", "q"), ("at", "q"), ("end", "q"), ("meta", "P"), ("start_ns", "P"), ("dur_ns", "P"),
    ("dur_ps", "P"), ("occurrences", "P"), ("events", "q"), ("capacity", "q"), ("first", "q"),
    ("aggregated", "q"), ("columns", "P"), ("slots", "q"), ("slot_of", "P"), ("dense", "q"), ("far_ids", "P"),
    ("far_slots", "P"), ("far", "q"), ("wanted", "q"), ("table", "P"), ("table_size", "q"), ("text_at", "P"),
    ("text_size", "P"), ("text_hash", "P"), ("text_kind", "P"), ("texts", "q"), ("text_room", "q"),
    ("field_at", "P"), ("field_end", "P"), ("fields", "q"), ("field_room", "q"),
)  # fmt: skip
"""The struct `tft_line`: pointers and 64-bit numbers."""


class _Line(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p if kind == "P" else ctypes.c_int64) for name, kind in _MEMBERS]


class TooManyStatsError(Exception):
    """More statistics than columns are kept for here."""


@cache
def library() -> tuple[Any, str | None]:
    """(the C functions, None), or (None, why there are none). Compiles them where they are not in the cache yet."""
    target = cached("reader", _FLAGS, [_SOURCE])
    if not target.exists() and (reason := compiled(target, [*_FLAGS, str(_SOURCE)])) is not None:
        return None, reason
    try:
        functions = ctypes.CDLL(str(target))
        for function in (functions.tft_read_line, functions.tft_texts_placed):
            function.argtypes, function.restype = [ctypes.POINTER(_Line)], ctypes.c_int
    except (OSError, AttributeError) as error:
        return None, str(error)
    return functions, None


def native_decoder(texts: Texts) -> NativeDecoder | None:
    """None where the C functions cannot be had."""
    functions, _ = library()
    return None if functions is None else NativeDecoder(functions, texts)


class NativeDecoder:
    """Decodes lines; texts get their codes from `texts`."""

    def __init__(self, functions: Any, texts: Texts) -> None:
        self._functions, self._texts = functions, texts
        self._data = b""
        self._line = _Line()
        self._arrays: dict[str, npt.NDArray[Any]] = {}  # what the struct points to
        self._columns: dict[int, tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]] = {}
        self._plane = -1
        self._slots: dict[int, int] = {}  # of the plane: by metadata id
        self._room_for_slots(_SLOTS)
        for name in ("field_at", "field_end"):
            self._give(name, np.empty(_FIELDS, np.uint64))
        self._line.field_room = _FIELDS

    def __call__(self, data: bytes, slot_of: Callable[[int], int], plane: int) -> Events:
        """Raises WireError where the bytes are no events, TooManyStatsError."""
        line = self._line
        if plane != self._plane:
            self._plane, self._slots = plane, {}
            self._give("slot_of", np.full(_DENSE, _UNKNOWN, np.int32))
            line.dense = _DENSE
            self._far()
        self._data = data
        line.data = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value
        line.size = line.end = len(data)
        line.at = line.first = line.fields = line.aggregated = line.texts = 0
        self._room_for_texts(_TEXTS)
        self._room_for_events(min(max(len(data) // _SMALLEST, 16), _EVENTS))
        chunks: list[_Chunk] = []
        header: list[bytes] = []
        while True:
            status = self._functions.tft_read_line(ctypes.byref(line))
            if status in _WRONG:
                raise WireError(_WRONG[status])
            if status == _NEW_STAT:
                self._new_stat(int(line.wanted), slot_of(int(line.wanted)))
                continue
            if status == _NEW_COLUMN:
                self._new_column(int(line.wanted))
                continue
            if status == _TEXTS_FULL:
                self._room_for_texts(2 * int(line.table_size))
                continue
            taken = self._take(chunks) + self._header(header)
            if status == _FINISHED:
                break
            # one event may have more of one statistic than there is room for
            self._room_for_events(int(line.capacity) * (1 if taken else 2))
        return self._joined(chunks, b"".join(header))

    def _joined(self, chunks: list[_Chunk], header: bytes) -> Events:
        columns = [_whole([events[i] for events, _ in chunks]) for i in range(5)]
        meta, start, dur, dur_ps, occurrences = columns
        found: dict[tuple[int, int], list[Column]] = {}
        for _, stats in chunks:
            for number, column in stats.items():
                found.setdefault(divmod(number, _KINDS), []).append(column)
        chunks.clear()
        codes = self._known_texts()
        whole: dict[tuple[int, int], Column] = {}
        for key in list(found):
            parts = found.pop(key)
            bits = _whole([c[1] for c in parts])
            whole[key] = _whole([c[0] for c in parts]), codes[bits] if key[1] in _WRITTEN else bits
        return Events(meta, start, dur, dur_ps, occurrences if self._line.aggregated else None, whole, header)

    def _take(self, chunks: list[_Chunk]) -> int:
        """Takes over the arrays that C has filled; returns how many events they hold."""
        count = int(self._line.events)
        if count or not chunks:
            rows = self._arrays["columns"][_ROWS::_COLUMN]
            stats = {
                number: (event[: rows[number]], bits[: rows[number]])
                for number, (event, bits) in self._columns.items()
                if rows[number]
            }
            chunks.append(([self._arrays[name][:count] for name in _NUMBERS], stats))
        self._line.first += count
        return count

    def _header(self, header: list[bytes]) -> int:
        count = int(self._line.fields)
        places = (self._arrays[name][:count].tolist() for name in ("field_at", "field_end"))
        header += [self._data[begin:end] for begin, end in zip(*places, strict=True)]
        self._line.fields = 0
        return count

    def _new_stat(self, key: int, slot: int) -> None:
        self._slots[key] = slot
        if slot >= self._line.slots:
            if slot >= _MOST_SLOTS:
                raise TooManyStatsError
            self._room_for_slots(max(slot + 1, 2 * int(self._line.slots)))
        if 0 <= key < _DENSE:
            self._arrays["slot_of"][key] = slot
        else:
            self._far()

    def _far(self) -> None:
        far = sorted(key for key in self._slots if not 0 <= key < _DENSE)
        self._give("far_ids", np.array(far, np.int64))
        self._give("far_slots", np.array([self._slots[key] for key in far], np.int32))
        self._line.far = len(far)

    def _new_column(self, number: int) -> None:
        capacity = int(self._line.capacity)
        event, bits = self._columns[number] = np.empty(capacity, np.int32), np.empty(capacity, np.uint64)
        self._arrays["columns"][number * _COLUMN : number * _COLUMN + _ROWS] = (
            event.ctypes.data,
            bits.ctypes.data,
        )

    def _room_for_events(self, capacity: int) -> None:
        """New arrays, which take memory only where they are filled."""
        for name in _NUMBERS:
            self._give(name, np.empty(capacity, np.int64))
        self._arrays["columns"][:] = 0
        self._columns = {}
        self._line.events, self._line.capacity = 0, capacity

    def _room_for_slots(self, slots: int) -> None:
        larger = np.zeros(slots * _KINDS * _COLUMN, np.int64)
        known = self._arrays.get("columns", larger[:0])
        larger[: len(known)] = known
        self._give("columns", larger)
        self._line.slots = slots

    def _room_for_texts(self, size: int) -> None:
        """`size`, a power of two, of the table by hash; half of it is used."""
        known = int(self._line.texts)
        for name, kind in (
            ("text_at", np.uint64), ("text_size", np.uint64), ("text_hash", np.uint64), ("text_kind", np.uint8),
        ):  # fmt: skip
            larger = np.zeros(size // 2, kind)
            if known:
                larger[:known] = self._arrays[name][:known]
            self._give(name, larger)
        self._give("table", np.zeros(size, np.int32))
        self._line.table_size, self._line.text_room = size, size // 2
        self._functions.tft_texts_placed(ctypes.byref(self._line))

    def _known_texts(self) -> npt.NDArray[np.uint64]:
        """Codes of the texts of the line by the number that C gave them."""
        count = int(self._line.texts)
        places = (self._arrays[name][:count].tolist() for name in ("text_at", "text_size", "text_kind"))
        codes = [
            self._texts.written(self._data[at : at + size], kind)
            for at, size, kind in zip(*places, strict=True)
        ]
        return np.array(codes, np.uint64)

    def _give(self, name: str, array: npt.NDArray[Any]) -> None:
        self._arrays[name] = array
        setattr(self._line, name, array.ctypes.data)


def _whole(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
