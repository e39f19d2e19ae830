"""The events of a trace in Chrome's format, some thousand at a time, however long the file (grammar in `chrome`).

A piece of the file is cut behind an object of the list of events. Whether that is one of the list, or lies deeper, is
told by parsing: what begins at an element of a list and is a list when it is closed there ended at one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from tftrace.ingest.chrome_plain import Block
from tftrace.ingest.recorded_file import HEAD, Pieces

PIECE: Final = 1 << 21
ENOUGH: Final = 1 << 20
"""Bytes of a list from which on its events are read by C where all in them is plain."""
BEGIN: Final = re.compile(
    rb'\s*(?:\{[^\[]*?"traceEvents"\s*:\s*(?P<inside>\[)|(?P<list>\[)\s*\{[^}]*?"ph"\s*:)', re.DOTALL
)
_CUTS: Final = 8
"""Places that are tried before more of the file is taken in."""
_BRACES: Final = 200
_SPACE: Final = b" \t\r\n"


class Events:
    """The events of one file, in lists, or what `plain` makes of the beginning of a list where it can; `cut`, once they
    are all taken, says what is damaged, None where nothing is."""

    def __init__(self, path: Path, plain: Callable[[bytes], tuple[Block, int] | None]) -> None:
        self._plain = plain
        self._pieces = Pieces(path, PIECE)
        self._more = iter(self._pieces)
        self._ended = False
        self._cut: str | None = None

    @property
    def cut(self) -> str | None:
        return self._pieces.cut or self._cut

    def __iter__(self) -> Iterator[list[Any] | Block]:
        data = self._next()
        while len(data) < HEAD and not self._ended:
            data += self._next()
        match = BEGIN.match(data)
        begin = -1 if match is None else max(match.start("inside"), match.start("list"))
        before = data[: max(begin, 0)].strip(_SPACE)
        if match is None or (before and not _at_top(before)):
            yield from self._whole(data)
            return
        data, enough, count = data[begin + 1 :], 0, 0
        while not self._ended:
            found = (self._enough(data) or _cut(data)) if len(data) >= enough else None
            if found is None:
                # one event may be longer than a piece, and so may be what stands behind the list
                enough = 2 * len(data) if len(data) >= enough else enough
                data = b"".join((data, *self._until(enough - len(data))))
                continue
            events, at = found
            data, enough = data[at:], 0
            count += len(events)
            yield events
            del events, found  # before more of them are made
            if len(data) < PIECE:
                data += self._next()
        yield self._last(before, data, count)

    def _enough(self, data: bytes) -> tuple[Block, int] | None:
        """What is read of the list without being parsed, where that is worth to have C compiled for it."""
        return self._plain(data) if len(data) >= ENOUGH else None

    def _next(self) -> bytes:
        piece = next(self._more, None)
        self._ended = piece is None
        return piece or b""

    def _until(self, size: int) -> Iterator[bytes]:
        while size > 0 and not self._ended:
            piece = self._next()
            size -= len(piece)
            yield piece

    def _last(self, before: bytes, data: bytes, count: int) -> list[Any]:
        """What is left of the list, and of the document behind it."""
        try:
            return _listed(orjson.loads(b"".join((before, b"[", data))))
        except orjson.JSONDecodeError as error:
            events = _whole_ones(data)
            self._cut = f"the file is cut or damaged: {error.msg}, behind event {count + len(events):,}"
            return events

    def _whole(self, data: bytes) -> Iterator[list[Any]]:
        """A document that begins in no known way, at once."""
        data = b"".join((data, *self._more))
        try:
            yield _listed(orjson.loads(data))
        except orjson.JSONDecodeError as error:
            self._cut = f"the file is cut or damaged: {error.msg} in line {error.lineno}"


def _listed(document: Any) -> list[Any]:
    found = document.get("traceEvents") if isinstance(document, dict) else document
    return found if isinstance(found, list) else []


def _at_top(before: bytes) -> bool:
    """Whether the list that begins behind this text is that of the document, and not of something in it."""
    try:
        orjson.loads(before + b"[]}")
    except orjson.JSONDecodeError:
        return False
    return True


def _cut(data: bytes) -> tuple[list[Any], int] | None:
    """The events up to the last place where the list can be cut, and where the next one begins; None without any."""
    end, tried = len(data), 0
    while tried < _CUTS and (end := data.rfind(b"{", 0, end)) >= 0:
        left = data[max(end - 64, 0) : end].rstrip(_SPACE)
        if not left.endswith(b",") or not left[:-1].rstrip(_SPACE).endswith(b"}"):
            continue
        comma, tried = data.rfind(b",", 0, end), tried + 1
        try:
            return orjson.loads(b"".join((b"[", data[:comma], b"]"))), comma + 1
        except orjson.JSONDecodeError:
            continue
    return None


def _whole_ones(data: bytes) -> list[Any]:
    """The events of a list that does not end, up to the last one that closes."""
    text = data.decode("utf-8", "replace")
    last = len(text)
    for _ in range(_BRACES):  # an event may hold objects of its own: go back one brace at a time
        last = text.rfind("}", 0, last)
        if last < 0:
            return []
        try:
            found = orjson.loads("[" + text[: last + 1] + "]")
        except orjson.JSONDecodeError:
            continue
        return found if isinstance(found, list) else []
    return []
