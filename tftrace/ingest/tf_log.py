"""Reader of what TensorFlow and XLA log of their GPU work, verbose (`TF_CPP_VMODULE`) or not.

Grammar, as TensorFlow 1.6 to 2.21 and XLA write it:

    log    := (entry | line of somebody else)*
    entry  := head message newline (continuation newline)*     a continuation is a line without a head
    head   := severity MMDD " " "00:00:" epoch seconds "." us " " thread " " file ":" line "] "       Abseil, 2.18 on
            | YYYY-MM-DD " " HH:MM:SS.us ": " severity " " [thread " "] file ":" line "] "              before
            | "WARNING: "                                                 Abseil's own remark, before it is set up
    severity := "I" | "W" | "E" | "F"

Messages are told by their text, because files and line numbers shift by version; `KINDS` lists them. The second form
of head gives local time without a zone: read as UTC. A line of another program among them is taken for a continuation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.errors import InputError
from tftrace.ingest.recorded_file import Pieces
from tftrace.ingest.text_columns import begins, windows
from tftrace.ingest.tf_log_messages import KINDS

NAME: Final = "tf_log"
TITLE: Final = "TensorFlow log"

_HEAD = re.compile(
    rb"(?:(?P<severity>[IWEF])\d{4} (?P<clock>\d\d:\d\d:\d{1,12}\.\d{1,9}) +(?P<thread>\d{1,10}) "
    rb"|(?P<date>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,6}): (?P<letter>[IWEF]) +(?:(?P<number>\d{1,10}) )?)"
    rb"(?P<file>[^\s:\]]{1,300}):(?P<line>\d{1,7})\] ?"
)
_COMMON: Final = (b"launchin", b"successf")
_HEAD_ROOM: Final = 128  # bytes in which the end of a head is looked for
_AT_ONCE: Final = 1 << 16
_SHORTEST_HEAD: Final = 11  # bytes by which a line is seen to be one
PIECE: Final = 1 << 21
_REMARK: Final = b"WARNING: All log messages before absl::InitializeLog()"


@dataclass(frozen=True)
class LogEntry:
    """One message that is known. `kind` is a key of `tf_log_messages.KINDS`, `fields` what it says; `start_ns` (epoch)
    and `tid` are None where the head does not tell them, `number` is its line from 1, `cut` whether its end is
    missing."""

    number: int
    severity: str
    start_ns: int | None
    tid: int | None
    file: str
    source_line: int
    kind: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True)
class TfLog:
    """`entries` are the messages that are known, in order; `others` counts the rest of the heads, `foreign` the lines
    before the first head; `cut` says what is missing at the end of a compressed file."""

    path: Path
    entries: list[LogEntry]
    others: int
    foreign: int
    lines: int
    local_time: bool
    cut: str | None = None

    @property
    def incomplete(self) -> int:
        """Entries whose end is missing."""
        return sum(entry.cut for entry in self.entries)


def sniff(path: Path, head: bytes) -> bool:
    """Whether one of the first lines has the head of TensorFlow's log."""
    return any(_HEAD.match(line) for line in head.split(b"\n")[:200])


def read(path: Path) -> TfLog:
    """Reads a log, plain or compressed. Raises InputError where it cannot be read or holds no line of TensorFlow."""
    pieces = Pieces(path, PIECE)
    scan = _Scan()
    waiting = b""
    for piece in pieces.lines():
        if waiting and len(piece) >= _SHORTEST_HEAD:
            scan.take(waiting, False)
            waiting = piece
        else:
            waiting += piece
    scan.take(waiting, True)
    log = scan.log(path, pieces.cut)
    if not log.entries and not log.others:
        raise InputError(f"{path}: holds no line of TensorFlow's log; give what it wrote to stderr")
    return log


def parse_log(data: bytes, path: Path = Path("(memory)"), cut: str | None = None) -> TfLog:
    """The same of bytes. Raises nothing."""
    scan = _Scan()
    scan.take(data, True)
    return scan.log(path, cut)


class _Scan:
    """One pass over a log, in pieces that end where a line does. Of the last message of a piece more may follow: it
    stays open until the next head, and its text is kept where it is one that is read."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.heads = self.foreign = self.lines = 0
        self.local = False
        self.open: list[bytes] = []
        self.open_number = 0

    def log(self, path: Path, cut: str | None) -> TfLog:
        self._close()
        others = self.heads - len(self.entries)
        return TfLog(path, self.entries, others, self.foreign, self.lines, self.local, cut)

    def take(self, data: bytes, last: bool) -> None:
        starts, is_head = _lines(data if last else data + bytes(_SHORTEST_HEAD))
        inside = starts < len(data)
        starts, is_head = starts[inside], is_head[inside]
        heads = starts[is_head]
        ends = np.append(heads, len(data))
        if not self.heads:
            self.foreign += int(np.searchsorted(starts, ends[0]))
        elif self.open:
            self.open.append(data[: int(ends[0])])
        if len(heads):
            self._close()
            self.local |= bool((np.frombuffer(data, np.uint8)[heads] == ord("2")).any())
            for n in _candidates(data, heads):
                number = self.lines + int(np.searchsorted(starts, heads[n])) + 1
                text = data[int(heads[n]) : int(ends[n + 1])]
                if n < len(heads) - 1:
                    self._add(text, number)
                else:
                    self.open, self.open_number = [text], number
        self.heads += len(heads)
        self.lines += len(starts)

    def _close(self) -> None:
        if self.open:
            self._add(b"".join(self.open), self.open_number)
        self.open = []

    def _add(self, text: bytes, number: int) -> None:
        entry = _entry(text, number)
        if entry is not None:
            self.entries.append(entry)


def parse_message(text: bytes) -> LogEntry | None:
    """One message with its head; None where it is of no known kind."""
    return _entry(text, 1)


def _lines(data: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where lines begin, and which of them look like a head: a severity and four digits, a date, or the remark."""
    raw = np.frombuffer(data, np.uint8)
    starts = np.concatenate(([0], np.flatnonzero(raw == 10) + 1)).astype(np.int64)
    starts = starts[starts < len(raw)]
    room = np.minimum(starts, max(len(raw) - _SHORTEST_HEAD, 0))

    def digit(offset: int) -> npt.NDArray[np.bool_]:
        return np.asarray(raw[room + offset] - ord("0") < 10)  # unsigned: what is below "0" is far above

    if len(raw) < _SHORTEST_HEAD:
        return starts, np.zeros(len(starts), bool)
    first = raw[room]
    severity = np.isin(first, np.frombuffer(b"IWEF", np.uint8))
    abseil = severity & digit(1) & digit(2) & digit(3) & digit(4) & (raw[room + 5] == 32)
    dated = (
        (raw[room + 4] == 45)
        & (raw[room + 7] == 45)
        & (raw[room + 10] == 32)
        & digit(0)
        & digit(3)
        & digit(9)
    )
    is_head = (abseil | dated) & (room == starts)
    for at in np.flatnonzero(~is_head & (first == ord("W"))).tolist():
        is_head[at] = data.startswith(_REMARK, int(starts[at]))
    return starts, is_head


def _candidates(data: bytes, heads: npt.NDArray[np.int64]) -> list[int]:
    """Places of entries that are read: all but those whose message begins like the common ones of StreamExecutor, a
    line for each launch and copy. In a file these are counted only: reading them would take most of the time, and tells
    little."""
    raw = np.frombuffer(data + bytes(_HEAD_ROOM + 8), np.uint8)
    common = np.empty(len(heads), bool)
    for at in range(0, len(heads), _AT_ONCE):
        some = heads[at : at + _AT_ONCE]
        message = some + np.argmax(windows(raw, some, _HEAD_ROOM) == ord("]"), axis=1) + 2
        common[at : at + _AT_ONCE] = begins(raw, message, _COMMON[0]) | begins(raw, message, _COMMON[1])
    return [int(n) for n in np.flatnonzero(~common)]


def _entry(data: bytes, number: int) -> LogEntry | None:
    head = _HEAD.match(data)
    if head is None:
        return None
    text = data[head.end() :].decode("utf-8", "replace").rstrip("\n")
    for kind in KINDS:
        fields = kind.read(text) if kind.phrase in data else None
        if fields is not None:
            cut = bool(fields.pop("cut", False))
            return LogEntry(
                number, (head["severity"] or head["letter"]).decode(), _time(head), _tid(head),
                head["file"].decode("utf-8", "replace"), int(head["line"]), kind.name, text, fields, cut,
            )  # fmt: skip
    return None


def _tid(head: re.Match[bytes]) -> int | None:
    text = head["thread"] or head["number"]
    return int(text) if text else None


def _time(head: re.Match[bytes]) -> int | None:
    if head["clock"]:
        seconds, _, part = head["clock"].split(b":", 2)[2].partition(b".")
        epoch = int(seconds)
        return epoch * 10**9 + int((part + b"0" * 9)[:9]) if epoch >= 60 else None
    try:
        moment = datetime.strptime(head["date"].decode(), "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
