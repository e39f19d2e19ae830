"""Where the rows of a profile lie in the tables of a trace, whatever the order in which its slices are joined."""

from __future__ import annotations

from dataclasses import dataclass

from tftrace.correlate.tables.columns import Int


@dataclass(frozen=True)
class Ranks:
    """Ranks (`TraceBuilder.turns`) of what is made of each event of a profile: parallel to them."""

    host: Int
    work: Int
    programs: Int
    runs: Int  # of the execution that begins with it
    kernel_calls: Int
    run_calls: Int


def ranked(order: Ranks | None, of: str, rows: Int) -> dict[str, Int]:
    """The ranks of some rows, in the column `of`, as `TraceBuilder.events` takes them."""
    return {} if order is None else {"order": getattr(order, of)[rows]}
