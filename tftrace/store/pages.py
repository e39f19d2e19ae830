"""Arrays that are larger than memory should hold: in files without a name, mapped, their pages given back on demand.

What is in memory of such an array is what was looked at since `Pages.give_back`; the kernel may take it away earlier.
Where there is no room for a file, or no way to map one, the array is in memory like any other, and all that is lost is
memory.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SMALLEST: Final = 1 << 20
"""Bytes below which an array stays in memory."""
_BLOCK: Final = 1 << 18


class Pages:
    """Makes such arrays, in files of `directory`. They live as long as somebody holds them; the files have no name, and
    are gone with the process, however that ends."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or _spacious()
        self._maps: WeakSet[mmap.mmap] = WeakSet()
        self._full = False

    def column(self, kind: Any) -> Growing:
        """A column that is written from its beginning to its end, and read then."""
        return Growing(self, np.dtype(kind))

    def filled(self, kind: Any, rows: int, value: int) -> Array:
        """An array of `rows` times the same value, to be written to in any order."""
        column = self.column(kind)
        block = np.full(min(rows, _BLOCK), value, kind)
        for first in range(0, rows, _BLOCK):
            column.add(block[: rows - first])
        return column.array(writable=True)

    def pieces(self, array: Array, rows: int) -> Iterator[tuple[int, Array]]:
        """So many rows after the others, each time with the number of the first; what was looked at before is not in
        memory any more."""
        for at in range(0, len(array), rows):
            yield at, array[at : at + rows]
            self.give_back()

    def give_back(self) -> None:
        """No page of any of these arrays is in memory afterwards, until it is looked at again."""
        for one in list(self._maps):
            with suppress(OSError):
                one.madvise(mmap.MADV_DONTNEED)

    def file(self) -> IO[bytes] | None:
        """A new file; None where none can be had."""
        if self._full or not hasattr(mmap.mmap, "madvise"):
            return None
        try:
            return tempfile.TemporaryFile(dir=self._directory, buffering=0)
        except OSError:
            self._full = True
            return None

    def map(self, file: IO[bytes], size: int, writable: bool) -> mmap.mmap | None:
        """The file in memory; None where it cannot be had there."""
        try:
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            made = mmap.mmap(file.fileno(), size, access=access)
        except (OSError, ValueError):
            return None
        self._maps.add(made)
        return made


class Growing:
    """One column while it is written."""

    def __init__(self, pages: Pages, kind: np.dtype[Any]) -> None:
        self._pages, self._kind = pages, kind
        self._file: IO[bytes] | None = None
        self._written = 0  # bytes in the file
        self._waiting: list[Array] = []
        self._bytes = 0  # of those
        self._in_file = True
        self.rows = 0

    def add(self, values: Array) -> None:
        """More rows, which the caller may write over afterwards."""
        values = np.ascontiguousarray(values, self._kind)
        self.rows += len(values)
        if self._in_file and values.nbytes >= _BLOCK and self.rows * self._kind.itemsize >= SMALLEST:
            self._flush()
            self._write(values)
        else:
            self._wait(values.copy())
        if self._in_file and self._bytes >= (_BLOCK if self._written else SMALLEST):
            self._flush()

    def array(self, writable: bool = False) -> Array:
        """All rows. Nothing can be added afterwards."""
        if self._written:
            self._flush()
        if self._written and not self._waiting and self._file is not None:
            mapped = self._pages.map(self._file, self._written, writable)
            if mapped is not None:
                self._file.close()  # the map holds it
                return np.frombuffer(mapped, self._kind)
        return np.concatenate([self._read_back(), *self._waiting])

    def part(self, first: int, last: int) -> Array:
        """Some of the rows, before all of them are there."""
        behind = self._written // self._kind.itemsize  # those that wait
        out = np.empty(last - first, self._kind)
        if self._file is not None and first < behind:
            self._file.seek(first * self._kind.itemsize)
            read_whole(self._file, out[: max(min(last, behind) - first, 0)])
            self._file.seek(self._written)
        if last > behind:
            waiting = np.concatenate(self._waiting)
            out[max(behind - first, 0) :] = waiting[max(first - behind, 0) : last - behind]
        return out

    def _wait(self, values: Array) -> None:
        self._waiting.append(values)
        self._bytes += values.nbytes

    def _flush(self) -> None:
        if self._waiting:
            values = np.concatenate(self._waiting)
            self._waiting, self._bytes = [], 0
            self._write(values)

    def _write(self, values: Array) -> None:
        """To the file, and to memory from the moment on at which that is full."""
        if self._in_file and self._file is None:
            self._file = self._pages.file()
            self._in_file = self._file is not None
        if not self._in_file or self._file is None:
            self._wait(values)
            return
        try:
            write_whole(self._file, values)
        except OSError:
            self._in_file = False
            self._wait(values)
            return
        self._written += values.nbytes

    def _read_back(self) -> Array:
        out = np.empty(self._written // self._kind.itemsize, self._kind)
        if self._file is not None:
            self._file.seek(0)
            read_whole(self._file, out)
            self._file.close()
        return out


def write_whole(file: IO[bytes], values: Array) -> None:
    """The values' bytes where the file, which has no buffer, stands."""
    data = memoryview(values.data).cast("B")
    while data:
        data = data[file.write(data) :]


def read_whole(file: IO[bytes], values: Array) -> None:
    """The bytes from where the file, which has no buffer, stands, into `values`."""
    data = memoryview(values.data).cast("B")
    while data and (read := file.readinto(data)):  # type: ignore[attr-defined]
        data = data[read:]


def _spacious() -> Path | None:
    """Where large temporary files go: as TMPDIR says, else where they are on a disk, if there is such a place, since
    the usual place is memory on many systems."""
    place = Path("/var/tmp")
    return None if os.environ.get("TMPDIR") or not os.access(place, os.W_OK) else place
