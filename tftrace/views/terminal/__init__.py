"""Views for the terminal: draw the documents of `tftrace.analysis` with rich; they analyse nothing."""

from __future__ import annotations

import os
import sys
from typing import Final

from rich.console import Console

PIPE_WIDTH: Final = 400
"""A pipe has no edge: lines are long there rather than broken, so that `grep` and `awk` see them whole."""


def console(stderr: bool = False) -> Console:
    """A console for stdout or stderr. Markup, emoji codes and highlighting are off: text from traces is
    data."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)
