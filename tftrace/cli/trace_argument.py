"""What commands that read a trace share: finding it, opening it, and `--json`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tftrace.errors import InputError

if TYPE_CHECKING:
    from tftrace.model.trace import Trace

trace_argument = click.argument("trace", type=click.Path(path_type=Path), required=False)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)

PATIENCE_S = 1.0


def opened(path: Path | None) -> Trace:
    """The trace at `path`, or else the newest below traces/, which is then named on stderr."""
    from tftrace.api import load

    if path is None:
        from tftrace.store.directory import DEFAULT_ROOT, list_traces

        found = list_traces(DEFAULT_ROOT)
        if not found:
            raise InputError(
                f"no trace given, and none under {DEFAULT_ROOT}/; record one with 'tftrace run SCRIPT'"
            )
        path = found[0]
        click.echo(f"tftrace: reading the newest trace, {path}", err=True)
    with progress_bar("building") as progress:
        return load(path, progress)


def print_json(document: dict[str, Any]) -> None:
    """The document on stdout, floats that are no number as null."""
    import orjson

    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
    click.echo(body.decode())


def print_json_lines(documents: Iterable[dict[str, Any]]) -> None:
    """One document a line on stdout."""
    import orjson

    for document in documents:
        click.echo(orjson.dumps(document).decode())


@contextmanager
def progress_bar(title: str, quiet: bool = False) -> Iterator[Callable[[str, float], None] | None]:
    """A callback (what is being done, how far from 0 to 1) that draws a bar on stderr once a second has
    passed.

    None, and no bar, with `quiet` or where stderr is no terminal.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(title, total=1.0)
    # by a timer, not in the callback: one long step makes no calls, and that is when a bar is wanted
    timer = threading.Timer(PATIENCE_S, bar.start)
    timer.daemon = True
    timer.start()

    def tell(what: str, done: float) -> None:
        bar.update(task, description=what, completed=done)

    try:
        yield tell
    finally:
        timer.cancel()
        timer.join()
        bar.stop()
