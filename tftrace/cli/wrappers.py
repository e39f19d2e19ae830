"""`tftrace wrappers`: what the public functions of a module come down to."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import json_option, print_json, progress_bar


@click.command("wrappers")
@click.argument("names", nargs=-1, required=True, metavar="MODULE|NAME..")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HTML page to write as well.")
@click.option("--python", metavar="PATH", help="Interpreter to call them in (default: this one).")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True,
    help="How long a function may take before it is given up.",
)  # fmt: skip
@click.option(
    "--memory-mb", type=click.IntRange(min=64), default=4096, show_default=True,
    help="How much more memory the functions may ask for.",
)  # fmt: skip
@json_option
def command(
    names: tuple[str, ...],
    output: Path | None,
    python: str | None,
    seconds: float,
    memory_mb: int,
    as_json: bool,
) -> None:
    """Call public functions on generated arguments and show which op calls they come down to, and which of
    TensorFlow's own functions do the same.

    MODULE stands for all public functions in it, such as tf.keras.backend, keras.ops, tf.nn or tf_slim. They run in
    processes of their own, which a function may hang or crash. The first time with a TensorFlow its own functions are
    called too, to know what they do; the outcome is kept in the user's cache.
    """
    from tftrace.analysis import wrappers
    from tftrace.capture.wrappers import Limits, trace

    with progress_bar("calling functions", quiet=as_json) as progress:
        traced, index = trace(names, python, Limits(seconds, memory_mb), progress)
    document = wrappers.document(names, traced.versions, traced.functions, traced.records, index)
    if output is not None:
        from tftrace.views.wrappers import write_wrappers

        write_wrappers(document, output)
    if as_json:
        print_json(document)
        return
    from tftrace.views.terminal import console
    from tftrace.views.terminal import wrappers as view

    view.draw(console(), document)
    if output is not None:
        click.echo(str(output))
