"""Reader of the lines of oneDNN that a run wrote whole (`verbose.bin`, format in `tftrace.agent.contract`).

    line := thread " " time " " itt " " text newline        zeros between lines, and where a head was never written

Most primitives are told in `onednn.bin` by their time alone; where that was not possible (a oneDNN before 3.5, more
than a thousand primitives, a user who sees the lines too) every line stands here. The file is read in pieces, and what
lines that differ in their times alone have in common is kept once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tftrace.agent import contract
from tftrace.ingest.text_columns import (
    Bool,
    Bytes,
    Int,
    decimals,
    leading,
    padded,
    quotients,
    texts_by_number,
)

PIECE: Final = 1 << 21

Float = npt.NDArray[np.float64]

_DIGITS: Final = (10, 19, 19)
_LINE: Final = re.compile(rb"(\d{1,10}) (\d{1,19}) (\d{1,19}) ([^\0\n]*)\n")
_EXECUTED: Final = b",exec,"
_VERSION: Final = b",info,oneDNN v"


@dataclass(frozen=True)
class VerboseLines:
    """The lines that tell of a primitive that ran, in the order of the file: arrays with one element a line.

    `block` is the line's place in the file, by which records of the same primitive refer to it, `t` the raw time of its
    end, `itt` the ITT record running then + 1 or 0, `ms` what oneDNN measured, `form` a code into `forms`: the text
    without that time. `version` is that of the header, where one was written; `other` counts the lines that tell
    something else.
    """

    block: Int
    tid: Int
    t: Int
    itt: Int
    ms: Float
    form: npt.NDArray[np.int32]
    forms: list[str]
    version: str | None
    other: int

    def __len__(self) -> int:
        return len(self.block)


def read_verbose(path: Path) -> VerboseLines:
    """The lines that were written whole; none where there is no such file."""
    scan = _Scan()
    for base, piece in _pieces(path):
        scan.take(base, piece)
    return scan.lines()


def version_in(path: Path) -> str | None:
    """oneDNN's version, as the header tells it; None where it was not written."""
    for _, piece in _pieces(path):
        for found in _LINE.finditer(piece) if _VERSION in piece else ():
            if _VERSION in found[4]:
                return _version(found[4])
    return None


def _version(line: bytes) -> str:
    return line.decode("utf-8", "replace").split(",info,oneDNN ", 1)[1].split(" ", 1)[0]


def _pieces(path: Path) -> Iterator[tuple[int, bytes]]:
    """The file in pieces that end behind a newline or a zero, where no line goes on, each with its place."""
    if not path.exists():
        return
    with path.open("rb") as file:
        base, waiting = 0, [b""]
        while piece := file.read(PIECE):
            end = max(piece.rfind(b"\n"), piece.rfind(b"\0")) + 1
            if end:
                data = b"".join((*waiting, piece[:end]))
                yield base, data
                base += len(data)
                waiting = []
            waiting.append(piece[end:])


class _Scan:
    """One pass over the file, piece by piece."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        self.parts: list[tuple[Int, Int, Int, Int, Float, npt.NDArray[np.int32]]] = []
        self.version: str | None = None
        self.other = 0

    def lines(self) -> VerboseLines:
        kinds = (np.int64, np.int64, np.int64, np.int64, np.float64, np.int32)
        block, tid, t, itt, ms, form = (
            np.concatenate([np.empty(0, kind), *(part[i] for part in self.parts)])
            for i, kind in enumerate(kinds)
        )
        return VerboseLines(
            block, tid, t, itt, ms, form.astype(np.int32), list(self.codes), self.version, self.other
        )

    def take(self, base: int, data: bytes) -> None:
        raw = padded(data)
        text = raw[: len(data)]
        apart = (text == 10) | (text == 0)
        edges = np.flatnonzero(np.diff(apart, prepend=True))
        first, last = edges[::2], edges[1::2]
        ended = text[last] == 10
        first, last = first[ended], last[ended]
        (tid, t, itt), begin, whole = leading(raw, first, _DIGITS)
        for n in np.flatnonzero(~whole).tolist():  # damaged, or with something in front of its head
            found = _LINE.search(data, int(first[n]), int(last[n]) + 1)
            if found is not None and all(int(found[i]) < 1 << 63 for i in (1, 2, 3)):
                whole[n], first[n], begin[n] = True, found.start(), found.start(4)
                tid[n], t[n], itt[n] = (int(found[i]) for i in (1, 2, 3))
        if not whole.any():
            return
        first, last, begin = first[whole], last[whole], begin[whole]
        block = (base + first) // contract.VERBOSE_BLOCK + 1
        number, forms, ms, told = self._told(data, raw, begin, last)
        self.other += int((~told).sum())
        of, code = np.unique(number[told], return_index=True)
        codes = np.zeros(len(forms), np.int32)
        for n in of[np.argsort(code)].tolist():  # as they come
            codes[n] = self.codes.setdefault(
                forms[n][:-1].decode("utf-8", "replace"), len(self.codes)
            )  # fmt: skip
        tid, t, itt = tid[whole], t[whole], itt[whole]
        self.parts.append((block[told], tid[told], t[told], itt[told], ms[told], codes[number[told]]))

    def _told(self, data: bytes, raw: Bytes, begin: Int, last: Int) -> tuple[Int, list[bytes], Float, Bool]:
        """Of the texts between these places: what stands up to their last comma, by number, the time behind it, and
        whether both are there, of a primitive that ran."""
        comma = np.flatnonzero(raw[: len(data)] == ord(","))
        tail = np.append(comma, -1)[np.searchsorted(comma, last) - 1]
        parted = tail >= begin
        number, forms = texts_by_number(data, begin, np.where(parted, tail + 1, begin))
        executed = np.array([_EXECUTED in form for form in forms], np.bool_)[number]
        value, digits, is_number = decimals(raw, tail + 1, last)
        ms, exact = quotients(value, digits)
        told = executed & is_number & exact
        for n in np.flatnonzero(executed & ~told).tolist():
            try:
                ms[n] = float(data[tail[n] + 1 : last[n]].decode("utf-8", "replace"))
            except ValueError:
                continue
            told[n] = True
        if self.version is None and _VERSION in data:
            others = ((begin[n], last[n]) for n in np.flatnonzero(~executed).tolist())
            header = next((line for a, b in others if _VERSION in (line := data[a:b])), None)
            self.version = None if header is None else _version(header)
        return number, forms, ms, told
