"""A recorded file as bytes, whether it lies there plain or compressed (.gz, .xz, .bz2; told by its first bytes).

A compressed file that was cut short gives what can be unpacked of it, and says so.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tftrace.errors import InputError

HEAD: Final = 1 << 16
"""How many bytes, unpacked, a reader is shown of a file to know it by."""

_GZIP_WINDOW: Final = 31  # zlib's code for "gzip header and trailer"
_PACKED: Final[tuple[tuple[bytes, Callable[[], Any]], ...]] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(_GZIP_WINDOW)),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    (b"BZh", bz2.BZ2Decompressor),
)


@dataclass(frozen=True)
class Recorded:
    """`data` as it was before it was compressed; `cut` says what is missing at its end, None where nothing is."""

    data: bytes
    cut: str | None = None


def read_recorded(path: Path) -> Recorded:
    """The whole file. Raises InputError where it cannot be read, is empty, or cannot be unpacked at all."""
    whole = _unpacked(_bytes(path))
    if not whole.data:
        raise InputError(
            f"{path}: is empty or damaged ({whole.cut or 'it unpacks to nothing'}); record it again"
        )
    return whole


def read_head(path: Path) -> bytes:
    """The first bytes, unpacked. Raises InputError where the file cannot be read or is empty."""
    data = _bytes(path, HEAD)
    return _unpacked(data, HEAD).data or data


def _bytes(path: Path, most: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}; check its path and rights"
        ) from None
    if not data:
        raise InputError(f"{path}: is empty; record it again")
    return data


def _unpacked(data: bytes, most: int | None = None) -> Recorded:
    """`data` unpacked where it is compressed, several members one after another too; at most about `most` bytes."""
    make = next((make for magic, make in _PACKED if data.startswith(magic)), None)
    if make is None:
        return Recorded(data)
    magic = next(magic for magic, _ in _PACKED if data.startswith(magic))
    no_limit = 0 if magic == _PACKED[0][0] else -1  # zlib's word for it, and that of the others
    parts: list[bytes] = []
    size = 0
    while data.startswith(magic):
        worker = make()
        try:
            part = worker.decompress(data, no_limit if most is None else most)
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
            # a checksum at the very end, or damage in the middle: what came before it is kept by unpacking in steps
            parts.append(_in_steps(make(), data))
            return Recorded(b"".join(parts), f"the compressed file is damaged: {error}")
        parts.append(part)
        size += len(part)
        if most is not None and size >= most:
            break
        if not worker.eof:
            return Recorded(b"".join(parts), "the compressed file is cut short")
        data = worker.unused_data
    return Recorded(b"".join(parts))


def _in_steps(worker: Any, data: bytes, step: int = 4096) -> bytes:
    parts = []
    for at in range(0, len(data), step):
        try:
            parts.append(worker.decompress(data[at : at + step]))
        except (zlib.error, lzma.LZMAError, OSError, EOFError):
            break
    return b"".join(parts)
