"""Names for code addresses that were recorded in another process, found after it has ended.

The process's memory map says which file lay where; the file's symbol table says which function an address
is in.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from tftrace.errors import InputError
from tftrace.ingest.cxx_names import short_name
from tftrace.ingest.elf import U64, ElfError, ElfFunctions, functions_of

__all__ = ["NO_FILE", "Symbol", "Symbolizer", "demangle", "short_name"]

NO_FILE = "(code without a file)"
"""Function of an address in memory that no file backs: code made at run time (oneDNN, XLA, an interpreter's
JIT)."""

_LINE = re.compile(
    r"(?P<start>[0-9a-f]{1,16})-(?P<end>[0-9a-f]{1,16}) (?P<flags>[-r][-w][-x][-ps]) "
    r"(?P<offset>[0-9a-f]{1,16}) [0-9a-f]+:[0-9a-f]+ [0-9]+ *(?P<path>.*)"
)
_ESCAPE = re.compile(r"\\012")
_DELETED = " (deleted)"
_LONGEST_MANGLED = 1 << 14


@dataclass(frozen=True)
class Symbol:
    """What an address is.

    `function`: demangled name, None where the file does not tell (`reason` says why); `module`: path of the
    file, None for code without a file; `offset`: bytes from the start of the function, or where there is
    none from the file offset 0; `raw`: the name as the linker knows it.
    """

    function: str | None
    module: str | None
    offset: int
    raw: str | None
    reason: str | None = None


@dataclass(frozen=True)
class _Mapping:
    start: int
    end: int
    offset: int
    executable: bool
    path: str


class Symbolizer:
    """Resolves addresses of the process whose `/proc/self/maps` is `maps_text`.

    Raises InputError where the text holds no line of a memory map at all.
    """

    def __init__(self, maps_text: str) -> None:
        mappings = []
        for line in maps_text.splitlines():
            match = _LINE.fullmatch(line)
            if match is None:
                continue  # the last line of a process that was killed may be cut off
            start, end, offset = (int(match[key], 16) for key in ("start", "end", "offset"))
            path = _ESCAPE.sub("\n", match["path"])
            mappings.append(_Mapping(start, end, offset, match["flags"][2] == "x", path))
        if not mappings and maps_text.strip():
            raise InputError(
                "memory map: no line of /proc/self/maps in it: was maps.txt changed or replaced?"
            )
        self._mappings = sorted(mappings, key=lambda m: m.start)
        self._start: U64 = np.array([m.start for m in self._mappings], np.uint64)
        self._known: dict[int, Symbol] = {}

    def resolve(self, addresses: U64) -> list[Symbol]:
        """One Symbol an address, in the same order. `addresses`: uint64 array of return addresses.

        A return address is the instruction after a call, which may already be another function when the
        call never returns: each is looked up one byte before. Raises nothing: what cannot be told has a
        `reason`.
        """
        values = np.asarray(addresses, np.uint64)
        distinct = np.unique(values)
        unknown = np.array([a for a in distinct.tolist() if a not in self._known], np.uint64)
        if len(unknown):
            self._look_up(unknown)
        return [self._known[a] for a in values.tolist()]

    def _look_up(self, addresses: U64) -> None:
        at = addresses - (addresses > 0).astype(np.uint64)
        index = np.searchsorted(self._start, at, "right").astype(np.int64) - 1
        for each in np.unique(index).tolist():
            some = np.flatnonzero(index == each)
            mapping = self._mappings[each] if each >= 0 else None
            within = [] if mapping is None else [i for i in some.tolist() if int(at[i]) < mapping.end]
            for i in set(some.tolist()) - set(within):
                address = int(addresses[i])
                self._known[address] = Symbol(None, None, address, None, "not in the memory map")
            if mapping is not None and within:
                self._in_mapping(each, addresses[within], at[within])

    def _in_mapping(self, number: int, addresses: U64, at: U64) -> None:
        mapping = self._mappings[number]
        offsets = at - np.uint64(mapping.start) + np.uint64(mapping.offset)
        if not mapping.path.startswith("/"):
            for address, offset in zip(addresses.tolist(), offsets.tolist(), strict=True):
                if mapping.path.startswith("["):
                    self._known[address] = Symbol(None, mapping.path, offset + 1, None, "not a file")
                else:
                    self._known[address] = Symbol(NO_FILE, None, address - mapping.start, None)
            return
        module = mapping.path.removesuffix(_DELETED)
        try:
            functions = self._functions(number, mapping, module)
        except ElfError as error:
            for address, offset in zip(addresses.tolist(), offsets.tolist(), strict=True):
                self._known[address] = Symbol(None, module, offset + 1, None, str(error))
            return
        loaded, known = functions.addresses(offsets)
        index = np.where(known, functions.find(loaded), -1)
        names: dict[int, tuple[str, str]] = {}
        starts = functions.start
        rows = zip(addresses.tolist(), offsets.tolist(), loaded.tolist(), index.tolist(), strict=True)
        for address, offset, where, i in rows:
            if i < 0:
                self._known[address] = Symbol(None, module, offset + 1, None, "no symbol covers it")
                continue
            if i not in names:
                raw = functions.name(i)
                names[i] = (demangle(raw), raw)
            self._known[address] = Symbol(names[i][0], module, where + 1 - int(starts[i]), names[i][1])

    def _functions(self, index: int, mapping: _Mapping, module: str) -> ElfFunctions:
        """Functions of the file of a mapping. Raises ElfError where it is not the file that was mapped."""
        if mapping.path.endswith(_DELETED):
            raise ElfError("the file was deleted or replaced during the run")
        functions = functions_of(module)
        if mapping.executable:
            first, end = self._extent(index)
            if not functions.holds(first, end):
                raise ElfError("the file has changed since the run")
        return functions

    def _extent(self, index: int) -> tuple[int, int]:
        """File offsets of the executable segment that a mapping belongs to.

        A process may split a segment by changing the protection of some of its pages: its parts lie next to
        each other, in memory as in the file.
        """
        first = last = index

        def joined(a: _Mapping, b: _Mapping) -> bool:
            return a.path == b.path and a.end == b.start and a.offset + a.end - a.start == b.offset

        rows = self._mappings
        while first > 0 and rows[first - 1].executable and joined(rows[first - 1], rows[first]):
            first -= 1
        while last + 1 < len(rows) and rows[last + 1].executable and joined(rows[last], rows[last + 1]):
            last += 1
        return rows[first].offset, rows[last].offset + rows[last].end - rows[last].start


class _Demangler:
    """`__cxa_demangle` of one C++ runtime. Raises OSError or AttributeError where there is no such
    runtime."""

    def __init__(self, library: str) -> None:
        self._demangle = ctypes.CDLL(library)["__cxa_demangle"]
        self._demangle.restype = ctypes.c_void_p
        self._demangle.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        self._free = ctypes.CDLL(None).free
        self._free.argtypes = [ctypes.c_void_p]

    def __call__(self, raw: bytes) -> bytes | None:
        pointer = self._demangle(raw, None, None, None)
        if not pointer:
            return None
        try:
            return ctypes.string_at(pointer)
        finally:
            self._free(pointer)


@cache
def _demangler() -> _Demangler | None:
    """The C++ runtime of this machine, None where there is none."""
    for library in ("libstdc++.so.6", "libc++abi.so.1"):
        try:
            return _Demangler(library)
        except (OSError, AttributeError):
            continue
    return None


@lru_cache(maxsize=1 << 17)
def demangle(raw: str) -> str:
    """The C++ name behind a linker name; the name itself where it is no C++ or no C++ runtime is at hand."""
    if not raw.startswith(("_Z", "__Z")) or len(raw) > _LONGEST_MANGLED:
        return raw
    call = _demangler()
    plain, dot, suffix = raw.partition(
        "."
    )  # `.cold`, `.isra.0`: parts and copies of a function that the compiler made
    found = call(plain.encode()) if call is not None else None
    if found is None:
        return raw
    return found.decode("utf-8", "replace") + (f" [clone {dot}{suffix}]" if dot else "")
