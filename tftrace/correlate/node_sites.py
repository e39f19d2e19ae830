"""The site of each node of a graph, and the device that a node was made for."""

from __future__ import annotations

import numpy as np

from tftrace.correlate.dispatches import origin_fields, python_stack, short_device
from tftrace.correlate.graphs import Graphs
from tftrace.correlate.pystacks import Origins
from tftrace.correlate.tables.columns import NONE, Int, Interner, TraceBuilder, taken
from tftrace.ingest.agent_raw import RawProcess


def devices_of(words: Interner, raw: RawProcess, node: Int, common: dict[str, int]) -> Int:
    """The device of the process, or with several that of the node where it was made for one that is a CPU."""
    made_for = (short_device(row.get("device")) for row in raw.nodes)
    device = taken(words.codes(name if name and ":CPU:" in name else None for name in made_for), node)
    return np.where((device != NONE) & (common["device"] == NONE), device, common["device"])


def node_sites_of(build: TraceBuilder, graphs: Graphs, origins: Origins, common: dict[str, int]) -> Int:
    numbers = np.empty(len(graphs.nodes), np.int64)
    for i, row in enumerate(graphs.nodes):
        key = int(row["stack"])
        origin = origins.of(key)
        number = int(row["graph"])
        numbers[i] = build.site(
            op=str(row["op"]), mode=graphs.mode(number), graph=graphs.label(number), graph_id=graphs.id(number),
            node=str(row["node"]),
            trace_us=None if row.get("imported") else int(row["ns"]) / 1000,
            stack_id=python_stack(build, common["pid"], key, origin), executions=0,
            **origin_fields(origin),
        )  # fmt: skip
    return numbers
