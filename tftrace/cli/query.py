"""`tftrace query`: SQL over the tables of a trace."""

from __future__ import annotations

from pathlib import Path

import click

from tftrace.cli.trace_argument import json_option, opened, print_json


@click.command("query")
@click.argument("trace", type=click.Path(path_type=Path))
@click.argument("sql")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Rows shown as text."
)
@json_option
def command(trace: Path, sql: str, limit: int, as_json: bool) -> None:
    """Answer SQL, one SELECT of DuckDB's dialect, from the tables of TRACE: events, links, sites, calls,
    event_calls, stacks, algorithms.

    A query has no access to anything outside the trace.
    """
    from tftrace.analysis.query import query

    answer = query(opened(trace), sql)
    rows = answer.astype(object).where(answer.notna(), None).to_dict("records")
    if as_json:
        print_json({"trace": trace.name, "columns": list(map(str, answer.columns)), "rows": rows})
        return
    from tftrace.views.terminal import console
    from tftrace.views.terminal.query import draw

    draw(console(), rows, limit)
