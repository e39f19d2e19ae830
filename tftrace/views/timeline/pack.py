"""Columns of integers as text in the page: byte planes, deflate, base64.

A column of n values is one byte with the number of planes, then the planes: the lowest byte of every value,
the next byte of every value, and so on, little-endian, without the planes that are zero throughout.
Neighbouring starts differ by little, so the high planes are nearly constant and deflate removes them.
`data.js` is the reader.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tftrace.views.timeline.columns import Ints, order_of
from tftrace.views.timeline.pyramid import Blocks

CHUNK = 1 << 16
"""Rows of one chunk: the page decodes a chunk when a view first needs it."""


def planes(values: Ints) -> bytes:
    """One column; values are at least 0 and below 2^53."""
    as_bytes = np.ascontiguousarray(values).astype("<u8").view(np.uint8).reshape(-1, 8)
    used = 8
    while used > 1 and not as_bytes[:, used - 1].any():
        used -= 1
    return bytes([used]) + np.ascontiguousarray(as_bytes[:, :used].T).tobytes()


def zigzag(values: Ints) -> Ints:
    """Signed to unsigned: 0, -1, 1, -2 .. become 0, 1, 2, 3 .."""
    return np.where(values < 0, -2 * values - 1, 2 * values)


def text(*columns: Ints) -> str:
    """Columns as one base64 text."""
    return deflated(b"".join(planes(column) for column in columns))


def deflated(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw, 6)).decode("ascii")


@dataclass(frozen=True)
class Chunk:
    """A stretch of time of one kind and level. `head` describes it to the page, `body` is its columns."""

    head: list[int | str]
    body: str


def _by_row(row: Ints, t: Ints, base: int, unit: int, rows: int) -> tuple[Ints, Ints]:
    """(entries in each row, starts as gaps to the previous start of the same row, in units)."""
    start = (t - base) // unit
    gap = np.diff(start, prepend=0)
    first = np.r_[True, row[1:] != row[:-1]]
    gap[first] = start[first]
    return np.bincount(row, minlength=rows).astype(np.int64), gap


def exact_chunks(
    level: int, rows: int, row: Ints, t: Ints, dur: Ints, info: Ints, rank: Ints
) -> Iterator[Chunk]:
    """Events of one duration class, input sorted by t; made as they are asked for."""
    for low in range(0, len(t), CHUNK):
        cut = slice(low, low + CHUNK)
        r, s, d, i, e = (column[cut] for column in (row, t, dur, info, rank))
        head = exact_head(level, s, d, e)
        yield Chunk(head, deflated(exact_columns(rows, int(s.min()), int(e.min()), r, s, d, i, e)))


def exact_head(level: int, t: Ints, dur: Ints, rank: Ints) -> list[int | str]:
    return ["E", level, int(t.min()), int((t + dur).max()), len(t), 1, int(rank.min()), int(rank.max())]


def exact_columns(
    rows: int, base: int, low: int, row: Ints, t: Ints, dur: Ints, info: Ints, rank: Ints
) -> bytes:
    """Columns of a chunk from `base` ns and rank `low` on: rows, gap, duration, info, gap of the rank."""
    order = order_of(row)  # events come sorted by their start
    count, gap = _by_row(row[order], t[order], base, 1, rows)
    of_rank = zigzag(np.diff(rank[order], prepend=low))
    return b"".join(map(planes, (count, gap, dur[order], info[order], of_rank)))


def block_chunks(level: int, rows: int, width: int, blocks: Blocks) -> Iterator[Chunk]:
    """Blocks of one level, to 1/64 of its width, made as they are asked for."""
    order = np.argsort(blocks.t0, kind="stable")
    for low in range(0, len(blocks), CHUNK):
        mine = order[low : low + CHUNK]
        head = block_head(level, width, blocks.t0[mine], blocks.t1[mine])
        columns = (blocks.row, blocks.t0, blocks.t1, blocks.count, blocks.busy, blocks.info)
        body = block_columns(rows, int(head[2]), int(head[5]), *(column[mine] for column in columns))
        yield Chunk(head, deflated(body))


def block_head(level: int, width: int, t0: Ints, t1: Ints) -> list[int | str]:
    return ["M", level, int(t0.min()), int(t1.max()), len(t0), max(1, width // 64), 0, 0]


def block_columns(
    rows: int, base: int, unit: int, row: Ints, t0: Ints, t1: Ints, count: Ints, busy: Ints, info: Ints
) -> bytes:
    """Columns of a chunk of blocks: rows, gap, length, count, busy in 1/255, info."""
    order = order_of(row)
    of_row, gap = _by_row(row[order], t0[order], base, unit, rows)
    length = -(-(t1 - t0) // unit)
    share = np.clip(busy.astype(np.int64) * 255 // np.maximum(1, t1 - t0), 1, 255)
    return b"".join(map(planes, (of_row, gap, length[order], count[order], share[order], info[order])))
