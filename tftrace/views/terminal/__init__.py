"""Views for the terminal: draw the documents of `tftrace.analysis` with rich; they analyse nothing."""

from __future__ import annotations

import os
import sys
from typing import IO, Any, Final, cast

from rich.console import Console

PIPE_WIDTH: Final = 400
"""A pipe has no edge: lines are long there rather than broken, so that `grep` and `awk` see them whole."""


def console(stderr: bool = False) -> Console:
    """A console for stdout or stderr. Markup, emoji codes and highlighting are off: text from traces is
    data."""
    stream = sys.stderr if stderr else sys.stdout
    piped = not stream.isatty()
    width = PIPE_WIDTH if piped and not os.environ.get("COLUMNS") else None
    file = cast("IO[str]", _Trimmed(stream)) if piped else stream
    return _Console(file=file, width=width, markup=False, emoji=False, highlight=False)


class _Console(Console):
    """Leaves a closed pipe to the command line; rich would end the process with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise


class _Trimmed:
    """A pipe without the blanks that fill table cells up to their column."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        # the console writes whole lines: what it prints ends with a line's end
        self._stream.write("\n".join(line.rstrip(" ") for line in text.split("\n")))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
