"""`tftrace tune`: the real shapes under every algorithm that this machine offers."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.conv2d_option import conv2d_option
from tftrace.cli.trace_argument import json_option, opened, print_json, progress_bar, trace_argument
from tftrace.cli.tune_request import INTERRUPTED, listing, request_of, writable_pin


@click.command("tune")
@trace_argument
@conv2d_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Directory of the trace of this tuning."
)
@click.option("--force", is_flag=True, help="Replace the trace, or the file of --pin, that is there.")
@click.option(
    "--budget", "budget_s", type=click.FloatRange(min=0), default=120.0, show_default=True, metavar="SECONDS",
    help="Time to spend; 0 only lists what would be tried.",
)  # fmt: skip
@click.option(
    "--pin", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write the environment settings to use, as lines for a shell.",
)  # fmt: skip
@click.option(
    "--tolerance", type=click.FloatRange(min=0), default=2.0**-7, show_default=True,
    help="Largest difference to the reference, as a share of its largest element, with which a candidate may win.",
)  # fmt: skip
@click.option("--only", multiple=True, metavar="GLOB", help="Try only candidates of such names. Repeatable.")
@click.option("--python", metavar="PATH", help="Interpreter whose TensorFlow replays (default: this one).")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@json_option
def command(
    trace: Path | None, conv2d: tuple[str, ...], output: Path | None, force: bool, budget_s: float, pin: Path | None,
    tolerance: float, only: tuple[str, ...], python: str | None, quiet: bool, as_json: bool,
) -> int:  # fmt: skip
    """Replay the convolutions of TRACE (default: the newest under traces/), or each --conv2d, under every algorithm
    that this machine offers, and rank them.

    On a CPU: oneDNN at each limit of the instruction set, with bfloat16 arithmetic, with fewer threads, Eigen, XLA,
    other layouts and types, fused or not. Each runs in a process of its own; all are timed in turn, until their order
    is sure or the budget is spent, and compared with a reference in float64. The result is a trace, traces/tune-TIME
    without -o.
    """
    request = request_of(trace, conv2d, opened, output, force, budget_s, tolerance, only, python)
    if budget_s == 0:
        document, stopped = listing(request), False
    else:
        from tftrace.api import load
        from tftrace.tuning import tune

        writable_pin(pin, force)
        with progress_bar("tuning", quiet) as progress:
            outcome = tune(request, progress)
        from tftrace.analysis import tuned

        document, stopped = tuned.document(load(outcome.directory)), outcome.stopped
        click.echo(f"tftrace: {outcome.directory}", err=True)
    if pin is not None and budget_s:
        from tftrace.views import settings_file

        pin.write_text(settings_file.text(document))
    if as_json:
        print_json(document)
    else:
        from tftrace.views.terminal import console
        from tftrace.views.terminal import tuned as view

        view.draw(console(), document)
    return INTERRUPTED if stopped else 0
