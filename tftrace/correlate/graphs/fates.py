"""What may become of a node that does not run by itself, and what XLA made of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tftrace.correlate.graphs.graphs import Graphs

FUSED, FOLDED, PRUNED, MERGED, REMOVED, REWRITTEN, ADDED = (
    "fused",
    "folded",
    "pruned",
    "merged",
    "removed",
    "rewritten",
    "added",
)
SILENT: Final = ("Placeholder", "NoOp", "_Arg", "_Retval", "PlaceholderWithDefault")


@dataclass(frozen=True)
class Fate:
    """`into` is the node (of the graph that ran, or an instruction of XLA) that does its work, `kernel` that node's op,
    `row` the made node which stands for it, None where there is none."""

    fate: str
    into: str | None = None
    kernel: str | None = None
    row: int | None = None


def swallowed(
    graphs: Graphs, instructions: Iterable[tuple[int, str, str | None, Sequence[str]]], ran: set[int]
) -> dict[int, Fate]:
    """What XLA's instructions compute beside the node that they are counted for.

    `instructions` are (graph, instruction, its node, the others); `ran` the rows of nodes with kernels of their own.
    """
    fates: dict[int, Fate] = {}
    for graph, instruction, node, others in instructions:
        principal = graphs.resolve(graph, node)[0] if node is not None else None
        for other in others:
            row = graphs.resolve(graph, other)[0]
            if row is not None and row not in ran and row != principal:
                fates.setdefault(row, Fate(FUSED, instruction, "XLA", principal))
    for number in {graph for graph, *_ in instructions}:
        for row in graphs.by_number[number].nodes.values() if number in graphs.by_number else ():
            if row not in ran and row not in fates and str(graphs.nodes[row]["op"]) not in (*SILENT, "Const"):
                fates[row] = Fate(REMOVED, None, "XLA")  # no instruction of the program was made of it
    return fates


def settle_fates(sites: list[dict[str, Any]], of_row: Any, fates: dict[int, Fate]) -> None:
    """Writes the fates into the sites of the nodes; a node that ran by itself keeps none but `rewritten`."""
    for row, fate in fates.items():
        site = sites[int(of_row[row])]
        if site["executions"] and fate.fate != REWRITTEN:
            continue
        into_site = int(of_row[fate.row]) if fate.row is not None else None
        site.update(fate=fate.fate, into=fate.into, into_kernel=fate.kernel, into_site=into_site)
