"""The fields of one protobuf message in a file, found without reading what they hold; the grammar stands in `wire`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tftrace.ingest.wire import FIXED32, FIXED64, LENGTH, VARINT, WireError

_HEAD: Final = 20  # bytes of a tag and a length at most


class Field(NamedTuple):
    """`tag` is field number << 3 | wire type; `value` the number (a fixed one as its bits), 0 for bytes."""

    tag: int
    place: int  # where the field begins in the file,
    begin: int  # where its value does,
    end: int  # and where it ends
    value: int


def walk(file: BinaryIO, at: int, end: int) -> Iterator[Field]:
    """The fields of the message at `at` to `end`, in order. The file may be read elsewhere meanwhile.

    Raises WireError where the bytes are no message.
    """
    while at < end:
        file.seek(at)
        head = file.read(min(_HEAD, end - at))
        tag, begin = _varint(head, 0)
        kind, value = tag & 7, 0
        if kind == VARINT:
            value, stop = _varint(head, begin)
        elif kind == LENGTH:
            size, begin = _varint(head, begin)
            stop = begin + size
            if at + stop > end:
                raise WireError("a field longer than the message that holds it")
        elif kind in (FIXED64, FIXED32):
            stop = begin + (8 if kind == FIXED64 else 4)
            value = int.from_bytes(head[begin:stop], "little")
        else:
            raise WireError("a field of unknown wire type")
        if at + stop > end or not 8 <= tag < 1 << 32:
            raise WireError("a message that ends within a field")
        yield Field(tag, at, at + begin, at + stop, value)
        at += stop


def part(file: BinaryIO, begin: int, end: int) -> bytes:
    """The bytes at `begin` to `end`. Raises WireError where the file ends before."""
    file.seek(begin)
    data = file.read(end - begin)
    if len(data) < end - begin:
        raise WireError("the file became shorter while it was read")
    return data


def part_into(file: BinaryIO, begin: int, place: npt.NDArray[np.uint8]) -> None:
    """As many bytes as `place` holds, from `begin` on. Raises WireError where the file ends before."""
    file.seek(begin)
    if file.readinto(place.data) < len(place):  # type: ignore[attr-defined]
        raise WireError("the file became shorter while it was read")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift, byte in zip(range(0, 70, 7), data[at : at + 10], strict=False):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, at + shift // 7 + 1
    raise WireError("a message that ends within a field")
