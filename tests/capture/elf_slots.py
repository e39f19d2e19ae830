"""Where a shared library keeps the addresses of the functions it calls, read from the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_JMPREL, _SYMTAB, _STRTAB, _PLTRELSZ = 23, 6, 5, 2


def slots_of(path: str, functions: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """(function, address of its slot relative to the library's base) for each of `functions` that the library calls."""
    with open(path, "rb") as file:
        head = file.read(64)
        start, size, count = *struct.unpack_from("<Q", head, 32), *struct.unpack_from("<HH", head, 54)
        file.seek(start)
        segments = [struct.unpack("<IIQQQQQQ", file.read(size)) for _ in range(count)]
        loads = [(s[3], s[2], s[5]) for s in segments if s[0] == 1]  # address, offset, bytes in the file

        def read(address: int, length: int) -> bytes:
            at, offset, _ = next(s for s in loads if s[0] <= address < s[0] + s[2])
            file.seek(offset + address - at)
            return file.read(length)

        dynamic = next(s for s in segments if s[0] == 2)
        file.seek(dynamic[2])
        tags = dict(struct.iter_unpack("<QQ", file.read(dynamic[5] // 16 * 16)))
        if _JMPREL not in tags:
            return
        for offset, info, _ in struct.iter_unpack("<QQq", read(tags[_JMPREL], tags[_PLTRELSZ])):
            (name,) = struct.unpack("<I", read(tags[_SYMTAB] + 24 * (info >> 32), 4))
            text = read(tags[_STRTAB] + name, 64).split(b"\0", 1)[0].decode()
            if text in functions:
                yield text, offset
