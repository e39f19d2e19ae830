"""The decoder of a profile's events in numba, to measure beside the one in C (decoders.py). Not part of tftrace."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np


@numba.njit(cache=True)
def _varint(data: Any, at: int) -> tuple[Any, int]:
    value, shift = np.uint64(0), np.uint64(0)
    while True:
        byte = data[at]
        at += 1
        value |= np.uint64(byte & 0x7F) << shift
        if byte < 0x80 or shift >= 63:
            return value, at
        shift += np.uint64(7)


@numba.njit(cache=True)
def _skipped(data: Any, at: int, wire: int) -> tuple[Any, int, int]:
    """(value or place of the bytes, where they end)."""
    if wire == 0:
        value, at = _varint(data, at)
        return value, at, 0
    if wire == 2:
        size, at = _varint(data, at)
        return np.uint64(at), at + np.int64(size), np.int64(size)
    width = 8 if wire == 1 else 4
    value = np.uint64(0)
    for i in range(width):
        value |= np.uint64(data[at + i]) << np.uint64(8 * i)
    return value, at + width, 0


@numba.njit(cache=True)
def _read(data: Any, end: int, numbers: Any, owner: Any, ids: Any, kinds: Any, bits: Any) -> tuple[int, int]:
    at, events, rows = 0, 0, 0
    while at < end:
        tag, at = _varint(data, at)
        if tag != np.uint64(34):
            _, at, _ = _skipped(data, at, np.int64(tag & np.uint64(7)))
            continue
        size, at = _varint(data, at)
        stop = at + np.int64(size)
        meta = offset = dur = np.uint64(0)
        while at < stop:
            tag, at = _varint(data, at)
            value, after, _ = _skipped(data, at, np.int64(tag & np.uint64(7)))
            if tag == np.uint64(8):
                meta = value
            elif tag == np.uint64(16):
                offset = value
            elif tag == np.uint64(24):
                dur = value
            elif tag == np.uint64(34):
                p = np.int64(value)
                key = found = np.uint64(0)
                kind = 0
                while p < after:
                    inner, p = _varint(data, p)
                    number, p, _ = _skipped(data, p, np.int64(inner & np.uint64(7)))
                    if inner == np.uint64(8):
                        key = number
                    else:
                        kind, found = np.int64(inner >> np.uint64(3)), number
                if kind:
                    owner[rows], ids[rows], kinds[rows], bits[rows] = events, np.int64(key), kind, found
                    rows += 1
            at = after
        numbers[0, events], numbers[1, events] = np.int64(meta), np.int64(offset) // 1000
        numbers[2, events] = np.int64(offset + dur) // 1000 - np.int64(offset) // 1000
        numbers[3, events] = np.int64(dur)
        events += 1
    return events, rows


def decode(data: Any, end: int) -> tuple[Any, ...]:
    """(metadata ids, then times; owner, id, kind and bits of each statistic): what is left to do is to sort those by
    statistic and to look texts up, which the C decoder does on the way."""
    most = end // 8 + 1
    numbers = np.empty((4, most), np.int64)
    owner, ids, kinds, bits = (np.empty(most, t) for t in (np.int32, np.int64, np.uint8, np.uint64))
    events, rows = _read(data, end, numbers, owner, ids, kinds, bits)
    return numbers[0, :events], numbers[1:, :events], owner[:rows], ids[:rows], kinds[:rows], bits[:rows]
