"""Protobuf wire format, read into columns: many small messages of one type at once, by numpy.

A profile holds millions of messages of a few bytes each; making a Python object of every one is what costs.
Here one pass reads the n-th field of *all* messages, so the number of numpy calls grows with the fields of
the longest message, not with the messages.

Grammar (https://protobuf.dev/programming-guides/encoding):

    message := field*
    field   := tag value        tag = field number << 3 | wire type, as a varint
    value   := varint           wire type 0: 7 bits a byte, lowest first, high bit says that more follow
             | 8 bytes          wire type 1, little-endian
             | varint bytes     wire type 2: length, then that many bytes (text, bytes, a message)
             | 4 bytes          wire type 5, little-endian
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5

_PADDING: Final = 24  # a varint of ten bytes and a word may be read past the last message
_ENDLESS: Final = 1 << 40  # longer than any message
_BATCH: Final = 1 << 15  # messages a pass: the working columns stay in the processor's cache


class WireError(ValueError):
    """The bytes are not protobuf messages. The caller knows the file, and says so to the user."""


@dataclass(frozen=True)
class Fields:
    """Every field of every message, as flat columns of equal length.

    The fields of one message keep their order, but those of other messages lie between them. `owner`: index
    of the message. `tag`: field number << 3 | wire type. `value`: the number itself (varint; fixed ones as
    their bits) or, for wire type 2, where its bytes start in the buffer. `size`: their length, else 0.
    """

    owner: Int64s
    tag: UInt64s
    value: UInt64s
    size: Int64s

    def where(self, number: int, wire_type: int) -> Int64s:
        """Positions in the columns of the fields with this number and wire type."""
        return np.flatnonzero(self.tag == np.uint64(number << 3 | wire_type))


def buffer_of(parts: list[bytes]) -> tuple[Bytes, Int64s, Int64s]:
    """(buffer, start, end): the messages one after the other, padded as `fields` needs it."""
    sizes = np.fromiter(map(len, parts), np.int64, len(parts))
    end = np.cumsum(sizes, dtype=np.int64)
    joined = b"".join((*parts, bytes(_PADDING)))
    return np.frombuffer(joined, np.uint8), end - sizes, end


def fields(buffer: Bytes, start: Int64s, end: Int64s) -> Fields:
    """All fields of the messages at `buffer[start:end]`; the buffer comes from `buffer_of`.

    Raises WireError where the bytes are not protobuf.
    """
    owners: list[Int64s] = [np.empty(0, np.int64)]
    tags: list[UInt64s] = [np.empty(0, np.uint64)]
    values: list[UInt64s] = [np.empty(0, np.uint64)]
    sizes: list[Int64s] = [np.empty(0, np.int64)]
    words = _words(buffer)
    for first in range(0, len(start), _BATCH):
        _batch(
            words,
            start[first : first + _BATCH],
            end[first : first + _BATCH],
            first,
            owners,
            tags,
            values,
            sizes,
        )
    return Fields(np.concatenate(owners), np.concatenate(tags), np.concatenate(values), np.concatenate(sizes))


def _words(buffer: Bytes) -> UInt64s:
    """The eight bytes that begin at every offset, as little-endian words: a view, nothing is copied."""
    count = max(len(buffer) - 7, 0)
    words: UInt64s = np.ndarray((count,), np.dtype("<u8"), buffer=buffer, strides=(1,))
    return words


def _batch(
    words: UInt64s,
    start: Int64s,
    end: Int64s,
    first: int,
    owners: list[Int64s],
    tags: list[UInt64s],
    values: list[UInt64s],
    sizes: list[Int64s],
) -> None:
    alive = np.flatnonzero(start < end)
    at, stop = start[alive], end[alive]
    while alive.size:
        tag, length = _varint(words, at)
        at = at + length
        if np.any(at >= stop):
            raise WireError("a message that ends within a field")
        wire_type = tag & np.uint64(7)
        value, length = _varint(words, at)
        size = np.zeros(len(at), np.int64)
        if (odd := np.flatnonzero(wire_type)).size:
            kind = wire_type[odd]
            fixed64, counted, fixed32 = odd[kind == FIXED64], odd[kind == LENGTH], odd[kind == FIXED32]
            if fixed64.size + counted.size + fixed32.size != odd.size:
                raise WireError("a field of unknown wire type")
            value[fixed64], length[fixed64] = words[at[fixed64]], 8
            value[fixed32], length[fixed32] = words[at[fixed32]] & np.uint64(0xFFFFFFFF), 4
            if counted.size:
                bytes_left = stop[counted] - at[counted] - length[counted]
                if np.any(value[counted] > np.maximum(bytes_left, 0).astype(np.uint64)):
                    raise WireError("a field longer than the message that holds it")
                size[counted] = value[counted].astype(np.int64)
                value[counted] = (at[counted] + length[counted]).astype(np.uint64)
                length[counted] += size[counted]
        at = at + length
        if np.any(at > stop) or not np.all(tag >> np.uint64(3)):
            raise WireError("a message that ends within a field")
        owners.append(alive + first)
        tags.append(tag)
        values.append(value)
        sizes.append(size)
        if not (more := at < stop).all():
            alive, at, stop = alive[more], at[more], stop[more]


def _varint(words: UInt64s, at: Int64s) -> tuple[UInt64s, Int64s]:
    """(value, length in bytes) of the varints at these offsets; what is no varint has an endless length.

    That is not an error yet: the bytes may turn out to be a fixed number.
    """
    word = words[at]
    first = word & np.uint64(0xFF)
    length = np.ones(len(at), np.int64)
    if not (long := np.flatnonzero(first > np.uint64(0x7F))).size:
        return first, length
    value = first
    word = word[long]
    # The lowest byte without its high bit ends the varint; x ^ (x - 1) keeps the bits up to the lowest one.
    ends = ~word & np.uint64(0x8080808080808080)
    upto = ends ^ (ends - np.uint64(1))
    packed = word & upto & np.uint64(0x7F7F7F7F7F7F7F7F)
    # Closes the gaps left by the high bits: pairs of 7 bits to 14, to 28, to 56.
    packed = (packed & np.uint64(0x007F007F007F007F)) | (
        (packed & np.uint64(0x7F007F007F007F00)) >> np.uint64(1)
    )
    packed = (packed & np.uint64(0x00003FFF00003FFF)) | (
        (packed & np.uint64(0x3FFF00003FFF0000)) >> np.uint64(2)
    )
    packed = (packed & np.uint64(0x000000000FFFFFFF)) | (
        (packed & np.uint64(0x0FFFFFFF00000000)) >> np.uint64(4)
    )
    value[long] = packed
    length[long] = (np.bitwise_count(upto) if hasattr(np, "bitwise_count") else _bit_count(upto)) >> 3
    if (longer := long[ends == 0]).size:  # nine or ten bytes: negative numbers, ids
        tail = words[at[longer] + 8]
        ninth, tenth = tail & np.uint64(0xFF), (tail >> np.uint64(8)) & np.uint64(0xFF)
        ten = ninth > np.uint64(0x7F)
        value[longer] |= (ninth & np.uint64(0x7F)) << np.uint64(56)
        value[longer[ten]] |= tenth[ten] << np.uint64(63)
        length[longer] = np.where(ten & (tenth > np.uint64(1)), _ENDLESS, 9 + ten)
    return value, length


def _bit_count(upto: UInt64s) -> Int64s:
    """Set bits of 2**k - 1, k a multiple of 8 (numpy before 2.0 has no bitwise_count)."""
    edges = (np.uint64(1) << np.arange(8, 64, 8, dtype=np.uint64)) - np.uint64(1)
    return (np.searchsorted(edges, upto).astype(np.int64) + 1) * 8
