"""A recorded file as bytes, whether it lies there plain or compressed (.gz, .xz, .bz2; told by its first bytes).

A compressed file that was cut short gives what can be unpacked of it, and says so.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from tftrace.errors import InputError

HEAD: Final = 1 << 16
"""How many bytes, unpacked, a reader is shown of a file to know it by."""

PIECE: Final = 1 << 22
"""About how many bytes a reader is handed at once."""
_GZIP_WINDOW: Final = 31  # zlib's code for "gzip header and trailer"
_PACKED: Final[tuple[tuple[bytes, Callable[[], Any]], ...]] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(_GZIP_WINDOW)),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    (b"BZh", bz2.BZ2Decompressor),
)
_LONGEST: Final = max(len(magic) for magic, _ in _PACKED)
_STEP: Final = 1 << 12
"""Packed bytes that are unpacked at once: where the file is damaged, what the last of them held is lost."""


@dataclass(frozen=True)
class Recorded:
    """`data` as it was before it was compressed; `cut` says what is missing at its end, None where nothing is."""

    data: bytes
    cut: str | None = None


class Pieces:
    """A file as pieces of about `size` bytes, unpacked, of which one is in memory at a time; none is empty.

    `cut`, once they are all taken, says what is missing at the end, None where nothing is. Taking them raises
    InputError where the file cannot be read, is empty, or cannot be unpacked at all.
    """

    def __init__(self, path: Path, size: int = PIECE) -> None:
        self.path, self.size = path, size
        self.cut: str | None = None

    def __iter__(self) -> Iterator[bytes]:
        waiting: list[bytes] = []
        held, found = 0, False
        for part in self._parts():
            waiting.append(part)
            held += len(part)
            if held >= self.size:
                yield b"".join(waiting)
                waiting, held, found = [], 0, True
        if held:
            yield b"".join(waiting)
        elif not found:
            raise InputError(
                f"{self.path}: is empty or damaged ({self.cut or 'it unpacks to nothing'}); record it again"
            )

    def lines(self) -> Iterator[bytes]:
        """The same in pieces that end where a line does, but for the last."""
        waiting: list[bytes] = []  # a line that is longer than a piece is not put together piece by piece
        for piece in self:
            end = piece.rfind(b"\n") + 1
            if end:
                yield b"".join((*waiting, piece[:end]))
                waiting = [piece[end:]] if end < len(piece) else []
            else:
                waiting.append(piece)
        if waiting:
            yield b"".join(waiting)

    def _parts(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                at_once = max(min(self.size, PIECE), _LONGEST)
                first = file.read(at_once)
                if not first:
                    raise InputError(f"{self.path}: is empty; record it again")
                make = next((make for magic, make in _PACKED if first.startswith(magic)), None)
                if make is None:
                    while first:
                        yield first
                        first = file.read(at_once)
                else:
                    yield from self._unpacked(file, first, make)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be read: {error.strerror or error}; check its path and rights"
            ) from None

    def _unpacked(self, file: IO[bytes], data: bytes, make: Callable[[], Any]) -> Iterator[bytes]:
        """One member after the other, as long as there is one."""
        magic = next(magic for magic, _ in _PACKED if data.startswith(magic))
        while data.startswith(magic):
            worker, at = make(), 0
            while not worker.eof:
                if len(data) - at < _STEP:
                    data, at = data[at:] + file.read(PIECE), 0
                if at == len(data):
                    self.cut = "the compressed file is cut short"
                    return
                try:
                    part = worker.decompress(data[at : at + _STEP])
                except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
                    self.cut = f"the compressed file is damaged: {error}"
                    return
                at += _STEP
                if part:
                    yield part
            data = worker.unused_data + data[at:]
            if len(data) < _LONGEST:
                data += file.read(PIECE)


def read_recorded(path: Path) -> Recorded:
    """The whole file. Raises InputError where it cannot be read, is empty, or cannot be unpacked at all."""
    pieces = Pieces(path)
    data = b"".join(pieces)
    return Recorded(data, pieces.cut)


def read_head(path: Path) -> bytes:
    """The first bytes, unpacked. Raises InputError where the file cannot be read or is empty."""
    try:
        for piece in Pieces(path, HEAD):
            return piece[:HEAD]
    except InputError:
        pass
    try:
        with path.open("rb") as file:
            data = file.read(HEAD)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}; check its path and rights"
        ) from None
    if not data:
        raise InputError(f"{path}: is empty; record it again")
    return data
