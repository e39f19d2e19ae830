"""`tftrace view`: the timeline, or another picture, as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import opened, trace_argument
from tftrace.views.pictures import PICTURES

TIMELINE = "timeline"
METRICS = ("self_us", "device_us", "events")


@click.command("view")
@trace_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Page to write (default: TRACE/timeline.html, ..).",
)
@click.option(
    "--as", "kind", type=click.Choice([TIMELINE, *PICTURES]), default=TIMELINE, show_default=True,
    help="Which picture.",
)  # fmt: skip
@click.option("--op", "pattern", metavar="PATTERN", help="With --as waterfall: the ops, as in `tftrace why`.")
@click.option(
    "--metric", type=click.Choice(METRICS), help="With --as flame: what a width is first (default: self_us)."
)
@click.option(
    "--steady", is_flag=True, help="With --as flame or steps: leave out warm-up, as a waterfall does."
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
    trace: Path | None,
    output: Path | None,
    kind: str,
    pattern: str | None,
    metric: str | None,
    steady: bool,
    open_page: bool,
    max_size: float,
    serve: bool,
    port: int,
) -> None:
    """Write a picture of TRACE (default: the newest under traces/) as one HTML page that opens offline.

    \b
    timeline    every event in time, with the chain of any call a click away
    flame       what ran below which line, as an icicle: widths are time, or another metric
    steps       a bar a step, stacked by layer
    waterfall   what the ops of --op spend in each layer on their way down
    """
    _check(kind, pattern, metric, steady, serve)
    if serve and output:
        raise click.UsageError("--serve writes no page: leave out --output.")
    if port and not serve:
        raise click.UsageError("--port belongs to --serve.")
    if serve:
        serve_page(trace, port, open_page)
        return
    if kind == TIMELINE:
        page = write_page(trace, output, max_size)
    else:
        page = draw(trace, output, kind, pattern, metric or METRICS[0], steady)
    click.echo(str(page))
    if open_page:
        click.launch(page.resolve().as_uri())


def _check(kind: str, pattern: str | None, metric: str | None, steady: bool, serve: bool) -> None:
    if (pattern is not None) != (kind == "waterfall"):
        raise click.UsageError("--as waterfall and --op PATTERN belong together.")
    if metric and kind != "flame":
        raise click.UsageError("--metric belongs to --as flame.")
    if steady and kind not in ("flame", "steps"):
        raise click.UsageError("--steady belongs to --as flame and steps.")
    if serve and kind != TIMELINE:
        raise click.UsageError("--serve serves the timeline.")


def draw(
    path: Path | None, output: Path | None, kind: str, pattern: str | None, metric: str, steady: bool
) -> Path:
    """Writes another picture's page and returns where it is."""
    from tftrace import api
    from tftrace.views.pictures.page import write_picture

    trace = opened(path)
    assert trace.path is not None
    without = ", without warm-up" if steady else ""
    if kind == "flame":
        figure, said = api.flame(trace, metric, steady), f"flame graph{without}"
    elif kind == "steps":
        figure, said = api.steps(trace, steady), f"steps by layer{without}"
    else:
        figure, said = api.waterfall(trace, str(pattern)), f"{pattern}: where its time goes, layer by layer"
    page = output or trace.path / f"{kind}.html"
    write_picture(figure, trace, said, page)
    return page


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
