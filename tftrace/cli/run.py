"""`tftrace run`: the script as it is, with its trace as a by-product."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tftrace.agent.contract import PROBES
from tftrace.cli.trace_argument import progress_bar
from tftrace.errors import TftraceError

if TYPE_CHECKING:
    from tftrace.capture.launch import RunOutcome


def probe_switches(command: Callable[..., Any]) -> Callable[..., Any]:
    """One `--no-PROBE` for each probe."""
    for probe in reversed(PROBES):
        name = probe.replace("_", "-")
        spellings = dict.fromkeys((f"--no-{name}", f"--no-{probe}"))
        command = click.option(*spellings, f"no_{probe}", is_flag=True, help=f"Leave the {probe} probe out.")(
            command
        )
    return command


def step_range(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    first, colon, last = value.partition(":")
    if not colon or not first.isdecimal() or not last.isdecimal() or int(first) >= int(last):
        raise click.BadParameter(
            f"{value!r} is not A:B with A < B; steps A to B - 1 are profiled, e.g. 10:20"
        )
    return int(first), int(last)


def probe_names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(name.strip().replace("-", "_") for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in PROBES]
    if unknown or not names:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'} named; there are {', '.join(PROBES)}")
    return names


# parsing ends at the script: what follows is the script's, even where tftrace has an option of that name
@click.command("run", context_settings={"allow_interspersed_args": False}, options_metavar="[OPTIONS]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Directory of the trace.")
@click.option("--force", is_flag=True, help="Replace the trace that is there.")
@click.option("--python", metavar="PATH", help="Interpreter to run the script with (default: this one).")
@click.option(
    "--probes", metavar="A,B", callback=probe_names, help=f"Only these probes: {', '.join(PROBES)}."
)
@probe_switches
@click.option(
    "--profile-mb", type=click.FloatRange(min=0, min_open=True), default=64.0, show_default=True,
    help="Memory that TensorFlow's profiler may use.",
)  # fmt: skip
@click.option(
    "--cudnn-stacks", type=click.IntRange(min=0), default=20000, show_default=True,
    help="Native stacks of cuDNN calls a second; above it they are sampled.",
)  # fmt: skip
@click.option(
    "--cudnn-preload", is_flag=True,
    help="Catch cuDNN calls by LD_PRELOAD: for a TensorFlow whose trampolines are not known.",
)  # fmt: skip
@click.option(
    "--native", is_flag=True, help="SCRIPT is a program that needs no Python, with the C API of TensorFlow."
)
@click.option("--steps", metavar="A:B", callback=step_range, help="Profile these steps only.")
@click.option(
    "--eigen-gemm", is_flag=True, help="Record each matrix product that Eigen asks of oneDNN, too: slow."
)
@click.option("--quiet", is_flag=True, help="Say nothing after the run.")
@click.option("--open", "open_page", is_flag=True, help="Open the timeline in the browser afterwards.")
@click.option("--no-source", is_flag=True, help="Leave source lines out of the trace.")
@click.option("--redact", is_flag=True, help="Leave the script's arguments out of the trace.")
@click.option("-m", "module", is_flag=True, help="SCRIPT is the name of a module, as with python -m.")
@click.argument("script", required=True)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def command(
    output: Path | None, force: bool, python: str | None, probes: tuple[str, ...] | None, profile_mb: float,
    cudnn_stacks: int, cudnn_preload: bool, native: bool, steps: tuple[int, int] | None, eigen_gemm: bool, quiet: bool,
    open_page: bool, no_source: bool, redact: bool, module: bool, script: str, args: tuple[str, ...],
    **switches: bool,
) -> int:  # fmt: skip
    """Run SCRIPT (or -m MODULE) with ARGS and record a trace of it.

    The script sees its own arguments, input, output and signals; its exit code is tftrace's. What tftrace has
    to say comes on stderr after the script has ended.
    """
    from tftrace.capture.launch import RunRequest, run

    outcome = run(
        RunRequest(
            argv=[script, *args],
            module=module,
            python=python,
            output=output,
            force=force,
            probes=probes,
            disabled=tuple(p for p in PROBES if switches[f"no_{p}"]),
            profile_mb=profile_mb,
            cudnn_stacks=cudnn_stacks,
            cudnn_preload=cudnn_preload,
            steps=steps,
            quiet=quiet,
            source=not no_source,
            redact=redact,
            eigen_gemm=eigen_gemm,
            native=native,
        )
    )
    try:
        finish(outcome, quiet, open_page)
    except TftraceError as error:
        click.echo(f"tftrace: {error}", err=True)
    except KeyboardInterrupt:
        click.echo(f"tftrace: stopped; the raw records are in {outcome.place.made}", err=True)
    except Exception:
        # a fault of ours must not change what the script's own exit code says
        traceback.print_exc(file=sys.stderr)
    return outcome.exit_status


def finish(outcome: RunOutcome, quiet: bool, open_page: bool) -> None:
    """Builds the tables, says what was found, and opens the timeline where that was asked for."""
    from tftrace.correlate.build import build
    from tftrace.store.directory import completing

    with completing(outcome.place) as place, progress_bar("building the trace", quiet) as progress:
        build(place, progress)
    directory = outcome.place.path
    if not quiet:
        from tftrace.analysis import algorithms, summary
        from tftrace.analysis.next_question import costliest_op, unusable_interpreter
        from tftrace.store.directory import open_trace
        from tftrace.views.terminal import closing, console

        trace = open_trace(directory)
        facts = {
            "wall_s": outcome.wall_s,
            "exit_status": outcome.exit_status,
            "directory": directory,
            "op": costliest_op(trace),
            "doctor": unusable_interpreter(trace),
        }
        document = summary.document(trace, "op")
        closing.draw(console(stderr=True), facts, document, algorithms.document(trace), trace.manifest)
    if open_page:
        from tftrace.cli.view import write_page

        page = write_page(directory, None, 25.0)
        click.launch(page.resolve().as_uri())
