"""`--conv2d SPEC`, of the commands that take convolutions from the command line instead of a trace."""

from __future__ import annotations

import click

from tftrace.model.conv2d_spec import EXAMPLE

conv2d_option = click.option(
    "--conv2d",
    "conv2d",
    metavar="SPEC",
    multiple=True,
    help="A convolution instead of a trace: N,H,W,C:KH,KW,C,K[:strides[:padding[:dtype]]], "
    f"e.g. {EXAMPLE}; then :dilations=2, :layout=NCHW, :direction=backprop_filter or :fused=bias,relu. "
    "May be given several times.",
)
