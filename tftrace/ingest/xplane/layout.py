"""Where the lines of a TensorFlow profile lie in its file, and everything else of it, read.

    XSpace { 1: XPlane*  2: errors  3: warnings  4: hostnames }
    XPlane { 3: XLine*  and names, metadata, statistics: few, beside the events in the lines }

Of the lines nothing is read but their tags and lengths. The file is read, never mapped: a file that is cut short
meanwhile is then an error and no end of the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from google.protobuf.message import DecodeError

from tftrace.errors import InputError
from tftrace.ingest.wire import LENGTH, WireError
from tftrace.ingest.wire_walk import part, walk
from tftrace.ingest.xplane.schema import message_class

_PLANES: Final = 1 << 3 | LENGTH
_LINES: Final = 3 << 3 | LENGTH

Span = tuple[int, int]


@dataclass(frozen=True)
class Plane:
    """A plane without its lines, and where those begin and end in the file."""

    message: Any
    lines: list[Span]


@dataclass(frozen=True)
class Layout:
    """`message` is the XSpace without its planes; `file` is open as long as lines are read."""

    path: Path
    file: BinaryIO
    message: Any
    planes: list[Plane]


def read_layout(path: Path, file: BinaryIO) -> Layout:
    """Finds the lines of a `*.xplane.pb` file.

    Raises InputError where the file is empty (TensorFlow's writer leaves 0 bytes of a profile above 2 GB, and reports
    success), is cut short, or is something else.
    """
    size = file.seek(0, 2)
    if not size:
        raise InputError(
            f"{path}: empty; TensorFlow leaves 0 bytes of a profile above 2 GB: record a shorter window"
        )
    try:
        message, spans = _apart(file, "XSpace", 0, size, _PLANES)
        planes = [Plane(*_apart(file, "XPlane", begin, end, _LINES)) for begin, end in spans]
        if not any(plane.message.name for plane in planes):
            raise WireError("no plane with a name")
    except (DecodeError, WireError) as error:
        raise unreadable(path, error) from None
    return Layout(path, file, message, planes)


def unreadable(path: Path, error: Exception) -> InputError:
    told = " ".join(str(error).split())[:200]
    return InputError(f"{path}: cut short or not a TensorFlow profile ({told}); record it again")


def _apart(file: BinaryIO, name: str, begin: int, end: int, tag: int) -> tuple[Any, list[Span]]:
    """A message without the fields of one tag, and where the values of those lie. Of other fields that the schema does
    not know, nothing is read."""
    kind = message_class(name)
    known = kind.DESCRIPTOR.fields_by_number
    spans: list[Span] = []
    rest: list[bytes] = []
    for field in walk(file, begin, end):
        if field.tag == tag:
            spans.append((field.begin, field.end))
        elif field.tag >> 3 in known:
            rest.append(part(file, field.place, field.end))
    return kind.FromString(b"".join(rest)), spans
