"""`tftrace doctor`: what this machine lets tftrace observe."""

from __future__ import annotations

import click

from tftrace.cli.trace_argument import json_option, print_json


@click.command("doctor")
@click.option("--python", metavar="PATH", help="Interpreter to ask (default: this one).")
@json_option
def command(python: str | None, as_json: bool) -> None:
    """Check what can be observed here: TensorFlow, GPU, cuDNN, CUPTI, other profilers, disk space.

    Each check is ok, not ok (with what to do), or not checked (with the reason). The exit code is 0 whatever
    they say: most of what is not ok only leaves a layer unobserved.
    """
    from tftrace.capture.doctor import examine

    document = examine(python).document()
    if as_json:
        print_json(document)
        return
    from tftrace.views.terminal import console
    from tftrace.views.terminal import doctor as view

    view.draw(console(), document)
