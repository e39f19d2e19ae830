"""Reader of cuDNN's API log (`CUDNN_LOGLEVEL_DBG` + `CUDNN_LOGDEST_DBG`; before cuDNN 8.5 `CUDNN_LOGINFO_DBG`).

Grammar, with the versions that write it (items in [] may be absent):

    log     := (record | blank line | foreign line)*
    record  := head line* time process
    head    := [prefix] "CuDNN (v" version [" " build] ") function " name "() called:"
               version is major * 1000 + minor * 100 + patch up to cuDNN 8 (v7603, v8204), major * 10000 ..
               from 9 on (v92800); a build number follows from 9 on. NVIDIA's manual spells it "cuDNN".
    prefix  := "I! " | "W! " | "E! ", continued by "i! ", "w! ", "e! "  (level information, warning, error)
             | nothing (records handed to `cudnnSetCallback`, the manual), or what a logger put there
               ("   | ", Julia's box-drawing characters)
    line    := prefix argument      (grammar in `arguments`)
             | text without prefix  (continues the line above: reasons of two lines, cuDNN 9.28), also blank
    time    := prefix "Time: YYYY-mm-ddTHH:MM:SS.ffffff (0d+0h+1m+39s since start)"
    process := prefix "Process=" n "; Thread=" n "; GPU=" (n | "NULL") "; Handle=" word "; StreamId=" word "."

A record ends at its `Process=` line: blank lines stand between records (none or up to three, by version) and,
from 9.28 on, inside them. cuDNN 9 writes two records for most calls of the backend API: one when the call
begins, one with `status:` when it ends. Threads do not interleave; two processes that share one file may, at
the borders of their buffers, which leaves one record cut and one without a head. Both are kept and counted.

Time is that of the wall clock, in the zone of the process and without naming it. It is read as UTC.

Speed comes from cutting at the heads and decoding nothing twice: equal bodies are stored once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from tftrace.errors import InputError
from tftrace.ingest.cudnn.records import NONE, Codes, Context, CudnnLog
from tftrace.ingest.cudnn.stamps import STAMP, epoch_ns
from tftrace.ingest.recorded_file import Pieces
from tftrace.store.pages import Pages

NAME: Final = "cudnn_log"
TITLE: Final = "cuDNN API log"
PIECE: Final = 1 << 21

_COLUMNS: Final = (np.int32, np.int32, np.int32, np.int8, np.int32, np.int64, np.int64, np.bool_)
"""Function, version, body, level, context, time, seconds since the start, completeness."""

_CUT: Final = b"uDNN (v"
_HEAD = re.compile(rb"([0-9]+)(?: ([0-9]+))?\) function ([A-Za-z_][A-Za-z0-9_]{0,200})\(\) called:?[ \r]*")
_SNIFF = re.compile(rb"[Cc]uDNN \(v[0-9]+(?: [0-9]+)?\) function [A-Za-z_]\w*\(\) called")
_TIME = re.compile(
    rb"Time: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})(?: \((\d+)d\+(\d+)h\+(\d+)m\+(\d+)s since start\))?"
)
_PROCESS = re.compile(
    rb"Process=(\d{1,18}); Thread=(\d{1,18}); GPU=(\w+); Handle=([^;\n]*); StreamId=([^\n]*?)\.?\r?"
)
_GAP = re.compile(rb" \((\d{1,9})d\+(\d+)h\+(\d+)m\+(\d+)s since start\)[ \r]*\n[^\w\n]{0,8}(?:[iewIEW]! )?")
_CLEAN_TAIL = re.compile(rb"[ \r]*\n\s*([IWE]! |[^\w\n]{0,12}(?:Debug: )?)?[Cc]")


def sniff(path: Path, head: bytes) -> bool:
    """Whether these are the first bytes of a cuDNN log."""
    return _SNIFF.search(head) is not None


def read(path: Path) -> CudnnLog:
    """Reads a log, plain or compressed. Raises InputError where it cannot be read or holds no record."""
    pieces = Pieces(path, PIECE)
    scan = _Scan()
    for piece in pieces:
        scan.take(piece)
    log = scan.log(path, pieces.cut)
    if not len(log):
        raise InputError(f"{path}: holds no record of cuDNN; give a file that CUDNN_LOGDEST_DBG named")
    return log


def parse_log(data: bytes, path: Path = Path("(memory)"), cut: str | None = None) -> CudnnLog:
    """The same of bytes. Raises nothing: what is no record stands in `other`."""
    scan = _Scan()
    scan.take(data)
    return scan.log(path, cut)


class _Scan:
    """One pass over a log, in pieces of any size: what stands behind the last head of one waits for the next.

    Each table maps text as it stands in the file to what it means, worked out once: a record is its opening (head and
    body), 26 characters of time, and its closing (all up to the next head)."""

    def __init__(self) -> None:
        self.functions: dict[str, int] = {}
        self.versions: dict[tuple[int, int | None], int] = {}
        self.bodies: dict[bytes, int] = {}
        self.contexts: dict[bytes, int] = {}
        self.context_rows: list[Context] = []
        self.openings: dict[bytes, int] = {}
        self.opening_rows: list[tuple[int, int, int]] = []  # function, version, body
        self.closings: dict[bytes, int] = {}
        self.closing_rows: list[
            tuple[int, int, int, bool]
        ] = []  # context, since, level that follows, complete
        self.opened: list[int] = []  # per record of the piece
        self.closed: list[int] = []
        self.levels: list[int] = []
        self.stamps: list[bytes] = []
        self.other: list[str] = []
        self.pages = Pages()
        self.columns = [self.pages.column(kind) for kind in _COLUMNS]
        self.level = NONE
        self.begun = False  # whether what waits begins at a head
        self.waiting: list[bytes] = []
        self.held = self.enough = 0

    def take(self, data: bytes) -> None:
        """The next piece."""
        self.waiting.append(data)
        self.held += len(data)
        if self.held < self.enough:
            return
        parts = b"".join(self.waiting).split(_CUT)
        end = len(parts) - 1
        while end > 0 and not _is_head(parts, end):
            end -= 1
        if end <= 0:
            self.enough = 2 * self.held  # one record, or none: not looked through again for each piece
            return
        self._records(parts, end, False)
        self.waiting = [_CUT.join(parts[end:])]
        self.held, self.enough, self.begun = len(self.waiting[0]), 0, True

    def log(self, path: Path, cut: str | None) -> CudnnLog:
        """What all pieces held."""
        parts = b"".join(self.waiting).split(_CUT)
        self._records(parts, len(parts), True)
        function, version, body, level, context, time_ns, since, complete = (
            column.array() for column in self.columns
        )
        return CudnnLog(
            path=path, functions=list(self.functions), versions=list(self.versions), bodies=list(self.bodies),
            contexts=self.context_rows, function=function, version=version, level=level, body=body, context=context,
            time_ns=time_ns, since_start_s=since, complete=complete, other=self.other, cut=cut, pages=self.pages,
        )  # fmt: skip

    def _records(self, parts: list[bytes], count: int, last: bool) -> None:
        """The first `count` parts; `last`: nothing follows them, else a head does."""
        openings, closings, rows = self.openings, self.closings, self.closing_rows
        opened, closed, levels, stamps = self.opened, self.closed, self.levels, self.stamps
        at, level = 0, self.level
        if not self.begun:
            first, at = self._joined(parts, 0)
            level = self._lines(first, NONE, NONE, NONE, last and at == count, False)
        while at < count:
            part = parts[at]
            clock = part.rfind(b"Time: ")
            opening = openings.get(part[:clock])
            closing = closings.get(part[clock + 6 + STAMP :])
            if opening is None or closing is None:
                if not _HEAD.match(part):
                    # the known record before it is not all of that one: this text, no head, belongs to it
                    at, level = at - 1, levels.pop()
                    del opened[-1], closed[-1], stamps[-1]
                part, at = self._joined(parts, at)
                level = self._careful(part, level, last and at == count)
                continue
            opened.append(opening)
            closed.append(closing)
            levels.append(level)
            stamps.append(part[clock + 6 : clock + 6 + STAMP])
            level = rows[closing][2]
            at += 1
        self.level = level
        function, version, body = _rows_of(self.opening_rows, opened, 3)
        context, since, _, complete = _rows_of(rows, closed, 4)
        found = (
            function,
            version,
            body,
            np.array(levels, np.int64),
            context,
            epoch_ns(stamps),
            since,
            complete == 1,
        )
        for column, values in zip(self.columns, found, strict=True):
            column.add(values)
        for told in (opened, closed, levels, stamps):
            told.clear()

    @staticmethod
    def _joined(parts: list[bytes], at: int) -> tuple[bytes, int]:
        """The part from `at` on up to the next true head, and where that one is: a message may name cuDNN too."""
        end = at + 1
        while end < len(parts) and not _is_head(parts, end):
            end += 1
        return _CUT.join(parts[at:end]), end

    def _careful(self, part: bytes, level: int, last: bool) -> int:
        """A part seen for the first time: learnt where it is one record and nothing else, else read line by line.

        Returns the level of the next record.
        """
        line, _, rest = part.partition(b"\n")
        match = _HEAD.match(line)
        assert match is not None  # `_joined` ends at heads only
        version = (int(match[1][:9]), int(match[2][:9]) if match[2] else None)
        function = self.functions.setdefault(match[3].decode(), len(self.functions))
        version_code = self.versions.setdefault(version, len(self.versions))
        clock = part.rfind(b"Time: ")
        closing = self._closing(part[clock + 6 + STAMP :]) if clock > len(line) else None
        body = part[len(line) + 1 : clock]
        if closing is None or b"Process=" in body or b"Time: " in body:
            return self._lines(rest, function, version_code, level, last, opened=True)
        code = self.bodies.setdefault(body, len(self.bodies))
        opening = self.openings.setdefault(part[:clock], len(self.opening_rows))
        if opening == len(self.opening_rows):
            self.opening_rows.append((function, version_code, code))
        self.opened.append(opening)
        self.closed.append(closing)
        self.levels.append(level)
        self.stamps.append(part[clock + 6 : clock + 6 + STAMP])
        return self.closing_rows[closing][2]

    def _closing(self, text: bytes) -> int | None:
        """Code of what follows the time: seconds since start, `Process=` line, and the prefix of the next record."""
        known = self.closings.get(text)
        if known is not None:
            return known
        at = text.find(b"Process=")
        gap = _GAP.fullmatch(text[:at]) if at >= 0 else None
        end = text.find(b"\n", at) if b"\n" in text[max(at, 0) :] else len(text)
        context = self._context(text[at:end]) if gap is not None else None
        if gap is None or context is None:
            return None
        level = NONE if not text[end:].strip() else _level_of(text[end:])
        if level is None:
            return None
        code = self.closings[text] = len(self.closing_rows)
        self.closing_rows.append((context, _seconds(gap), level, True))
        return code

    def _context(self, line: bytes) -> int | None:
        if line in self.contexts:
            return self.contexts[line]
        match = _PROCESS.fullmatch(line)
        if match is None:
            return None
        gpu = int(match[3][:9]) if match[3][:9].isdigit() else None
        handle, stream = (
            None if m == b"NULL" else m.decode("utf-8", "replace") for m in (match[4], match[5])
        )
        self.contexts[line] = len(self.context_rows)
        self.context_rows.append(Context(int(match[1]), int(match[2]), gpu, handle, stream))
        return self.contexts[line]

    def _lines(self, text: bytes, function: int, version: int, level: int, last: bool, opened: bool) -> int:
        lines = text.split(b"\n")
        following = NONE
        if not last:
            seen = _level_of(b"\n" + lines[-1])
            following = NONE if seen is None else seen
            lines = lines[:-1] if _CLEAN_TAIL.fullmatch(b"\n" + lines[-1]) else lines
        body: list[bytes] = []
        stamp, since = b"", NONE
        for row in lines:
            clock = _TIME.search(row) if b"Time: " in row else None
            if clock is not None and clock.start() <= 12:
                if stamp and opened:  # a second time: the record above has lost its end
                    self._add(function, version, level, body, NONE, since, stamp, False)
                    function, version, level, opened, body = NONE, NONE, NONE, False, []
                stamp, since = clock[1], _seconds(clock, 2) if clock[2] else NONE
                continue
            at = row.find(b"Process=")
            context = None
            if 0 <= at <= 12:
                context = self._context(row[at:])
            if context is not None:
                self._add(function, version, level, body, context, since, stamp, opened and bool(stamp))
                function, version, level, opened, body, stamp, since = NONE, NONE, NONE, False, [], b"", NONE
            elif stamp and row.strip():  # behind the time, and no Process= line: the record ends without one
                self._add(function, version, level, body, NONE, since, stamp, False)
                function, version, level, opened, body, stamp, since = NONE, NONE, NONE, False, [], b"", NONE
                self.other.append(row.decode("utf-8", "replace"))
            else:
                body.append(row + b"\n")
        if opened or stamp:
            self._add(function, version, level, body, NONE, since, stamp, False)
        else:
            self.other += [row.decode("utf-8", "replace").rstrip("\r\n") for row in body if row.strip()]
        return following

    def _add(
        self, function: int, version: int, level: int, body: list[bytes], context: int, since: int, stamp: bytes,
        complete: bool,
    ) -> None:  # fmt: skip
        code = self.bodies.setdefault(b"".join(body), len(self.bodies))
        self.opened.append(len(self.opening_rows))
        self.opening_rows.append((function, version, code))
        self.closed.append(len(self.closing_rows))
        self.closing_rows.append((context, since, NONE, complete))
        self.levels.append(level)
        self.stamps.append(stamp)


def _rows_of(rows: Sequence[tuple[int, ...]], codes: list[int], width: int) -> list[Codes]:
    """The columns of the rows with these codes, of which each is looked at once."""
    used, at = np.unique(np.array(codes, np.int64), return_inverse=True)
    told = np.array([rows[code] for code in used.tolist()], np.int64).reshape(len(used), width)
    return [told[:, place][at] for place in range(width)]


def _is_head(parts: list[bytes], at: int) -> bool:
    return parts[at - 1][-1:] in (b"C", b"c") and _HEAD.match(parts[at]) is not None


def _seconds(match: re.Match[bytes], first: int = 1) -> int:
    days, hours, minutes, seconds = (int(match[first + i][:9]) for i in range(4))
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _level_of(tail: bytes) -> int | None:
    """Code of the level whose prefix ends this text, -1 for a prefix without level; None for anything else."""
    match = _CLEAN_TAIL.fullmatch(tail)
    if match is None:
        return None
    return {b"I": 0, b"W": 1, b"E": 2}.get((match[1] or b"")[:1], NONE)
