"""`tftrace algorithms`: the ledger of problems and what solved them."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import json_option, opened, print_json, print_json_lines, trace_argument
from tftrace.errors import UsageError


@click.command("algorithms")
@trace_argument
@json_option
@click.option(
    "--classify",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Instead of a trace: a file with one call of cuDNN a line, the names of its kernels separated by ' || '. "
    "Prints a JSON object for each line: the algorithm, how sure it is, and the rule.",
)
def command(trace: Path | None, as_json: bool, classify: Path | None) -> None:
    """Show which algorithm solved each problem in TRACE (default: the newest under traces/).

    A problem is one shape of an op as the library saw it; its candidates are what was tried or could have
    been. A trace that 'tftrace tune' made is shown as that did, ranked.
    """
    if classify is not None:
        if trace is not None:
            raise UsageError(
                f"{classify}: --classify reads kernel names instead of a trace; leave {trace} out"
            )
        from tftrace.analysis import kernel_calls

        print_json_lines(kernel_calls.verdicts(classify))
        return
    from tftrace.analysis import algorithms, tuned

    read = opened(trace)
    document = tuned.document(read) if tuned.is_tuning(read) else algorithms.document(read)
    if as_json:
        print_json(document)
        return
    from tftrace.views.terminal import algorithms as ledger_view
    from tftrace.views.terminal import console
    from tftrace.views.terminal import tuned as ranked_view

    view = ranked_view if tuned.is_tuning(read) else ledger_view
    view.draw(console(), document)
