"""`tftrace export`: a trace in another tool's format."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import opened, trace_argument
from tftrace.views.export import FORMATS


@click.command("export")
@trace_argument
@click.option("--to", "form", type=click.Choice(list(FORMATS)), required=True, help="Format to write.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
    help="File to write (default: exported.* in TRACE).",
)  # fmt: skip
def command(trace: Path | None, form: str, output: Path | None) -> None:
    """Write TRACE (default: the newest under traces/) as one file for another tool.

    \b
    perfetto    every event and link, for ui.perfetto.dev and trace_processor
    chrome      the same in Chrome's JSON, for chrome://tracing and older tools
    speedscope  a flame graph of each thread, for speedscope.app
    parquet     a flat table, a row an event with its call and site, for pandas and the like
    """
    from tftrace.views.export import export

    click.echo(str(export(opened(trace), form, output)))
