"""`tftrace summary`: where the time went."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import json_option, opened, print_json, trace_argument

BY = ("op", "layer", "line", "kernel", "step", "graph")


@click.command("summary")
@trace_argument
@click.option("--by", type=click.Choice(BY), default="op", show_default=True, help="What a row stands for.")
@click.option("--steady", is_flag=True, help="Leave out warm-up: tracing, tuning, first calls.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=30, show_default=True, help="Rows shown as text."
)
@json_option
def command(trace: Path | None, by: str, steady: bool, limit: int, as_json: bool) -> None:
    """Show where the time went in TRACE (default: the newest under traces/).

    First the eight layers, each with its time or the reason why it was not observed; then the ops, or lines,
    kernels, steps or graphs; then what was lost, and what failed.
    """
    from tftrace.analysis import summary

    document = summary.document(opened(trace), by, steady)
    if as_json:
        print_json(document)
        return
    from tftrace.views.terminal import console
    from tftrace.views.terminal import summary as view

    view.draw(console(), document, limit)
