"""What the arguments of `tftrace tune` come to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tftrace.errors import InputError, UsageError

if TYPE_CHECKING:
    from tftrace.model.trace import Trace
    from tftrace.tuning import TuneRequest

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def request_of(
    trace: Path | None, specs: tuple[str, ...], opened: Callable[[Path | None], Trace], output: Path | None,
    force: bool, budget_s: float, tolerance: float, only: tuple[str, ...], python: str | None,
) -> TuneRequest:  # fmt: skip
    """Raises UsageError for both a trace and specs, SpecError for a spec that is none, InputError for a trace without a
    convolution that could be replayed."""
    from tftrace.analysis.replayable import Wanted, convolutions
    from tftrace.model.conv2d_spec import parse
    from tftrace.tuning import TuneRequest

    left_out: list[dict[str, Any]] = []
    traced = None
    if specs:
        if trace is not None:
            raise UsageError("give a trace or --conv2d SPEC, not both")
        wanted = [Wanted(spec) for spec in dict.fromkeys(parse(text) for text in specs)]
    else:
        source = opened(trace)
        traced = source.name
        wanted, left_out = convolutions(source)
        if not wanted:
            raise InputError(
                f"{source.path or source.name}: holds no 2-D convolution that can be replayed; "
                "give one with --conv2d N,H,W,C:KH,KW,C,K"
            )
    return TuneRequest(
        wanted=wanted, left_out=left_out, traced=traced, argv=["tftrace", *sys.argv[1:]], output=output, force=force,
        budget_s=budget_s, tolerance=tolerance, only=only, python=python,
    )  # fmt: skip


def listing(request: TuneRequest) -> dict[str, Any]:
    """The document of a tuning that has tried nothing yet."""
    from tftrace.analysis import tuned
    from tftrace.tuning import offered

    return tuned.document(offered(request))


def writable_pin(pin: Path | None, force: bool) -> None:
    """Before any time is spent: a file of another kind is not written over, and the place can be written to."""
    from tftrace.views.settings_file import HEAD

    if pin is None:
        return
    try:
        if pin.exists() and not force and not pin.read_text(errors="replace").startswith(HEAD):
            raise UsageError(
                f"{pin}: is no settings file of tftrace; choose another, or replace it with --force"
            )
        with open(pin, "a"):
            pass
    except OSError as error:
        raise UsageError(
            f"{pin}: cannot be written: {error.strerror}; choose another file for --pin"
        ) from error
