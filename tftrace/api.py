"""What Python code uses of tftrace, on top of everything but the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tftrace.recording import record

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tftrace.analysis.comparison import Comparison
    from tftrace.model.trace import Trace

__all__ = ["compare", "flame", "load", "record", "steps", "waterfall"]


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

    return comparison.compare([_opened(run) for run in runs])


def flame(run: Trace | Path | str, metric: str = "self_us", steady: bool = False) -> go.Figure:
    """What ran below which line of the user's, down to the device, as an icicle; its menu turns it into a flame graph.

    A box is as wide as the `metric` of everything in it: `self_us` (time), `device_us` (time of the device's work) or
    `events`. With `steady`, warm-up is left out. The numbers are those of `tftrace.analysis.flame.flame`.

    Raises UsageError for another metric, InputError as `load`.
    """
    from tftrace.analysis import flame as analysis
    from tftrace.views.pictures.flame import flame_figure

    return flame_figure(analysis.flame(_opened(run), steady), metric)


def steps(run: Trace | Path | str, steady: bool = False) -> go.Figure:
    """A bar for each step of the run, stacked by layer; with `steady` without those that hold an execution in warm-up.
    The numbers are those of `tftrace.analysis.steps.steps`.

    Raises InputError as `load`.
    """
    from tftrace.analysis import steps as analysis
    from tftrace.views.pictures.steps import steps_figure

    frame = analysis.steps(_opened(run))
    return steps_figure(frame[~frame["warm_up"].astype(bool)] if steady else frame)


def waterfall(run: Trace | Path | str, pattern: str, steady: bool = True) -> go.Figure:
    """What the ops that `pattern` means spend in each layer, mean of an execution (outside warm-up, with `steady`). The
    numbers are those of `tftrace.analysis.waterfall.waterfall`.

    Raises UsageError for a pattern that means nothing, InputError where nothing of it ran, and as `load`.
    """
    from tftrace.analysis import waterfall as analysis
    from tftrace.views.pictures.waterfall import waterfall_figure

    return waterfall_figure(analysis.waterfall(_opened(run), pattern, steady))


def _opened(run: Trace | Path | str) -> Trace:
    return load(run) if isinstance(run, (Path, str)) else run
