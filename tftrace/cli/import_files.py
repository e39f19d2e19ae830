"""`tftrace import`: a trace from what others recorded."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import json_option, print_json


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Directory of the trace.")
@click.option("--force", is_flag=True, help="Replace the trace that is there.")
@json_option
def command(files: tuple[Path, ...], output: Path | None, force: bool, as_json: bool) -> None:
    """Make a trace of recorded FILEs, of any mixture of formats: TensorFlow profiles (xplane.pb, a TensorBoard log
    directory), Chrome traces, Nsight Systems SQLite exports, logs of cuDNN, cudnn-frontend, oneDNN.

    A file is known by what it holds, compressed or not. They are joined by process, thread, time and correlation id,
    and copied into the trace, so that its tables can be rebuilt.
    """
    from tftrace.correlate.imported import import_files
    from tftrace.store.manifest import read_manifest

    directory = import_files(files, output, force)
    manifest = read_manifest(directory)
    if as_json:
        print_json({"trace": str(directory), "imported": manifest["imported"], "probes": manifest["probes"]})
        return
    from tftrace.views.terminal import console
    from tftrace.views.terminal import imported as view

    view.draw(console(), directory, manifest)
