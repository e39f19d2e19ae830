"""What Python code uses of tftrace, on top of everything but the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tftrace.model.trace import Trace


def load(path: Path | str, progress: Callable[[str, float], None] | None = None) -> Trace:
    """The trace recorded in the directory `path`.

    Its tables are read when they are first used. Where they are missing, because the recording was cut short or
    a file was deleted, they are made from the raw records first; `progress` then hears what is being done, and
    how far it is (0 to 1).

    Raises InputError where `path` is no trace, or one that cannot be read.
    """
    from tftrace.store.directory import has_raw, is_complete, open_trace

    directory = Path(path)
    if has_raw(directory) and not is_complete(directory):
        from tftrace.correlate.build import build

        build(directory, progress)
    return open_trace(directory)
