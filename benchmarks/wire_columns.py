"""Protobuf messages of one shape written many at a time, column by column, for made profiles of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

UInt64s: TypeAlias = npt.NDArray[np.uint64]
Int64s: TypeAlias = npt.NDArray[np.int64]
Piece: TypeAlias = bytes | UInt64s
"""Bytes that all messages have in common, or a number for each, written as a varint."""

PADDED = 5
"""Bytes of a length that is filled in later: a varint may be longer than it has to be."""


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def padded(value: int) -> bytes:
    """`value` in PADDED bytes."""
    return bytes(value >> 7 * at & 0x7F | (0x80 if at < PADDED - 1 else 0) for at in range(PADDED))


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, data: bytes | str) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def widths(values: UInt64s) -> Int64s:
    """Bytes that each takes as a varint."""
    width = np.ones(len(values), np.int64)
    for at in range(1, 10):
        more = values >= np.uint64(1 << 7 * at)
        if not more.any():
            break
        width += more
    return width


def size_of(pieces: Sequence[Piece], count: int) -> Int64s:
    """Bytes of each of `count` messages made of these pieces."""
    size = np.zeros(count, np.int64)
    for piece in pieces:
        size += len(piece) if isinstance(piece, bytes) else widths(piece)
    return size


def put(out: npt.NDArray[np.uint8], at: Int64s, pieces: Sequence[Piece]) -> Int64s:
    """Writes one message at each place; returns where each ends."""
    at = at.copy()
    for piece in pieces:
        if isinstance(piece, bytes):
            for offset, byte in enumerate(piece):
                out[at + offset] = byte
            at += len(piece)
            continue
        width = widths(piece)
        for offset in range(int(width.max(initial=0))):
            some = width > offset
            low = (piece[some] >> np.uint64(7 * offset)).astype(np.uint8) & np.uint8(0x7F)
            out[at[some] + offset] = low | np.where(width[some] > offset + 1, 0x80, 0).astype(np.uint8)
        at += width
    return at
