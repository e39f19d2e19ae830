"""Lines of what executors log (grammar in `executor_log`), those of a piece together: numbers, and each text once.

What is not worded as TensorFlow words nearly all of them is left to be read by itself.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from tftrace.ingest.text_columns import Bool, Bytes, Int, leading, texts_by_number, windows

BEGUN, ENDED, ENDED_ELSEWHERE = range(3)
"""A node begins; it ends on the thread it began on; it ends on any."""

_BLOCK: Final = 32
_PAD: Final = 64
_DIGITS: Final = 18
_WORDS: Final = (b"Process node: ", b"Synchronous kernel done: ", b"Async kernel done: ")
_TENSOR: Final = b"__LOG_MEMORY__ MemoryLogTensorOutput "
_STEP: Final = b"step_id: "
_REST: Final = b"allocation_description"


class Runs(NamedTuple):
    """Lines that tell of nodes. `row` is the line's place, `text` the number of what stands behind the step."""

    row: Int
    kind: Int
    tid: Int
    t: Int
    step: Int
    number: Int
    text: Int
    texts: list[bytes]


class Tensors(NamedTuple):
    """Lines that tell of tensors. `head` and `tail` are numbers of what stands before the step and behind it."""

    row: Int
    step: Int
    head: Int
    heads: list[bytes]
    tail: Int
    tails: list[bytes]


class Lines(NamedTuple):
    runs: Runs
    tensors: Tensors
    odd: list[tuple[int, bytes]]  # place and text of the others
    first: Int  # where each line begins and ends
    last: Int


def lines_in(data: bytes, offset: int) -> Lines:
    """The lines of a text that ends where one does; it stands in its file from `offset` on."""
    raw = np.frombuffer(data + bytes(_PAD), np.uint8)
    last = np.flatnonzero(raw[: len(data)] == ord("\n"))
    after = np.append(0, last[:-1] + 1)[: len(last)]
    zeros = np.flatnonzero(raw[: len(data)] == 0)
    # a line begins a block, and zeros fill up the one before
    first = np.minimum(after + -(after + offset) % _BLOCK, last)
    padding = np.searchsorted(zeros, first) - np.searchsorted(zeros, after)
    first = np.where(padding == first - after, first, after)
    inside = np.searchsorted(zeros, last) - np.searchsorted(zeros, first)
    (tid, t), begin, fits = leading(raw, first, (_DIGITS, _DIGITS))
    fits &= inside == 0
    ends = np.flatnonzero(raw == ord("]"))
    message, found = _following(ends[raw[ends + 1] == ord(" ")], begin, last)
    fits &= found & (begin < last)
    message = np.where(fits, message + 2, 0)
    kind = np.full(len(last), -1, np.int64)
    at = message
    for number, words in enumerate(_WORDS):
        some = fits & _stands(raw, message, words)
        kind[some], at = number, np.where(some, message + len(words), at)
    plain, runs = _runs(data, raw, np.flatnonzero(kind >= 0), kind, tid, t, at, last)
    tensors = _tensors(data, raw, np.flatnonzero(fits & _stands(raw, message, _TENSOR)), message, last)
    plain[tensors.row] = True
    odd = [(row, data[first[row] : last[row]]) for row in np.flatnonzero(~plain).tolist()]
    return Lines(runs, tensors, odd, first, last)


def _runs(
    data: bytes, raw: Bytes, rows: Int, kind: Int, tid: Int, t: Int, at: Int, last: Int
) -> tuple[Bool, Runs]:
    """Which lines are read, and what they tell."""
    (number,), behind, fits = leading(raw, at[rows], (_DIGITS,))
    fits &= (raw[at[rows]] != ord("0")) | (behind - at[rows] == 2)  # 08 is another node than 8
    fits &= _stands(raw, np.where(fits, behind, 0), b"step ")
    (step,), text, known = leading(raw, np.where(fits, behind + len(b"step "), 0), (_DIGITS,))
    fits &= known & (text <= last[rows])
    rows, number, step, text = rows[fits], number[fits], step[fits], text[fits]
    code, texts = texts_by_number(data, text, last[rows])
    plain = np.zeros(len(last), np.bool_)
    plain[rows] = True
    return plain, Runs(rows, kind[rows], tid[rows], t[rows], step, number, code, texts)


def _tensors(data: bytes, raw: Bytes, rows: Int, message: Int, last: Int) -> Tensors:
    begin = message[rows] + len(_TENSOR)
    at, found = _following(_places(data, _STEP) + len(_STEP), begin, last[rows])
    (step,), behind, fits = leading(raw, np.where(found, at, 0), (_DIGITS,))
    fits &= found & (behind <= last[rows])
    rows, begin, at, step, behind = rows[fits], begin[fits], at[fits], step[fits], behind[fits]
    # where memory was found for a tensor differs each time
    end, found = _following(_places(data, _REST), behind, last[rows])
    head, heads = texts_by_number(data, begin, at)
    tail, tails = texts_by_number(data, behind, np.where(found, end, last[rows]))
    return Tensors(rows, step, head, heads, tail, tails)


def _places(data: bytes, text: bytes) -> Int:
    """Where the text stands."""
    found: list[int] = []
    at = data.find(text)
    while at >= 0:
        found.append(at)
        at = data.find(text, at + 1)
    return np.array(found, np.int64)


def _following(places: Int, begin: Int, end: Int) -> tuple[Int, Bool]:
    """The first of these places, ascending, at or behind each beginning; and whether it lies before each end."""
    at = np.append(places, np.iinfo(np.int64).max)[np.searchsorted(places, begin)]
    return at, at < end


def _stands(raw: Bytes, at: Int, text: bytes) -> Bool:
    """Whether the text stands at each of these places."""
    rows = windows(raw, np.minimum(at, len(raw) - len(text)), len(text))
    return np.asarray((rows == np.frombuffer(text, np.uint8)).all(axis=1), np.bool_)
