"""`tftrace view`: the timeline as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import opened, trace_argument


@click.command("view")
@trace_argument
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Page to write (default: TRACE/timeline.html)."
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--max-size", type=click.FloatRange(min=0, min_open=True), default=25.0, show_default=True, metavar="MB",
    help="Largest size of the page; the shortest events are merged to fit.",
)  # fmt: skip
def command(trace: Path | None, output: Path | None, open_page: bool, max_size: float) -> None:
    """Write the timeline of TRACE (default: the newest under traces/) as one HTML page that opens offline."""
    page = write_page(trace, output, max_size)
    click.echo(str(page))
    if open_page:
        click.launch(page.resolve().as_uri())


def write_page(path: Path | None, output: Path | None, max_size_mb: float) -> Path:
    """Writes the page and returns where it is."""
    from tftrace.store.directory import TIMELINE
    from tftrace.views.timeline import write_timeline

    trace = opened(path)
    assert trace.path is not None
    page = output or trace.path / TIMELINE
    write_timeline(trace, page, max_bytes=int(max_size_mb * 1_000_000))
    return page
