"""`tftrace why`: the chain of an op through the layers."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import json_option, opened, print_json, trace_argument


@click.command("why")
@click.argument("pattern")
@trace_argument
@json_option
def command(pattern: str, trace: Path | None, as_json: bool) -> None:
    """Show how every op that matches PATTERN is executed, from the Python line down to the library.

    PATTERN is a glob on the op type or the generated op: conv2d, 'Conv2D*', gen_nn_ops.relu. With api:,
    line:, kernel: or library: in front it looks there: api:tf.nn.conv2d, line:train.py:12, kernel:*Mkl*,
    library:convolution.

    TRACE defaults to the newest under traces/.
    """
    from tftrace.analysis import chain

    document = chain.document(opened(trace), pattern)
    if as_json:
        print_json(document)
        return
    from tftrace.views.terminal import chain as view
    from tftrace.views.terminal import console

    view.draw(console(), document)
