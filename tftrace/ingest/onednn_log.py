"""Reader of a file with oneDNN's verbose lines (`ONEDNN_VERBOSE`), among whatever else was printed there.

The grammar of a line stands in `onednn_line`. A line tells when it began only under ONEDNN_VERBOSE_TIMESTAMP=1
(oneDNN 2.0 on); it tells no process and no thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tftrace.errors import InputError
from tftrace.ingest.onednn_line import MARKERS, VerboseLine, parse_line
from tftrace.ingest.recorded_file import read_recorded

NAME: Final = "onednn_log"
TITLE: Final = "oneDNN verbose log"


@dataclass(frozen=True)
class OneDnnLog:
    """The lines of one log that are oneDNN's, in order; `other` are the rest that are not blank."""

    path: Path
    lines: list[VerboseLine]
    other: list[str]
    cut: str | None


def sniff(path: Path, head: bytes) -> bool:
    """Whether one of the first lines is oneDNN's."""
    return any(line.startswith(tuple(m.encode() + b"," for m in MARKERS)) for line in head.split(b"\n"))


def read(path: Path) -> OneDnnLog:
    """Reads a log, plain or compressed. Raises InputError where it cannot be read or holds no line of oneDNN."""
    recorded = read_recorded(path)
    lines: list[VerboseLine] = []
    other: list[str] = []
    for text in recorded.data.decode("utf-8", "replace").split("\n"):
        line = parse_line(text)
        if line is not None:
            lines.append(line)
        elif text.strip():
            other.append(text.rstrip("\r"))
    if not lines:
        raise InputError(f"{path}: holds no line of oneDNN; record it with ONEDNN_VERBOSE=1")
    return OneDnnLog(path, lines, other, recorded.cut)
