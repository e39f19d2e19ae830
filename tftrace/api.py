"""What Python code uses of tftrace, on top of everything but the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tftrace.recording import record

if TYPE_CHECKING:
    from tftrace.analysis.comparison import Comparison
    from tftrace.model.trace import Trace

__all__ = ["compare", "load", "record"]


def load(path: Path | str, progress: Callable[[str, float], None] | None = None) -> Trace:
    """The trace recorded in the directory `path`.

    Its tables are read when they are first used. Where they are missing, because the recording was cut
    short or a file was deleted, they are made from the raw records first; `progress` then hears what is
    being done, and how far it is (0 to 1).

    Raises InputError where `path` is no trace, or one that cannot be read.
    """
    from tftrace.store.directory import is_trace, open_trace, unfinished
    from tftrace.store.manifest import MANIFEST

    directory = Path(path)
    killed = not (directory / MANIFEST).is_file() and is_trace(
        directory
    )  # before anything but raw/ was written
    if killed or unfinished(directory) is not None:
        from tftrace.correlate.build import build

        build(directory, progress)
    return open_trace(directory)


def compare(*runs: Trace | Path | str) -> Comparison:
    """Each of `runs` (traces, or their directories) against the first of them: which algorithm each problem got and in
    which time, what ops and kernels cost, and what only some of the runs have. The answer holds DataFrames.

    Raises UsageError for fewer than two runs, and InputError where one is no trace or cannot be read.
    """
    from tftrace.analysis import comparison

    return comparison.compare([load(run) if isinstance(run, (Path, str)) else run for run in runs])
