"""Attributes of events as JSON, without an object for each event: texts are put together when the table is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tftrace.store.pages import Pages
from tftrace.store.texts import Texts

Int: TypeAlias = npt.NDArray[np.int64]
NONE: Final = -1

_BLOCKS: Final = 1 << 40  # numbers from here on are of blocks
_Told: TypeAlias = tuple[npt.NDArray[Any], pa.StringArray]
_AT_ONCE: Final = 1 << 16


@dataclass(frozen=True)
class Part:
    """One attribute of a number of events, or several that come together.

    `code` holds for each event which of `texts` it has, NONE for none. A text is what stands between the braces of a
    JSON object, `"a":1,"b":2`; an empty one is nothing.
    """

    code: Int
    texts: pa.Array


def part_of(value: dict[str, Any]) -> str:
    """The text of these attributes."""
    return orjson.dumps(value, default=str)[1:-1].decode()


def values_part(name: str, code: Int, values: Sequence[Any]) -> Part:
    """The attribute `name`, by code; an empty text is no value."""
    if values and all(type(v) is int for v in values):
        return Part(code, _told(name, pa.array(values, pa.int64() if max(values) < 1 << 63 else pa.uint64())))
    return Part(code, pa.array([part_of({name: v}) if v != "" else "" for v in values], pa.string()))


def numbers_part(name: str, values: Int) -> Part:
    """The attribute `name`, of which every event has one of its own."""
    encoded = pa.array(values).dictionary_encode()
    return Part(np.asarray(encoded.indices.to_numpy(), np.int64), _told(name, encoded.dictionary))


def _told(name: str, numbers: pa.Array) -> pa.StringArray:
    return pc.binary_join_element_wise(orjson.dumps(name).decode() + ":", numbers.cast(pa.string()), "")


def dense(key: Int) -> Int:
    """The same number for equal keys, from 0 on without a gap."""
    if not len(key):
        return key
    low, high = int(key.min()), int(key.max())
    if high - low < 4 * len(key) + 1024:
        used = np.zeros(high - low + 1, np.bool_)
        used[key - low] = True
        return np.asarray((np.cumsum(used) - 1)[key - low], np.int64)
    return np.asarray(pa.array(key).dictionary_encode().indices.to_numpy(), np.int64)


class Interner:
    """Strings by number, in the order they were first seen."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._codes: dict[str, int] = {}

    def code(self, value: str | None) -> int:
        if value is None:
            return NONE
        code = self._codes.get(value)
        if code is None:
            code = self._codes[value] = len(self.values)
            self.values.append(value)
        return code

    def codes(self, values: Iterable[str | None]) -> Int:
        return np.fromiter((self.code(v) for v in values), np.int64)


class Attributes:
    """JSON objects by number: single ones, and blocks that are made of parts. Once texts are asked for, no block can be
    added."""

    def __init__(self, pages: Pages | None = None) -> None:
        self._single = Interner()
        self._first = [0]  # number of the first of each block, and of the next one
        # of each part: where its codes begin, and the number of its texts
        self._blocks: list[list[tuple[int, int]]] = []
        pages = pages or Pages()
        self._written, self._texts_written = pages.column(np.int32), Texts(pages)
        self._latest: list[
            tuple[pa.Array, int]
        ] = []  # the texts of the last block, which the next may have too

    @cached_property
    def _codes(self) -> npt.NDArray[np.int32]:
        """The codes of all parts of all blocks."""
        return self._written.array()

    @cached_property
    def _arrays(self) -> list[pa.StringArray]:
        """The texts of all parts, by number."""
        self._latest = []
        return self._texts_written.arrays()

    def code(self, value: str | None) -> int:
        """The number of one object; NONE for None."""
        return self._single.code(value)

    def codes(self, values: Iterable[str | None]) -> Int:
        return self._single.codes(values)

    def block(self, count: int, parts: Sequence[Part]) -> Int:
        """Numbers of the objects of `count` events: those with the same parts have the same. NONE without any part.

        a   b                        object          number
        x   NONE                     {"a":"x"}       7
        x   1                 ->     {"a":"x","b":1} 8
        x   NONE                     {"a":"x"}       7
        """
        key = np.zeros(count, np.int64)
        some = np.zeros(count, np.bool_)
        kept: list[tuple[Int, pa.Array]] = []
        for part in parts:
            empty = np.append(pc.equal(part.texts, "").to_numpy(zero_copy_only=False), True)
            code = np.where(empty[part.code], NONE, part.code)
            mine = code != NONE
            if not mine.any():
                continue
            some |= mine
            key = dense(key * (len(part.texts) + 1) + code + 1)
            kept.append((code, part.texts))
        if not kept:
            return np.full(count, NONE, np.int64)
        first = np.zeros(int(key.max()) + 1, np.int64)
        first[key[::-1]] = np.arange(count - 1, -1, -1)  # of equal keys the first is written last
        block, latest = [], self._latest
        self._latest = []
        for code, texts in kept:
            known = next((number for same, number in latest if same is texts), None)
            number = self._texts_written.add(texts) if known is None else known
            self._latest.append((texts, number))
            block.append((self._written.rows, number))
            self._written.add(code[first])
        self._blocks.append(block)
        numbers = np.where(some, _BLOCKS + self._first[-1] + key, NONE)
        self._first.append(self._first[-1] + len(first))
        return numbers

    def texts(self, codes: Int, most: int | None = None) -> pa.ChunkedArray:
        """The objects with these numbers; null for NONE. Few at a time are put together, each in several copies. With
        `most` of the first numbers alone, so many that their objects have about so many bytes."""
        parts: list[pa.Array] = []
        size = 0
        for at in range(0, len(codes), _AT_ONCE):
            parts.append(self._texts(codes[at : at + _AT_ONCE], self._finished))
            size += parts[-1].nbytes
            if most is not None and size >= most:
                break
        return pa.chunked_array(parts, pa.string())

    def so_far(self, codes: Int) -> pa.StringArray:
        """The same of some, while blocks are still added."""
        return self._texts(codes, self._growing)

    def _finished(self, begin: int, rows: Int, number: int) -> _Told:
        """The codes of some rows of a part, and its texts."""
        return self._codes[begin + rows], self._arrays[number]

    def _growing(self, begin: int, rows: Int, number: int) -> _Told:
        first, last = int(rows.min()), int(rows.max()) + 1
        return self._written.part(begin + first, begin + last)[rows - first], self._texts_written.part(number)

    def _texts(self, codes: Int, look_up: Callable[[int, Int, int], _Told]) -> pa.StringArray:
        single = (codes != NONE) & (codes < _BLOCKS)
        used = np.unique(codes[single])
        made = [pa.array([_utf8(self._single.values[code]) for code in used.tolist()], pa.string())]
        place = codes.copy()  # in all of `made`, one behind the other
        place[single] = np.searchsorted(used, codes[single])
        behind = len(used)
        for first, last, parts in zip(self._first, self._first[1:], self._blocks, strict=False):
            at = np.flatnonzero((codes >= _BLOCKS + first) & (codes < _BLOCKS + last))
            if not len(at):
                continue
            place_of = dense(codes[at])
            used = np.empty(int(place_of.max()) + 1, np.int64)
            used[place_of] = codes[at]
            rows = used - _BLOCKS - first
            made.append(_objects([look_up(begin, rows, number) for begin, number in parts]))
            place[at] = behind + place_of
            behind += len(used)
        return pa.concat_arrays(made).take(pa.array(place, mask=codes == NONE))


def _objects(parts: list[_Told]) -> pa.StringArray:
    columns = [texts.take(pa.array(code, mask=code == NONE)) for code, texts in parts]
    joined = pc.binary_join_element_wise(*columns, ",", null_handling="skip")
    return pc.binary_join_element_wise("{", joined, "}", "")


def _utf8(text: str) -> str:
    """With a mark for each half of a character, of which UTF-8 knows none."""
    return text.encode("utf-8", "replace").decode("utf-8")
