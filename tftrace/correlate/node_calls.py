"""Executions of nodes of graphs: what is made of them in `calls`, and what later steps read."""

from __future__ import annotations

from dataclasses import dataclass

from tftrace.correlate.tables.columns import Int


@dataclass(frozen=True)
class NodeCalls:
    call: Int  # per node execution
    tid: Int
    total: Int  # time of its kernels, ns
    of_profile: Int  # profile row -> position here, or NONE
    of_primitive: Int  # primitive row -> position here, or NONE
    kernel_start: Int  # kernels derived from native stacks ..
    kernel_end: Int
    kernel_root: Int  # .. and the entry each belongs to
