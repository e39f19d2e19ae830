"""Columns of integers as text in the page: byte planes, deflate, base64.

A column of n values is one byte with the number of planes, then the planes: the lowest byte of every value,
the next byte of every value, and so on, little-endian, without the planes that are zero throughout.
Neighbouring starts differ by little, so the high planes are nearly constant and deflate removes them.
`data.js` is the reader.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass

import numpy as np

from tftrace.views.timeline.columns import Ints
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


def exact_chunks(level: int, rows: int, row: Ints, t: Ints, dur: Ints, info: Ints, rank: Ints) -> list[Chunk]:
    """Events of one duration class, input sorted by t. Columns: rows, gap, duration, info, gap of the
    rank."""
    out = []
    for low in range(0, len(t), CHUNK):
        cut = slice(low, low + CHUNK)
        order = np.lexsort((t[cut], row[cut]))
        r, s, d, i, e = (column[cut][order] for column in (row, t, dur, info, rank))
        base = int(s.min())
        count, gap = _by_row(r, s, base, 1, rows)
        head: list[int | str] = ["E", level, base, int((s + d).max()), len(r), 1, int(e.min()), int(e.max())]
        out.append(Chunk(head, text(count, gap, d, i, zigzag(np.diff(e, prepend=int(e.min()))))))
    return out


def block_chunks(level: int, rows: int, width: int, blocks: Blocks) -> list[Chunk]:
    """Blocks of one level, to 1/64 of its width. Columns: rows, gap, length, count, busy in 1/255, info."""
    unit = max(1, width // 64)
    order = np.argsort(blocks.t0, kind="stable")
    out = []
    for low in range(0, len(blocks), CHUNK):
        mine = order[low : low + CHUNK]
        mine = mine[np.lexsort((blocks.t0[mine], blocks.row[mine]))]
        t0, t1 = blocks.t0[mine], blocks.t1[mine]
        base = int(t0.min())
        count, gap = _by_row(blocks.row[mine], t0, base, unit, rows)
        length = -(-(t1 - t0) // unit)
        busy = np.clip(blocks.busy[mine] * 255 // np.maximum(1, t1 - t0), 1, 255)
        head: list[int | str] = ["M", level, base, int(t1.max()), len(mine), unit, 0, 0]
        out.append(Chunk(head, text(count, gap, length, blocks.count[mine], busy, blocks.info[mine])))
    return out
