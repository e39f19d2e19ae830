"""A small ELF writer: one executable segment, one symbol table."""

import struct
from pathlib import Path

PAGE = 4096
FUNC, OBJECT = 2, 1


def write_elf(
    path: Path,
    functions: list[tuple[str, int, int]],
    *,
    offset: int = PAGE,
    address: int = 3 * PAGE,
    size: int = 2 * PAGE,
    kind: int = FUNC,
    dynamic: bool = False,
) -> None:
    """`functions`: (name, address, size). The segment begins at file `offset`, and is loaded at `address`."""
    names, at = b"\0", []
    for name, _, _ in functions:
        at.append(len(names))
        names += name.encode() + b"\0"
    table = bytes(24) + b"".join(
        struct.pack("<IBBHQQ", n, 1 << 4 | kind, 0, 1, start, length)
        for n, (_, start, length) in zip(at, functions, strict=True)
    )
    table_at = offset + size
    names_at = table_at + len(table)
    sections_at = names_at + len(names)
    sections = [
        bytes(64),
        struct.pack("<IIQQQQIIQQ", 0, 11 if dynamic else 2, 0, 0, table_at, len(table), 2, 0, 8, 24),
        struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, names_at, len(names), 0, 0, 1, 0),
    ]
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 64, sections_at, 0, 64, 56, 1, 64, 3, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, offset, address, address, size, size, PAGE)
    content = (header + segment).ljust(offset, b"\0") + bytes(size) + table + names + b"".join(sections)
    path.write_bytes(content)
