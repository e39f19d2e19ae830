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
from tftrace.ingest.recorded_file import read_recorded
from tftrace.ingest.tf_log_messages import KINDS

NAME: Final = "tf_log"
TITLE: Final = "TensorFlow log"

_HEAD = re.compile(
    rb"(?:(?P<severity>[IWEF])\d{4} (?P<clock>\d\d:\d\d:\d{1,12}\.\d{1,9}) +(?P<thread>\d{1,10}) "
    rb"|(?P<date>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,6}): (?P<letter>[IWEF]) +(?:(?P<number>\d{1,10}) )?)"
    rb"(?P<file>[^\s:\]]{1,300}):(?P<line>\d{1,7})\] ?"
)
_COMMON: Final = tuple(int.from_bytes(begin, "little") for begin in (b"launchin", b"successf"))
_HEAD_ROOM: Final = 128  # bytes in which the end of a head is looked for
_AT_ONCE: Final = 1 << 16
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
    recorded = read_recorded(path)
    log = parse_log(recorded.data, path, recorded.cut)
    if not log.entries and not log.others:
        raise InputError(f"{path}: holds no line of TensorFlow's log; give what it wrote to stderr")
    return log


def parse_log(data: bytes, path: Path = Path("(memory)"), cut: str | None = None) -> TfLog:
    """The same of bytes. Raises nothing."""
    starts, is_head = _lines(data)
    heads = starts[is_head]
    ends = np.append(heads[1:], len(data))
    entries = []
    local = bool(len(heads)) and bool((np.frombuffer(data, np.uint8)[heads] == ord("2")).any())
    for at in _candidates(data, heads):
        entry = _entry(data[int(heads[at]) : int(ends[at])], 0)
        if entry is not None:
            entries.append((int(heads[at]), entry))
    numbers = np.searchsorted(starts, [at for at, _ in entries]) + 1
    numbered = [_numbered(e, int(n)) for (_, e), n in zip(entries, numbers, strict=True)]
    foreign = int(np.flatnonzero(is_head)[0]) if is_head.any() else len(starts)
    return TfLog(path, numbered, len(heads) - len(numbered), foreign, len(starts), local, cut)


def parse_message(text: bytes) -> LogEntry | None:
    """One message with its head; None where it is of no known kind."""
    return _entry(text, 1)


def _lines(data: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where lines begin, and which of them look like a head: a severity and four digits, a date, or the remark."""
    raw = np.frombuffer(data, np.uint8)
    starts = np.concatenate(([0], np.flatnonzero(raw == 10) + 1)).astype(np.int64)
    starts = starts[starts < len(raw)]
    room = np.minimum(starts, max(len(raw) - 11, 0))

    def digit(offset: int) -> npt.NDArray[np.bool_]:
        return np.asarray(raw[room + offset] - ord("0") < 10)  # unsigned: what is below "0" is far above

    if len(raw) < 11:
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
    """Entries that are read: all but those whose message begins like the common ones of StreamExecutor, a line for each
    launch and copy. In a file these are counted only: reading them would take most of the time, and tells little."""
    raw = np.frombuffer(data + bytes(_HEAD_ROOM + 8), np.uint8)
    rows = np.lib.stride_tricks.sliding_window_view(raw, _HEAD_ROOM)
    common = np.empty(len(heads), bool)
    for at in range(0, len(heads), _AT_ONCE):
        some = heads[at : at + _AT_ONCE]
        message = some + np.argmax(rows[some] == ord("]"), axis=1) + 2
        begins = np.lib.stride_tricks.sliding_window_view(raw, 8)[message].copy().view("<u8").reshape(-1)
        common[at : at + _AT_ONCE] = (begins == _COMMON[0]) | (begins == _COMMON[1])
    return [int(at) for at in np.flatnonzero(~common)]


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


def _numbered(entry: LogEntry, number: int) -> LogEntry:
    object.__setattr__(entry, "number", number)  # not seen by anybody yet
    return entry


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
