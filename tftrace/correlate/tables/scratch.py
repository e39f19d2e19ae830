"""Columns that are written once and read a slice at a time, on disk as soon as they are many.

A table grows chunk by chunk. Chunks that are in order themselves are read in the order of all of them by `merged`: what
is in memory then is a slice, however long the table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.errors import UsageError
from tftrace.store.pages import read_whole, write_whole

Array = npt.NDArray[Any]

IN_MEMORY: Final = 1 << 25
"""Bytes from which on columns go to disk."""
_SAMPLED: Final = 1 << 12
_AHEAD: Final = 1 << 15


class Scratch:
    """A file without a name that holds columns; it is gone with the process, however that ends."""

    def __init__(self, directory: Path | None = None, in_memory: int = IN_MEMORY) -> None:
        self._directory, self._left = directory, in_memory
        self._file: IO[bytes] | None = None
        self._end = 0

    def keep(self, values: Array) -> Kept:
        """Raises UsageError where the disk is full."""
        if single(values) or values.nbytes <= self._left:
            self._left -= 0 if single(values) else values.nbytes
            return Kept(values)
        self._left = 0
        values = np.ascontiguousarray(values)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115
            at = self._end
            self._file.seek(at)
            write_whole(self._file, values)
        except OSError as error:
            where = self._directory or tempfile.gettempdir()
            raise UsageError(
                f"{where}: what is joined cannot be written there: {error.strerror}; make room"
            ) from error
        self._end += values.nbytes
        return Kept(None, self._file, at, values.dtype, len(values))


class Kept:
    """One column, in memory or in a file."""

    def __init__(
        self,
        values: Array | None,
        file: IO[bytes] | None = None,
        at: int = 0,
        dtype: Any = None,
        count: int = 0,
    ) -> None:
        self._values, self._file, self._at, self._dtype = values, file, at, dtype
        self._count = count if values is None else len(values)

    def __len__(self) -> int:
        return self._count

    @property
    def one(self) -> int | None:
        """The value that all rows have in common, where it is kept as one."""
        return (
            int(self._values[0]) if self._values is not None and len(self) and single(self._values) else None
        )

    def read(self, first: int, last: int) -> Array:
        if self._values is not None:
            return self._values[first:last]
        out = np.empty(max(min(last, self._count) - first, 0), self._dtype)
        assert self._file is not None
        self._file.seek(self._at + first * out.itemsize)
        read_whole(self._file, out)
        return out

    def whole(self) -> Array:
        return self.read(0, self._count)


Columns = Mapping[str, Kept]


def in_order(key: Array, tie: Array) -> npt.NDArray[np.int64]:
    """The rows by `key`, and by `tie` where that is equal: fast where they are nearly in that order."""
    order = np.argsort(key, kind="stable")
    key, tie = key[order], tie[order]
    same = key[1:] == key[:-1]
    if (tie[1:] < tie[:-1])[same].any():
        some = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
        order[some] = order[some[np.lexsort((tie[some], key[some]))]]
    return order


def single(values: Array) -> bool:
    """Whether one value stands for all rows."""
    return values.strides == (0,)


def narrow(values: Array) -> Array:
    """Numbers of 64 bits in 32, where they fit."""
    if values.dtype != np.int64 or single(values) or not len(values):
        return values
    bounds = np.iinfo(np.int32)
    return values.astype(np.int32) if values.min() >= bounds.min and values.max() <= bounds.max else values


def concatenated(parts: Sequence[Array]) -> Array:
    """The parts as one column; one value that all of them have in common stays one value."""
    filled = [part for part in parts if len(part)]
    if filled and all(single(part) and part[0] == filled[0][0] for part in filled):
        return np.broadcast_to(filled[0][0], sum(map(len, filled)))
    if len(filled) == 1:
        return filled[0]
    return np.concatenate(filled) if filled else np.empty(0, np.int64)


def in_turn(chunks: Sequence[Columns], names: Sequence[str], rows: int) -> Iterator[dict[str, Array]]:
    """All rows, one chunk behind the other, in slices of `rows`."""
    return _regrouped(_read_in_turn(chunks, names, rows), names, rows)


def merged(
    chunks: Sequence[Columns], key: str, tie: str, names: Sequence[str], rows: int
) -> Iterator[dict[str, Array]]:
    """All rows in the order of `key`, and of `tie` where that is equal, in slices of `rows`. Each chunk is in that
    order itself.

        chunk   key   tie        key   tie
        a       10    0          10    0
        a       30    1    ->    20    2
        b       20    2          30    1
        b       30    3          30    3
    """
    chunks = [chunk for chunk in chunks if len(chunk[key])]
    return _regrouped(_read_merged(chunks, key, tie, names, rows), names, rows)


def _read_in_turn(chunks: Sequence[Columns], names: Sequence[str], rows: int) -> Iterator[dict[str, Array]]:
    for chunk in chunks:
        count = len(chunk[names[0]])
        for first in range(0, count, rows):
            yield {name: chunk[name].read(first, first + rows) for name in names}


def _read_merged(
    chunks: Sequence[Columns], key: str, tie: str, names: Sequence[str], rows: int
) -> Iterator[dict[str, Array]]:
    if not chunks:
        return
    if len(chunks) == 1:
        yield from _read_in_turn(chunks, names, rows)
        return
    bounds = _bounds(chunks, key, max(rows // 8, 1))
    at = [0] * len(chunks)
    begins = [int(chunk[key].read(0, 1)[0]) for chunk in chunks]
    ahead = [_Ahead(chunk[key]) for chunk in chunks]
    left = list(range(len(chunks)))  # those of which not all was read
    for bound in bounds:
        parts = []
        for n in [n for n in left if bound is None or begins[n] < bound]:
            chunk = chunks[n]
            behind = len(chunk[key]) if bound is None else ahead[n].place(at[n], bound)
            if behind > at[n]:
                parts.append((chunk, at[n], behind))
                at[n] = behind
            if behind == len(chunk[key]):
                left.remove(n)
                ahead[n].forget()
        if not parts:
            continue
        found = {
            name: concatenated([chunk[name].read(first, last) for chunk, first, last in parts])
            for name in dict.fromkeys((*names, key, tie))
        }
        if len(parts) > 1 and not _sorted(found[key], found[tie]):
            order = in_order(found[key], found[tie])
            found = {name: values if single(values) else values[order] for name, values in found.items()}
        yield {name: found[name] for name in names}


def _sorted(key: Array, tie: Array) -> bool:
    """Whether each row lies behind the one before it."""
    return bool(((key[1:] > key[:-1]) | ((key[1:] == key[:-1]) & (tie[1:] >= tie[:-1]))).all())


class _Ahead:
    """Where in an ascending column values begin, looked for from a place on."""

    def __init__(self, column: Kept) -> None:
        self._column = column
        self._first, self._values = 0, column.read(0, 0)

    def forget(self) -> None:
        self._first, self._values = 0, self._column.read(0, 0)

    def place(self, at: int, bound: int) -> int:
        """The first row from `at` on whose value is not below `bound`."""
        while True:
            if not self._first <= at < self._first + len(self._values):
                self._first, self._values = at, self._column.read(at, at + _AHEAD)
            found = int(np.searchsorted(self._values, bound))
            at = max(self._first + found, at)
            if at < self._first + len(self._values) or at >= len(self._column):
                return at


def _bounds(chunks: Sequence[Columns], key: str, rows: int) -> list[int | None]:
    """Values of the key between which lie about so many rows; None, last, is behind all."""
    step = max(min(_SAMPLED, rows // (2 * len(chunks))), 1)
    samples: list[Array] = []
    for chunk in chunks:
        column = chunk[key]
        block = step * 1024
        for first in range(0, len(column), block):
            samples.append(column.read(first, first + block)[::step])
    values = np.sort(np.concatenate(samples), kind="stable")
    edges: list[int | None] = [
        int(v) for v in np.unique(values[max(rows // step, 1) :: max(rows // step, 1)])
    ]
    return [*edges, None]


def _regrouped(
    parts: Iterator[dict[str, Array]], names: Sequence[str], rows: int
) -> Iterator[dict[str, Array]]:
    """The same rows in slices of exactly `rows`, but for the last."""
    waiting: list[dict[str, Array]] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part[names[0]])
        if count < rows:
            continue
        whole = {name: concatenated([p[name] for p in waiting]) for name in names}
        for first in range(0, count - rows + 1, rows):
            yield {name: values[first : first + rows] for name, values in whole.items()}
        left = count % rows
        waiting = [{name: values[count - left :] for name, values in whole.items()}] if left else []
        count = left
    if count:
        yield {name: concatenated([p[name] for p in waiting]) for name in names}
