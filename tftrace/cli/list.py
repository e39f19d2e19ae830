"""`tftrace list`: the traces that are here."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import json_option, print_json


@click.command("list")
@click.argument("root", type=click.Path(path_type=Path), default=Path("traces"))
@json_option
def command(root: Path, as_json: bool) -> None:
    """List the traces directly below ROOT (default: traces/), newest first, with what they hold."""
    from tftrace.analysis import listing

    rows = listing.traces(root)
    if as_json:
        print_json({"root": str(root), "traces": rows})
        return
    from tftrace.views.terminal import console
    from tftrace.views.terminal import listing as view

    view.draw(console(), rows, root)
