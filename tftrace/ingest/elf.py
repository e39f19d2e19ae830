"""Function symbols of an ELF file: names by address, read with numpy over a memory map.

Format: System V ABI, 64-bit little-endian ELF. Only what symbols need is read: program headers (which part
of the file is loaded where), section headers, and the symbol table: `.symtab`, or where the file is
stripped `.dynsym`, which knows exported functions only.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_PAGES = (
    1 << 12,
    1 << 14,
    1 << 16,
)  # sizes that 64-bit machines use; which one the process had is not recorded

_SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SYMTAB, _DYNSYM = 2, 11
_FUNC, _IFUNC = 2, 10
_LOAD, _EXECUTE = 1, 1
_LONGEST_NAME = 1 << 16


class ElfError(Exception):
    """The file cannot give symbols; the message says why, in a few words."""


@dataclass(frozen=True)
class Segment:
    """A part of the file that is loaded: `size` bytes from `offset` come to lie at `address` (before
    relocation)."""

    offset: int
    address: int
    size: int
    executable: bool


class ElfFunctions:
    """The functions of one file, sorted by address. Addresses are the file's own, before relocation."""

    def __init__(self, path: str) -> None:
        """Reads headers and symbol table. Raises ElfError: no such file, not 64-bit ELF, damaged, no
        symbols."""
        try:
            # Never a pipe or a device: opening one may block or have effects.
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise ElfError("not a regular file")
            with open(path, "rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise ElfError(getattr(error, "strerror", None) or "empty file") from error
        try:
            self._read()
        except (struct.error, ValueError, IndexError, OverflowError, MemoryError) as error:
            raise ElfError("damaged ELF file") from error

    def _read(self) -> None:
        data = self._data
        if data[:4] != b"\x7fELF":
            raise ElfError("not an ELF file")
        if data[4:6] != b"\x02\x01":
            raise ElfError("not a 64-bit little-endian ELF file")
        segments_at, sections_at = struct.unpack_from("<QQ", data, 0x20)
        segment_size, segment_count, section_size, section_count = struct.unpack_from("<HHHH", data, 0x36)
        headers = [_SEGMENT.unpack_from(data, segments_at + i * segment_size) for i in range(segment_count)]
        self.segments = [
            Segment(offset, address, size, bool(flags & _EXECUTE))
            for kind, flags, offset, address, _, size, _, _ in headers
            if kind == _LOAD
        ]
        if any(max(s.offset, s.address) + s.size >= 1 << 63 for s in self.segments):
            raise ElfError("damaged ELF file")
        sections = [_SECTION.unpack_from(data, sections_at + i * section_size) for i in range(section_count)]
        tables = [s for kind in (_SYMTAB, _DYNSYM) for s in sections if s[1] == kind and s[5]]
        if not tables:
            raise ElfError("no symbol table: the file is stripped")
        _, kind, _, _, offset, size, link, _, _, _ = tables[0]
        self.exported_only = kind == _DYNSYM
        self._names_at: int = sections[link][4]
        if self._names_at >= len(data):
            raise ElfError("damaged ELF file")
        symbols = np.frombuffer(data, _SYMBOL, size // _SYMBOL.itemsize, offset)
        kinds = symbols["info"] & 15
        symbols = symbols[((kinds == _FUNC) | (kinds == _IFUNC)) & (symbols["section"] != 0)]
        # Of several names of one address the global one is the function's own, a local one an alias of the
        # compiler.
        order = np.lexsort(
            (symbols["name"], symbols["size"] == 0, symbols["info"] >> 4 == 0, symbols["value"])
        )
        symbols = symbols[order]
        first = np.ones(len(symbols), bool)
        first[1:] = symbols["value"][1:] != symbols["value"][:-1]
        symbols = symbols[first]
        self.start: U64 = symbols["value"].astype(np.uint64)
        self.size: U64 = symbols["size"].astype(np.uint64)
        self._name: npt.NDArray[np.uint32] = symbols["name"].astype(np.uint32)

    def __len__(self) -> int:
        return len(self.start)

    def addresses(self, file_offsets: U64) -> tuple[U64, npt.NDArray[np.bool_]]:
        """(addresses, known): where these offsets of the file are loaded; not known outside every loaded
        segment."""
        found = np.zeros(len(file_offsets), np.uint64)
        known = np.zeros(len(file_offsets), bool)
        for segment in self.segments:
            inside = (file_offsets >= segment.offset) & (file_offsets < segment.offset + segment.size)
            found[inside] = file_offsets[inside] - np.uint64(segment.offset) + np.uint64(segment.address)
            known |= inside
        return found, known

    def find(self, addresses: U64) -> I64:
        """Index of the function that covers each address, -1 where none does.

        A function of unknown size (written in assembly) reaches to the next one, but not in a stripped
        file, where what follows may be a function without a name.
        """
        if not len(self.start):
            return np.full(len(addresses), -1, np.int64)
        index = np.searchsorted(self.start, addresses, "right").astype(np.int64) - 1
        at = np.maximum(index, 0)
        inside = addresses - self.start[at] < self.size[at]
        if not self.exported_only:
            inside |= self.size[at] == 0
        return np.where((index >= 0) & inside, index, -1)

    def name(self, index: int) -> str:
        """Symbol name of a function, as the linker knows it."""
        begin = self._names_at + int(self._name[index])
        end = self._data.find(b"\0", begin, begin + _LONGEST_NAME)
        raw = self._data[begin : end if end >= 0 else begin + _LONGEST_NAME]
        return raw.decode("utf-8", "replace").partition("@")[0]

    def holds(self, first: int, end: int) -> bool:
        """Whether the file has one executable segment that is mapped as file offsets `first` to `end`, by
        the page.

        A library that was rebuilt or replaced has other code of another size: its names would be wrong.
        """
        return any(
            s.executable
            and s.offset // page * page == first
            and -(-(s.offset + s.size) // page) * page == end
            for s in self.segments
            for page in _PAGES
        )


@lru_cache(maxsize=64)
def _opened(path: str, identity: tuple[int, int, int]) -> ElfFunctions:
    return ElfFunctions(path)


def functions_of(path: str) -> ElfFunctions:
    """The functions of a file, read once in this process for as long as the file stays the same.

    Raises ElfError as `ElfFunctions` does.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise ElfError(getattr(error, "strerror", None) or "no such file") from error
    return _opened(path, (status.st_ino, status.st_size, status.st_mtime_ns))
