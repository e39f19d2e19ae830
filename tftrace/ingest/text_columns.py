"""Columns out of a piece of text, without a Python object for each line: numbers, and texts by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

MOST_DIGITS: Final = 19
"""Digits of which a number of 64 bits holds any."""
_WIDTH: Final = MOST_DIGITS + 1


def padded(data: bytes) -> Bytes:
    """The bytes, with as many behind them as the functions here look at."""
    return np.frombuffer(data + bytes(_WIDTH), np.uint8)


def windows(raw: Bytes, at: Int, width: int) -> Bytes:
    """The bytes from each place on, in rows."""
    rows = np.lib.stride_tricks.as_strided(raw, (len(raw) - width + 1, width), (1, 1), writeable=False)
    return np.asarray(rows[at])


def begins(raw: Bytes, at: Int, text: bytes) -> Bool:
    """Whether `text`, of at least 8 bytes, stands at each of these places."""
    found = np.ones(len(at), np.bool_)
    for first in (*range(0, len(text) - 8, 8), len(text) - 8):
        word = np.frombuffer(text[first : first + 8], np.uint64)[0]
        found &= windows(raw, at + first, 8).view(np.uint64).reshape(-1) == word
    return found


def decimals(raw: Bytes, first: Int, last: Int) -> tuple[npt.NDArray[np.uint64], Int, Bool]:
    """Of texts such as `12.0345` between these places: all their digits as one number (120345), how many stand behind
    the point, and whether the text is one: digits, with more behind a point where there is one, at most 19 in all."""
    length = last - first
    fits = (length > 0) & (length <= _WIDTH)
    at = np.where(fits, first, 0)
    length = np.where(fits, length, 0)
    number = np.zeros(len(at), np.uint64)
    point = np.full(len(at), -1, np.int64)
    for place in range(int(length.max(initial=0))):  # column by column: quicker than all digits in rows
        byte = raw[at + place]
        inside = place < length
        digit = byte - np.uint8(ord("0"))  # unsigned: what is below "0" is far above
        is_digit = inside & (digit < 10)
        number = np.where(is_digit, number * np.uint64(10) + digit, number)
        is_point = inside & (byte == ord(".")) & (point < 0) & (place > 0)
        point = np.where(is_point, place, point)
        fits &= is_digit | is_point | ~inside
    behind = np.where(point < 0, 0, length - 1 - point)
    fits &= (point < 0) | (behind > 0)
    fits &= length - (point >= 0) <= MOST_DIGITS
    return number, behind, fits


def leading(raw: Bytes, first: Int, most: Sequence[int]) -> tuple[list[Int], Int, Bool]:
    """As many numbers as `most` has, one behind the other from each of these places on, each with a blank behind it and
    of no more digits than `most` says: the numbers, where what follows them begins, and whether all of them are there
    and 63 bits hold each."""
    at, fits = first, np.ones(len(first), np.bool_)
    found = []
    for digits in most:
        number, length = np.zeros(len(at), np.uint64), np.zeros(len(at), np.int64)
        going = fits
        for place in range(min(digits, MOST_DIGITS)):
            digit = raw[at + place] - np.uint8(ord("0"))
            going = going & (digit < 10)
            if not going.any():
                break
            number = np.where(going, number * np.uint64(10) + digit, number)
            length += going
        fits = fits & (length > 0) & (raw[at + length] == ord(" ")) & (number < 1 << 63)
        at = np.where(fits, at + length + 1, first)
        found.append(number.astype(np.int64))
    return found, at, fits


def quotients(number: npt.NDArray[np.uint64], behind: Int) -> tuple[npt.NDArray[np.float64], Bool]:
    """What `decimals` found as the nearest floats, as Python's `float` makes them of the text; and whether it is
    certain that they are: both sides of the division are exact."""
    exact = (number < 1 << 53) & (behind <= 22)
    return number.astype(np.float64) / 10.0 ** np.minimum(behind, 22), exact


def texts(data: bytes, first: Int, last: Int) -> pa.Array:
    """The texts between these places, ascending."""
    edges = np.empty(2 * len(first), np.int32 if len(data) < 1 << 31 else np.int64)
    edges[::2], edges[1::2] = first, last
    kind: Any = pa.binary() if edges.dtype == np.int32 else pa.large_binary()
    whole = pa.Array.from_buffers(
        kind, max(len(edges) - 1, 0), [None, pa.py_buffer(edges), pa.py_buffer(data)]
    )
    return whole.take(pa.array(np.arange(0, len(edges), 2)))


def texts_by_number(data: bytes, first: Int, last: Int) -> tuple[Int, list[bytes]]:
    """The number of each of these, and the texts in the order they came."""
    encoded = texts(data, first, last).dictionary_encode()
    return np.asarray(encoded.indices.to_numpy(), np.int64), encoded.dictionary.to_pylist()
