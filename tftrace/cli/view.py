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
@click.option(
    "--serve", is_flag=True,
    help="Serve the page with every event to this machine alone (127.0.0.1) until Ctrl-C; writes no page.",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="With --serve: port (default: a free one)."
)  # fmt: skip
def command(
    trace: Path | None, output: Path | None, open_page: bool, max_size: float, serve: bool, port: int
) -> None:
    """Write the timeline of TRACE (default: the newest under traces/) as one HTML page that opens offline."""
    if serve and output:
        raise click.UsageError("--serve writes no page: leave out --output.")
    if port and not serve:
        raise click.UsageError("--port belongs to --serve.")
    if serve:
        serve_page(trace, port, open_page)
        return
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


def serve_page(path: Path | None, port: int, open_page: bool) -> None:
    """Prints the address, and answers until interrupted."""
    from tftrace.views.timeline.server import serve_timeline

    def ready(url: str) -> None:
        click.echo(url)
        click.echo("Every event of the trace, for this machine alone. Ctrl-C ends it.", err=True)
        if open_page:
            click.launch(url)

    serve_timeline(opened(path), port, ready)
