"""Events of one line of a TensorFlow profile in columns, by C (native/reader/xplane.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.ingest.wire import WireError
from tftrace.ingest.xplane.columns import ROWS, Columns, Grown
from tftrace.ingest.xplane.events import PlaneIds, Texts
from tftrace.native.compiling import SOURCES, loops

_SOURCE: Final = SOURCES / "reader" / "xplane.c"

(
    _FINISHED, _EVENTS_FULL, _COLUMN_FULL, _FIELDS_FULL, _TEXTS_FULL, _NEW_STAT, _NEW_META, _NEW_REFERENCE, _AGGREGATED,
    _CUT, _TOO_LONG, _BAD_TYPE,
) = range(12)  # fmt: skip
_WRONG: Final = {
    _CUT: "a message that ends within a field",
    _TOO_LONG: "a field longer than the message that holds it",
    _BAD_TYPE: "a field of unknown wire type",
}
PADDING: Final = 16
"""Bytes behind a line that may be read with it."""
_MOST_SLOTS: Final = 4096
_FIELDS: Final = 256
_TEXTS: Final = 1 << 8
_DENSE: Final = 1 << 16
_HASHED: Final = 1 << 6
_UNKNOWN: Final = -2
_WORD: Final = (1 << 64) - 1


_KIND: Final[dict[str, Any]] = {"P": ctypes.c_void_p, "q": ctypes.c_int64}


class _Ids(ctypes.Structure):
    _fields_ = [
        ("near", _KIND["P"]), ("dense", _KIND["q"]), ("keys", _KIND["P"]), ("values", _KIND["P"]), ("mask", _KIND["q"]),
    ]  # fmt: skip


_MEMBERS: Final = (
    ("data", "P"), ("at", "q"), ("end", "q"), ("start_ns", "P"), ("dur_ns", "P"), ("dur_ps", "P"), ("occurrences", "P"),
    ("meta", "P"), ("events", "q"), ("capacity", "q"), ("columns", "P"), ("slots", "q"), ("stats", "I"),
    ("metas", "I"), ("references", "I"), ("wanted", "q"), ("table", "P"), ("table_size", "q"), ("text_at", "P"),
    ("text_size", "P"), ("text_hash", "P"), ("text_kind", "P"), ("texts", "q"), ("text_room", "q"),
    ("field_at", "P"), ("field_end", "P"), ("fields", "q"), ("field_room", "q"),
)  # fmt: skip
"""The struct `tft_line`: pointers, 64-bit numbers and tables of ids."""


class _Line(ctypes.Structure):
    _fields_ = [(name, _Ids if kind == "I" else _KIND[kind]) for name, kind in _MEMBERS]


class TooManyStatsError(Exception):
    """More statistics than columns are kept for here."""


@cache
def library() -> tuple[Any, str | None]:
    """(the C functions, None), or (None, why there are none). Compiles them where they are not in the cache yet."""
    functions, reason = loops("reader", _SOURCE)
    if functions is None:
        return None, reason
    try:
        for function in (functions.tft_read_line, functions.tft_texts_placed):
            function.argtypes, function.restype = [ctypes.POINTER(_Line)], ctypes.c_int
        functions.tft_number.argtypes = [ctypes.POINTER(_Ids), ctypes.c_int64, ctypes.c_int32]
        functions.tft_number.restype = None
    except AttributeError as error:
        return None, str(error)
    return functions, None


def native_decoder(texts: Texts) -> NativeDecoder | None:
    """None where the C functions cannot be had."""
    functions, _ = library()
    return None if functions is None else NativeDecoder(functions, texts)


class _Numbers:
    """What C knows of the numbers that ids of one plane have; `number` is asked for those that are new."""

    def __init__(self, functions: Any, ids: Any, number: Callable[[int], int]) -> None:
        self._functions, self._ids, self._number = functions, ids, number
        self._far: dict[int, int] = {}
        self._near: npt.NDArray[np.int32] = np.full(_DENSE, _UNKNOWN, np.int32)
        ids.near, ids.dense = self._near.ctypes.data, _DENSE
        self._hash(_HASHED)

    def add(self, key: int) -> int:
        number = self._number(key)
        if not 0 <= key < _DENSE:
            self._far[key] = number
            if 2 * len(self._far) > len(self._keys):
                self._hash(4 * len(self._keys))
        self._functions.tft_number(self._ids, key, number)
        return number

    def _hash(self, size: int) -> None:
        self._keys = np.zeros(size, np.int64)
        self._values = np.full(size, _UNKNOWN, np.int32)
        ids = self._ids
        ids.keys, ids.values, ids.mask = self._keys.ctypes.data, self._values.ctypes.data, size - 1
        for key, number in self._far.items():
            self._functions.tft_number(ids, key, number)


class NativeDecoder:
    """Decodes lines; texts get their codes from `texts`."""

    def __init__(self, functions: Any, texts: Texts) -> None:
        self._functions, self._texts = functions, texts
        self._line = _Line()
        self._arrays: dict[str, npt.NDArray[Any]] = {}  # what the struct points to
        self._plane: PlaneIds | None = None
        for name in ("field_at", "field_end"):
            self._give(name, np.empty(_FIELDS, np.uint64))
        self._line.field_room = _FIELDS

    def __call__(self, data: Grown, size: int, ids: PlaneIds, columns: Columns) -> bytes:
        """Adds the events of a line, that many bytes of `data` and PADDING behind them, to `columns`; returns its other
        fields. Raises WireError where the bytes are no events, TooManyStatsError."""
        line = self._line
        if ids is not self._plane:
            self._plane = ids
            self._stats = _Numbers(self._functions, line.stats, ids.stat)
            self._metas = _Numbers(self._functions, line.metas, ids.meta)
            self._references = _Numbers(
                self._functions, line.references, lambda key: ids.reference(key & _WORD)
            )
        line.data, line.end = data.address, size
        line.at = line.fields = line.texts = 0
        self._room_for_texts(_TEXTS)
        since = columns.rows()
        header: list[bytes] = []
        self._point(columns)
        while True:
            status = self._functions.tft_read_line(ctypes.byref(line))
            columns.events = int(line.events)
            if status == _FINISHED:
                break
            if status in _WRONG:
                raise WireError(_WRONG[status])
            self._provide(status, columns, data, header)
            self._point(columns)
        self._take_header(data, header)
        if line.texts:
            codes = self._known_texts(data)
            for bits in columns.written(since):
                np.take(codes, bits.view(np.int64), out=bits, mode="clip")
        return b"".join(header)

    def _provide(self, status: int, columns: Columns, data: Grown, header: list[bytes]) -> None:
        """What C stopped for."""
        wanted = int(self._line.wanted)
        if status == _COLUMN_FULL:
            columns.grow_stat(wanted, int(columns.table[wanted, ROWS]) + 1)
        elif status == _EVENTS_FULL:
            columns.grow(columns.events + 1)
        elif status == _NEW_STAT:
            slot = self._stats.add(wanted)
            if slot >= _MOST_SLOTS:
                raise TooManyStatsError
            columns.room_for_slots(slot + 1)
        elif status == _NEW_META:
            self._metas.add(wanted)
        elif status == _NEW_REFERENCE:
            self._references.add(wanted)
        elif status == _TEXTS_FULL:
            self._room_for_texts(2 * int(self._line.table_size))
        elif status == _AGGREGATED:
            columns.count_occurrences()
        else:
            self._take_header(data, header)

    def _point(self, columns: Columns) -> None:
        """Tells C where the columns are now."""
        line = self._line
        line.start_ns, line.dur_ns = columns.start_ns.address, columns.dur_ns.address
        line.dur_ps, line.meta = columns.dur_ps.address, columns.meta.address
        line.occurrences = None if columns.occurrences is None else columns.occurrences.address
        line.events, line.capacity = columns.events, columns.capacity
        line.columns, line.slots = columns.table.ctypes.data, columns.slots

    def _take_header(self, data: Grown, header: list[bytes]) -> None:
        count = int(self._line.fields)
        places = (self._arrays[name][:count].tolist() for name in ("field_at", "field_end"))
        header += [data.filled(begin, end).tobytes() for begin, end in zip(*places, strict=True)]
        self._line.fields = 0

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

    def _known_texts(self, data: Grown) -> npt.NDArray[np.uint64]:
        """Codes of the texts of the line by the number that C gave them."""
        count = int(self._line.texts)
        places = (self._arrays[name][:count].tolist() for name in ("text_at", "text_size", "text_kind"))
        codes = [
            self._texts.written(data.filled(at, at + size).tobytes(), kind)
            for at, size, kind in zip(*places, strict=True)
        ]
        return np.array(codes, np.uint64)

    def _give(self, name: str, array: npt.NDArray[Any]) -> None:
        self._arrays[name] = array
        setattr(self._line, name, array.ctypes.data)
