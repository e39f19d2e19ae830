"""Reader of the messages of TensorFlow's log that the native library wrote (`tf_log.bin`, format in
`tftrace.agent.contract`).

    message := thread " " time " " call " " level " " bytes " " text newline    in whole blocks of 32 bytes, then zeros

A message whose head was never written, because the process ended inside, leaves blocks that begin with something else;
these are counted. The file is read in pieces, and a program logs the same again and again: messages that differ in the
time and the thread of their head alone are of one form, so that whoever reads messages has to read few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tftrace.ingest.text_columns import Bytes, Int, leading, texts_by_number, windows

PIECE: Final = 1 << 21

_BLOCK: Final = 32
_DIGITS: Final = (10, 19, 19, 9, 9)
_HEAD: Final = sum(_DIGITS) + len(_DIGITS)
_ROOM: Final = 64
"""Bytes in which time and thread of a message stand."""


@dataclass(frozen=True)
class LogMessages:
    """Messages that TensorFlow logged, some of those of one file: arrays with one element a message.

    `t` is raw, `call` the dispatch record running on the thread + 1 or 0, `level` that of VLOG or -1, `form` a code
    into `forms`, which has the place of the first message of each form, ascending.
    """

    tid: Int
    t: Int
    call: Int
    level: Int
    form: Int
    forms: list[int]
    _data: bytes
    _first: Int
    _last: Int

    def __len__(self) -> int:
        return len(self.t)

    def text(self, at: int) -> bytes:
        """A message with its head."""
        return self._data[self._first[at] : self._last[at]]


class LoggedMessages:
    """The messages of one file in the order they came, in pieces; none where there is no such file.

    `cut`, once they are all taken, counts blocks of messages that were not written whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut = 0

    def __iter__(self) -> Iterator[LogMessages]:
        self.cut = 0
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            held, wanted, ended = b"", PIECE, False
            while not ended:
                piece = file.read(wanted)
                ended = len(piece) < wanted
                data = held + piece
                some, at, missing = self._taken(data, ended)
                if some is not None and len(some):
                    yield some
                held, wanted = data[at:], max(PIECE, missing)

    def _taken(self, data: bytes, ended: bool) -> tuple[LogMessages | None, int, int]:
        """The messages that begin here and are whole, where what follows them begins, and how much is missing to the
        end of that at least."""
        limit = len(data) if ended else len(data) - _HEAD  # behind it a head may be cut off
        if limit <= 0:
            return None, 0, 0
        raw = np.frombuffer(data + bytes(_ROOM), np.uint8)
        block = np.arange(0, limit, _BLOCK)
        at = len(block) * _BLOCK
        digit = block[raw[block] - np.uint8(ord("0")) < 10]
        (tid, t, call, level, length), begin, is_head = leading(raw, digit, _DIGITS)
        first, last = digit[is_head], (begin + length)[is_head]
        end = -(-(last + 1) // _BLOCK) * _BLOCK
        kept, missing = _one_behind_the_other(first, end), 0
        if len(kept) and not ended and end[kept[-1]] > len(data):
            at, missing = int(first[kept[-1]]), int(end[kept[-1]]) - len(data)
            kept = kept[:-1]
        elif len(kept):
            at = max(at, int(end[kept[-1]]))
        written = block[(raw[block] != 0) & (block < at)]
        before = np.searchsorted(first[kept], written, "right") - 1
        self.cut += int((written >= np.append(end[kept], 0)[before]).sum())
        rows = np.flatnonzero(is_head)[kept]
        first, last = begin[rows], np.minimum(last[kept], len(data))
        form, forms = _forms(data, raw, first, last, level[rows])
        return (
            LogMessages(tid[rows], t[rows], call[rows], level[rows] - 1, form, forms, data, first, last),
            at,
            missing,
        )


def _one_behind_the_other(first: Int, end: Int) -> Int:
    """Which of these begin where none of those before them still goes on: a message may hold what looks like one."""
    if (end[:-1] <= first[1:]).all():
        return np.arange(len(first))
    kept, at = [], 0
    for n, (begins, ends) in enumerate(zip(first.tolist(), end.tolist(), strict=True)):
        if begins >= at:
            kept.append(n)
            at = ends
    return np.array(kept, np.int64)


def _forms(data: bytes, raw: Bytes, first: Int, last: Int, level: Int) -> tuple[Int, list[int]]:
    """The form of each message, and the first one of each form."""
    rows = windows(raw, first, _ROOM)
    blank = rows == ord(" ")
    words = np.cumsum(~blank[:, 1:] & blank[:, :-1], axis=1, dtype=np.int8)
    # severity and day, time, thread: digits up to the fourth word say nothing of what happened
    stamp = np.where(words[:, -1:] >= 3, np.argmax(words == 3, axis=1)[:, None] + 1, 0)
    stamp = np.where(first[:, None] + stamp < last[:, None], stamp, 0)
    row, column = np.nonzero((np.arange(_ROOM) < stamp) & (rows - np.uint8(ord("0")) < 10))
    unstamped = np.frombuffer(bytearray(data), np.uint8)
    unstamped[first[row] + column] = ord("0")
    number, texts = texts_by_number(unstamped.tobytes(), first, last)
    key = (level - level.min(initial=0)) * len(texts) + number
    _, at, of = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(at)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.asarray(rank[of], np.int64), at[order].tolist()
