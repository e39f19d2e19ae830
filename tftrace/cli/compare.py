"""`tftrace compare`: the algorithms and times of several runs."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import json_option, opened, print_json
from tftrace.errors import GateError


@click.command("compare")
@click.argument("traces", nargs=-1, type=click.Path(path_type=Path), metavar="TRACE TRACE..")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write an HTML page, too.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--fail-on", "gates", multiple=True, metavar="GATE",
    help="End with exit code 1 if this gate fails; may be given several times.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows shown as text."
)
@json_option
def command(
    traces: tuple[Path, ...], output: Path | None, open_page: bool, gates: tuple[str, ...], limit: int, as_json: bool
) -> None:  # fmt: skip
    """Compare runs with the first TRACE, the baseline: which algorithm each problem got and in which time, what ops
    and kernels cost, what only some of the runs have.

    A GATE is algorithm-changed, unexplained (for no visible reason), problem-missing, problem-new, op-missing, op-new,
    unjudged, slower or op-slower; the last two take a threshold: slower>5%, slower>10us. What lies within the noise
    fails none.
    """
    from tftrace.analysis.comparison import compare
    from tftrace.analysis.comparison import gates as judging

    wanted = [judging.parse(gate) for gate in gates]
    document = dict(compare([opened(path) for path in traces]).document)
    outcomes = judging.judge(document, wanted)
    document["gates"] = [one.document() for one in outcomes]
    if output is not None:
        from tftrace.views.comparison.page import write_comparison

        write_comparison(document, output)
        if open_page:
            click.launch(output.resolve().as_uri())
    if as_json:
        print_json(document)
    else:
        from tftrace.views.terminal import comparison as view
        from tftrace.views.terminal import console

        view.draw(console(), document, limit)
        view.draw_gates(console(), document["gates"])
        if output is not None:
            click.echo(str(output))
    failed = judging.verdict(outcomes)
    if failed is not None:
        raise GateError(failed)
