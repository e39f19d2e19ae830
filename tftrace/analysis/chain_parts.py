"""What `why` answers with: groups of executions, the eight entries of their chain, and places in Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tftrace.analysis.hops import Hop
from tftrace.analysis.libraries import Library
from tftrace.model.layers import Layer


@dataclass(frozen=True)
class Place:
    """A line of Python; `code` is None where the source was left out or not found."""

    file: str
    line: int
    code: str | None = None
    count: int | None = None  # of a line that ran a graph: how many of the group's executions it ran


@dataclass(frozen=True)
class Entry:
    """One layer of a chain. `name` is None where no call of the group shows the layer; `reason` then says why.

    Times are sums over the group, in us. `evidence` is the weakest grade over the group's calls of the link that leads
    into the layer, `rule` made it, from the layer `parent`; `evidence_counts` counts calls by grade.
    """

    layer: Layer
    name: str | None
    names: list[str]
    where: str | None
    total_us: float | None
    self_us: float | None
    evidence: str | None
    rule: str | None
    reason: str | None
    parent: str | None = None
    calls: int = 0
    evidence_counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Executions of one site on one device, with one problem and the same library calls: a `group` of the why contract.

    `device_work` lists what the device ran by name, with count and total_us, the costliest first, an autotuner's
    trials (`tuning`) behind the rest.
    `native_stack` holds the C++ functions of the most frequent stack of the main library call, innermost first, up to
    where Python begins; `native_stacks` says how many different ones there are. `hops` tells, for the steps on it that
    no call in the source explains, how control gets there.
    `made_in` is the graph that the op's node stands in, with the line that made it (None in eager mode), `sessions`
    those of TensorFlow's sessions that ran it, each with the line that opened it and the `count` of executions.
    """

    count: int
    op: str
    mode: str
    device: str | None
    python: Place | None
    caller: Place | None
    callers: list[Place]
    chain: list[Entry]
    library: Library | None
    library_calls: list[dict[str, Any]]
    device_work: list[dict[str, Any]]
    native_stack: list[dict[str, Any]]
    native_stacks: int
    hops: list[Hop]
    total_us: float
    cpu_us: float | None
    warm_up: int
    evidence_counts: dict[str, int]
    shapes: Any
    dtypes: Any
    op_attrs: Any
    graph: str | None
    made_in: dict[str, Any] | None
    sessions: list[dict[str, Any]]
    node: str | None
    site_id: int
    synthetic: bool
    fused: list[dict[str, Any]] = field(default_factory=list)  # what its kernel computes besides
