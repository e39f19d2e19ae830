"""`tftrace algorithms`: the ledger of problems and what solved them."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import json_option, opened, print_json, trace_argument


@click.command("algorithms")
@trace_argument
@json_option
def command(trace: Path | None, as_json: bool) -> None:
    """Show which algorithm solved each problem in TRACE (default: the newest under traces/).

    A problem is one shape of an op as the library saw it; its candidates are what was tried or could have
    been.
    """
    from tftrace.analysis import algorithms

    document = algorithms.document(opened(trace))
    if as_json:
        print_json(document)
        return
    from tftrace.views.terminal import algorithms as view
    from tftrace.views.terminal import console

    view.draw(console(), document)
