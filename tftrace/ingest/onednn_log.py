"""Reader of a file with oneDNN's verbose lines (`ONEDNN_VERBOSE`), among whatever else was printed there.

The grammar of a line stands in `onednn_line`. A line tells when it began only under ONEDNN_VERBOSE_TIMESTAMP=1
(oneDNN 2.0 on); it tells no process and no thread.

A program runs the same primitives over and over: lines that differ in their times alone are of one form, which is read
once. Times are taken out of the text of many lines together. Where a line's times are written in another way
than oneDNN's `%f` and `%g` without exponent do it, the line is read by itself, with the same outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.errors import InputError
from tftrace.ingest.onednn_line import MARKERS, VerboseLine, parse_line
from tftrace.ingest.recorded_file import Pieces
from tftrace.ingest.text_columns import Bool, Bytes, Int, begins, decimals, padded, quotients, texts_by_number
from tftrace.store.pages import Pages

NAME: Final = "onednn_log"
TITLE: Final = "oneDNN verbose log"
NONE: Final = -1
PIECE: Final = 1 << 21
ROWS: Final = 1 << 18
"""Lines that are looked at together."""

Float = npt.NDArray[np.float64]
_COMMA: Final = ord(",")


@dataclass(frozen=True)
class OneDnnLog:
    """The lines of one log that are oneDNN's, in order: arrays with one element a line, but for those of the header.

    `form` is a code into `forms`, lines without timestamp and duration; `timestamp_ns` as in `VerboseLine`, -1 where
    the line has none; `ms` its duration, NaN where it has none. `information` are the lines of the header with how many
    lines stand before each; `other` counts the lines that are no line of oneDNN and not blank.
    """

    path: Path
    forms: list[VerboseLine]
    form: npt.NDArray[np.int32]
    timestamp_ns: Int
    ms: Float
    information: list[tuple[int, VerboseLine]]
    other: int
    cut: str | None
    pages: Pages  # what holds the arrays

    def __len__(self) -> int:
        return len(self.form)

    def slices(self) -> Iterator[slice]:
        """All lines, some at a time; what was looked at of the arrays leaves memory after each."""
        for first in range(0, len(self), ROWS):
            yield slice(first, min(first + ROWS, len(self)))
            self.pages.give_back()

    def lines(self) -> Iterator[VerboseLine]:
        """Each with its times, written in the shortest way."""
        for form, at, ms in zip(
            self.form.tolist(), self.timestamp_ns.tolist(), self.ms.tolist(), strict=True
        ):
            when = None if at == NONE else f"{at // 1_000_000}.{at % 1_000_000:06d}"
            yield replace(self.forms[form], timestamp=when, ms_text=None if ms != ms else repr(ms))


def sniff(path: Path, head: bytes) -> bool:
    """Whether one of the first lines is oneDNN's."""
    return any(line.startswith(tuple(m.encode() + b"," for m in MARKERS)) for line in head.split(b"\n"))


def read(path: Path) -> OneDnnLog:
    """Reads a log, plain or compressed. Raises InputError where it cannot be read or holds no line of oneDNN."""
    pieces = Pieces(path, PIECE)
    scan = _Scan()
    for piece in pieces.lines():
        scan.take(piece)
    log = scan.log(path, pieces.cut)
    if not len(log) and not log.information:
        raise InputError(f"{path}: holds no line of oneDNN; record it with ONEDNN_VERBOSE=1")
    return log


def parse_log(data: bytes, path: Path = Path("(memory)"), cut: str | None = None) -> OneDnnLog:
    """The same of bytes. Raises nothing."""
    scan = _Scan()
    scan.take(data)
    return scan.log(path, cut)


class _Scan:
    """One pass over a log, piece by piece."""

    def __init__(self) -> None:
        self.forms: list[VerboseLine] = []
        self.codes: dict[VerboseLine, int] = {}
        self.known: dict[
            tuple[bool, bool, bytes, bytes], int
        ] = {}  # NONE: lines of this form are read one by one
        self.pages = Pages()
        self.columns = [self.pages.column(kind) for kind in (np.int32, np.int64, np.float64)]
        self.information: list[tuple[int, VerboseLine]] = []
        self.count = self.other = 0

    def log(self, path: Path, cut: str | None) -> OneDnnLog:
        form, when, ms = (column.array() for column in self.columns)
        return OneDnnLog(path, self.forms, form, when, ms, self.information, self.other, cut, self.pages)

    def take(self, data: bytes) -> None:
        """A piece that ends where a line does."""
        raw = padded(data)
        text = raw[: len(data)]
        marks = np.flatnonzero((text == 10) | (text == _COMMA))
        newline = np.flatnonzero(text[marks] == 10)
        if not data.endswith(b"\n"):
            marks, newline = np.append(marks, len(data)), np.append(newline, len(marks))
        last = marks[newline]
        first = np.concatenate(([0], last[:-1] + 1))
        comma = np.concatenate(([0], newline[:-1] + 1))  # the first of each line, in `marks`
        commas = newline - comma
        last = _without_returns(raw, first, last)
        ours = np.zeros(len(first), np.bool_)
        for marker in MARKERS:
            ours |= begins(raw, np.minimum(first, len(data)), marker.encode() + b",") & (commas > 0)
        self._count_others(data, raw, first[~ours], last[~ours])
        mine = np.flatnonzero(ours)
        if len(mine):
            self._lines(data, raw, first[mine], last[mine], marks, comma[mine], commas[mine])

    def _count_others(self, data: bytes, raw: Bytes, first: Int, last: Int) -> None:
        some = last > first
        first, last = first[some], last[some]
        printed = (raw[first] > 32) & (raw[first] < 127)
        self.other += int(printed.sum())
        for a, b in zip(first[~printed].tolist(), last[~printed].tolist(), strict=True):
            self.other += bool(data[a:b].decode("utf-8", "replace").strip())

    def _lines(
        self, data: bytes, raw: Bytes, first: Int, last: Int, marks: Int, comma: Int, commas: Int
    ) -> None:  # fmt: skip
        """Lines that begin with a marker; `comma` is the place of the first comma of each in `marks`."""
        token = marks[comma] + 1
        # the format's version, of one digit, is told by what stands before the timestamp
        two = (
            (raw[token] == ord("v"))
            & _in(raw[token + 1], "1", "9")
            & (raw[token + 2] == _COMMA)
            & (commas > 1)
        )
        begin = np.where(two, token + 3, token)
        behind = comma + 1 + two  # the comma behind the timestamp
        more = commas > 1 + two
        ended = np.where(more, marks[np.minimum(behind, len(marks) - 1)], last)
        number, digits, is_number = decimals(raw, begin, ended)
        whole = number // _power(digits)
        timed = is_number & more & (digits <= 6) & (whole < 1 << 43)  # ms: hundreds of years
        digits = np.where(timed, digits, 0)
        rest = number - whole * _power(digits)
        when = (whole * np.uint64(10**6) + rest * _power(6 - digits)).astype(np.int64)
        body = np.where(timed, ended + 1, begin)
        tail = marks[comma + commas - 1]
        number, digits, is_number = decimals(raw, tail + 1, last)
        ms, exact = quotients(number, digits)
        lasted = is_number & exact & (tail >= body)
        # what may be a number and was not read as one: the line is read by itself
        careful = _in(raw[begin], "0", "9") & ~timed
        careful |= _in(raw[tail + 1], "0", "9") & ~lasted & (tail + 1 < last)
        stop = np.where(lasted, tail, last)
        form = np.full(len(first), NONE, np.int64)
        plain = np.flatnonzero(~careful)
        if len(plain):
            form[plain] = self._known(
                data, first[plain], begin[plain], body[plain], stop[plain], timed[plain], lasted[plain]
            )
        when[~timed] = NONE
        ms[~lasted] = np.nan
        kept = np.ones(len(form), np.bool_)
        for n in np.flatnonzero(form == NONE).tolist():
            line = parse_line(data[first[n] : last[n]].decode("utf-8", "replace"))
            assert line is not None  # it has a marker and a comma
            if line.kind == "info":
                self.information.append((self.count + int(kept[:n].sum()), line))
                kept[n] = False
                continue
            form[n] = self._code(line)
            at = line.timestamp_ns
            when[n] = NONE if at is None or at >= 1 << 63 else at  # hundreds of years from now: damaged
            ms[n] = np.nan if line.ms is None else line.ms
        self.count += int(kept.sum())
        for column, values in zip(self.columns, (form, when, ms), strict=True):
            column.add(values[kept])

    def _known(
        self, data: bytes, first: Int, begin: Int, body: Int, stop: Int, timed: Bool, lasted: Bool
    ) -> Int:  # fmt: skip
        """The form of each line, whose text without times stands from `first` to `begin` and from `body` to `stop`."""
        heads, head = texts_by_number(data, first, begin)
        texts, text = texts_by_number(data, body, stop)
        key = ((texts * len(head) + heads) * 2 + timed) * 2 + lasted
        _, where, of = np.unique(key, return_index=True, return_inverse=True)
        codes = np.empty(len(where), np.int64)
        for n in np.argsort(where).tolist():
            at = where[n]
            codes[n] = self._form(
                head[int(heads[at])], text[int(texts[at])], bool(timed[at]), bool(lasted[at])
            )
        return np.asarray(codes[of], np.int64)

    def _form(self, head: bytes, body: bytes, timed: bool, lasted: bool) -> int:
        """The code of lines of this text; NONE where they have to be read one by one."""
        known = (timed, lasted, head, body)
        code = self.known.get(known)
        if code is None:
            text = b"".join((head, b"0," if timed else b"", body, b",0" if lasted else b""))
            line = parse_line(text.decode("utf-8", "replace"))
            assert line is not None
            told = ((line.timestamp is not None) == timed, (line.ms_text is not None) == lasted)
            alone = line.kind == "info" or not all(told) or (lasted and line.rest != ())
            code = self.known[known] = NONE if alone else self._code(line)
        return code

    def _code(self, line: VerboseLine) -> int:
        bare: Any = replace(line, timestamp=None, ms_text=None)
        code = self.codes.setdefault(bare, len(self.forms))
        if code == len(self.forms):
            self.forms.append(bare)
        return code


def _in(byte: Bytes, low: str, high: str) -> Bool:
    return (byte >= ord(low)) & (byte <= ord(high))


def _power(exponent: Int) -> npt.NDArray[np.uint64]:
    return np.asarray(np.uint64(10) ** exponent.astype(np.uint64))


def _without_returns(raw: Bytes, first: Int, last: Int) -> Int:
    """Where the lines end, carriage returns before their end left out."""
    while True:
        ends = (last > first) & (raw[last - 1] == 13)
        if not ends.any():
            return last
        last = last - ends
