"""`tftrace predict`: what cuDNN offers on a GPU that is not here."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.conv2d_option import conv2d_option
from tftrace.cli.trace_argument import json_option, opened, print_json, progress_bar, trace_argument
from tftrace.errors import UsageError
from tftrace.model.conv2d_spec import DIRECTIONS, DTYPES, LAYOUTS


@click.command("predict")
@trace_argument
@conv2d_option
@click.option("--gpu", "gpus", metavar="NAME", multiple=True, required=True,
              help="v100, t4, a100, h100, b200, or a FILE.json of device properties.")  # fmt: skip
@click.option("--cudnn", "cudnns", metavar="VERSION|DIR", multiple=True,
              help="An installed cuDNN: a version, or its directory (default: that of this environment).")  # fmt: skip
@click.option("--direction", "directions", type=click.Choice(DIRECTIONS), multiple=True,
              help="Instead of that of the problem.")  # fmt: skip
@click.option("--layout", "layouts", type=click.Choice(LAYOUTS, case_sensitive=False), multiple=True,
              help="Instead of that of the problem: the layout in which cuDNN computes.")  # fmt: skip
@click.option(
    "--dtype", "dtypes", type=click.Choice(DTYPES), multiple=True, help="Instead of that of the problem."
)
@click.option("--alignment", "alignments", type=click.IntRange(1, 4096), multiple=True,
              help="Of the tensors, in bytes (default: 32, as TensorFlow says of its own).")  # fmt: skip
@click.option("--assume-cublaslt", is_flag=True,
              help="List the engines that need cuBLASLt (FFT) too, although it starts on a GPU only.")  # fmt: skip
@click.option(
    "--top", type=click.IntRange(1), default=10, show_default=True, help="Candidates shown of each list."
)
@json_option
def command(
    trace: Path | None, conv2d: tuple[str, ...], gpus: tuple[str, ...], cudnns: tuple[str, ...],
    directions: tuple[str, ...], layouts: tuple[str, ...], dtypes: tuple[str, ...], alignments: tuple[int, ...],
    assume_cublaslt: bool, top: int, as_json: bool,
) -> None:  # fmt: skip
    """Show what cuDNN's heuristics offer for the convolutions of TRACE (default: the newest under traces/), or
    for those given by --conv2d, on GPUs that need not be here.

    NVIDIA's own library answers, in a child process; nothing is run on a GPU, and which candidate is fastest
    is not known. Of --gpu, --cudnn, --direction, --layout, --dtype and --alignment several may be given, and are
    shown side by side.
    """
    from tftrace.analysis import prediction
    from tftrace.capture import cudnn_install, cudnn_questions
    from tftrace.capture.gpu_properties import gpu
    from tftrace.model.conv2d_spec import parse

    if trace is not None and conv2d:
        raise UsageError("give a trace or --conv2d, not both")
    given = [parse(text) for text in conv2d]
    described = [gpu(name) for name in dict.fromkeys(gpus)]
    installs = [cudnn_install.find(wanted) for wanted in dict.fromkeys(cudnns or (None,))]
    if assume_cublaslt:
        installs = [cudnn_questions.assuming_cublaslt(install) for install in installs]
    loaded = None if conv2d else opened(trace)
    specs, skipped = (given, []) if loaded is None else prediction.specs_of(loaded)
    questions = cudnn_questions.questions(
        cudnn_questions.varied(specs, directions, layouts, dtypes), described, alignments
    )
    with progress_bar("asking cuDNN") as progress:
        replies = cudnn_questions.ask_all(installs, questions, progress)
    document = prediction.document(replies, loaded, skipped)
    if as_json:
        print_json(document)
        return
    from tftrace.views.terminal import console
    from tftrace.views.terminal import prediction as view

    view.draw(console(), document, top)
