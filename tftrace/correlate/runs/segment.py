"""One segment of a process: its events, their links, and the time of each layer in each of its calls.

Who runs what is found in this order: exact ids first (our own range ids, the native stack, TensorFlow's producer and
step ids), then containment on one thread, and only then time; each link says which.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.graphs.graphs import Graphs
from tftrace.correlate.ledger.profile_algorithms import OpWork
from tftrace.correlate.ledger.trial_spans import mark_launched_in_trials
from tftrace.correlate.libraries.cudnn import Cudnn, Ran, add_cudnn
from tftrace.correlate.libraries.library_calls import LibraryCalls, joined
from tftrace.correlate.libraries.primitives import Primitives, add_primitives
from tftrace.correlate.nesting import nest, past
from tftrace.correlate.profiles.handovers import hand_over
from tftrace.correlate.profiles.launched_work import launched_work
from tftrace.correlate.profiles.launches import Counts
from tftrace.correlate.profiles.profile import ProfileEvents, read_windows
from tftrace.correlate.profiles.xla_work import Instruction, XlaRuns, compiled_nodes, thunks
from tftrace.correlate.runs.device_calls import add_device_calls
from tftrace.correlate.runs.dispatch_kinds import DispatchKinds
from tftrace.correlate.runs.dispatches import Dispatches, add_dispatches
from tftrace.correlate.runs.executors import PROBE as EXECUTOR_LOG
from tftrace.correlate.runs.executors import Executors
from tftrace.correlate.runs.layer_times import layer_times
from tftrace.correlate.runs.node_calls import NodeCalls, add_node_calls
from tftrace.correlate.runs.node_sites import NodeSites
from tftrace.correlate.runs.own_work import add_own_work
from tftrace.correlate.runs.segments import Segment
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, taken
from tftrace.ingest.agent_raw import RawProcess
from tftrace.store.pages import Growing


@dataclass(frozen=True)
class Known:
    """What the segments of a process have in common. `common` are the columns of its events, `on_cpu` those of what
    oneDNN ran, and of what called it; `making` is the event that made each node; `turns` are the places of calls and of
    executions of nodes."""

    clock: Clock
    graphs: Graphs
    kinds: DispatchKinds
    nodes: NodeSites
    cudnn: Cudnn
    primitives: Primitives
    logged: Executors | None
    making: Int
    common: dict[str, int]
    on_cpu: dict[str, int]
    end_raw: int
    turns: tuple[int, int]

    @property
    def host(self) -> dict[str, int]:
        return {name: self.common[name] for name in ("host", "pid")}


@dataclass
class Found:
    """What is told of all segments together. `runtime`: the event of the entry of each dispatch record, where it is
    asked for."""

    runtime: Growing | None = None
    profile_events: int = 0
    outside: int = 0  # calls that began while no window of the profiler was open
    node_calls: int = 0
    options: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    work: Counts = field(default_factory=Counts)
    op_work: list[OpWork] = field(default_factory=list)
    primitives: Counter[str] = field(default_factory=Counter)
    unwrapped: Counter[str] = field(default_factory=Counter)
    executions: list[Ran] = field(default_factory=list)
    xla: XlaRuns = field(default_factory=XlaRuns)
    instructions: dict[Instruction, None] = field(default_factory=dict)


def add_segment(segment: Segment, known: Known, build: TraceBuilder, found: Found) -> None:
    raw, clock, graphs, common, on_cpu = segment.raw, known.clock, known.graphs, known.common, known.on_cpu
    logged = known.logged
    probe = EXECUTOR_LOG if logged is not None and logged.told_runs else "dispatch"
    calls = add_dispatches(segment, known.kinds, clock, build, common, known.end_raw, known.turns[0], probe)
    if found.runtime is not None:
        found.runtime.add(taken(calls.runtime, calls.record))
    cudnn = add_cudnn(raw, segment.cudnn, known.cudnn, clock, build, common)
    onednn = add_primitives(raw, segment.lines, known.primitives, clock, build, on_cpu)
    if logged is not None:
        profile = logged.events(clock, build, common, calls)
        logged.join(build, clock, calls, common)
    else:
        profile = read_windows(raw, clock, build, common, calls, cudnn.calls, onednn)
    mark_launched_in_trials(build, profile, cudnn)
    primitives = joined(onednn, cudnn.calls)
    add_own_work(raw, known.primitives.trust, clock, build, known.host)

    parent_of, root_of = _links(build, calls, profile, primitives)
    found.xla.add(thunks(build, graphs, calls, profile, parent_of, root_of))
    nodes = add_node_calls(
        build, raw, clock, graphs, known.nodes, calls, profile, primitives, root_of, parent_of, known.making, on_cpu,
        known.turns[1] + found.node_calls,
    )  # fmt: skip
    found.node_calls += len(nodes.call)
    if raw.without_python:
        _place_by_work(build, calls, profile, primitives, nodes, root_of, logged)
    found.instructions |= dict.fromkeys(compiled_nodes(build, calls, profile, root_of))
    served = add_device_calls(build, calls, profile, nodes, parent_of, root_of)
    layer_times(build, calls, profile, primitives, nodes, root_of, served)
    launched = launched_work(profile, parent_of, len(calls.runtime), len(primitives.ids))
    of_cudnn = launched.of(slice(len(primitives.ids) - len(cudnn.first), None))
    found.executions.append(cudnn.ran(of_cudnn))

    found.op_work += profile.op_work
    found.unwrapped.update(_unwrapped(build, calls, profile, root_of))
    found.options += profile.options
    found.problems += profile.problems
    found.work += profile.counts
    found.primitives.update(primitives.counts)
    if logged is None:
        found.profile_events += len(profile.ids)
        found.outside += _outside(raw, clock, calls)


def _links(
    build: TraceBuilder, calls: Dispatches, profile: ProfileEvents, prim: LibraryCalls
) -> tuple[Int, Int]:
    """Links between entries, TensorFlow's events and primitives.

    Returns, for the joined array (entries, profile events, primitives): the parent of each (index into that array, or
    NONE) and the entry each leads back to (row of `calls`, or NONE).
    """
    nd, npf, ni = len(calls.runtime), len(profile.ids), len(prim.ids)
    ids = np.concatenate([calls.runtime, profile.ids, prim.ids])
    tid = np.concatenate([calls.tid, profile.tid, prim.tid])
    start = np.concatenate([calls.start, profile.start, prim.start])
    end = np.concatenate([calls.end, profile.end, prim.end])
    # an execution that one launch tells begins and ends with it
    rank = np.concatenate([np.zeros(nd, np.int64), np.where(profile.is_launch, 3, 1), np.full(ni, 2)])
    parent, _ = nest(tid, start, end, rank)

    # a kernel whose Compute stands on one native stack with the executor below it and the primitive above it
    shown = np.array([s is not None and s.kernel is not None and s.in_executor for s in prim.stack], bool)
    strong = np.zeros(len(ids), bool)
    witness = parent[nd + npf :][prim.is_library & prim.verified & shown]
    strong[witness[(witness >= nd) & (witness < nd + npf)]] = True
    strong[nd : nd + npf] &= profile.is_kernel
    is_profile = parent >= 0
    is_profile[:nd] = is_profile[nd + npf :] = False
    # a launch that an annotation leads to its kernel still has the library call in which it began
    told = np.flatnonzero(profile.told) + nd
    around = parent.copy()
    around[told] = past(parent, told, nd, nd + npf)
    is_profile[told] = around[told] >= nd + npf
    for mask, rule, evidence in ((strong, "native stack", "measured"), (~strong, "containment", "joined")):
        chosen = is_profile & mask
        build.link(ids[chosen], ids[around[chosen]], rule, evidence)

    # hand-overs between threads
    inner = parent[nd : nd + npf]
    handed = inner.copy()  # where there was no parent: a position among the profile's events
    hand_over(build, profile.ids, handed, profile.name, profile.producer, profile.consumer, profile.step)
    parent[nd : nd + npf] = np.where((inner < 0) & (handed >= 0), handed + nd, inner)

    # primitives: the dispatch that was running on the thread, by our own id, where nothing lies between
    at = np.arange(nd + npf, nd + npf + ni)
    orphan = at[(parent[at] < 0) & (prim.call_record >= 0)]
    record = calls.record[prim.call_record[orphan - nd - npf]] if len(orphan) else np.empty(0, np.int64)
    parent[orphan] = record

    root = np.where(np.arange(len(ids)) < nd, np.arange(len(ids)), NONE)
    step_to = parent.copy()
    for _ in range(64):  # pointer jumping: each round doubles the distance covered
        open_ = (root < 0) & (step_to >= 0)
        if not open_.any():
            break
        root[open_] = root[step_to[open_]]
        step_to[open_] = np.where(root[open_] < 0, step_to[step_to[open_]], NONE)
    # a nested entry is its own root: an entry's root is itself
    _graph_overlap(calls, root, start, nd)
    return parent, root


def _graph_overlap(calls: Dispatches, root: Int, start: Int, nd: int) -> None:
    """Work on other threads with no id at all: where exactly one graph was running then, it is that one's."""
    lost = np.flatnonzero(root[nd:] < 0) + nd
    runs = np.flatnonzero(calls.graph != NONE)
    if len(lost) == 0 or len(runs) == 0:
        return
    order = runs[np.argsort(calls.start[runs], kind="stable")]
    at = np.searchsorted(calls.start[order], start[lost], "right") - 1
    inside = at >= 0
    reach = np.maximum.accumulate(calls.end[order])
    previous = np.concatenate(([np.iinfo(np.int64).min], reach[:-1]))
    row = order[np.maximum(at, 0)]
    alone = inside & (start[lost] < calls.end[row]) & (previous[np.maximum(at, 0)] <= start[lost])
    root[lost[alone]] = row[alone]


def _place_by_work(
    build: TraceBuilder, calls: Dispatches, profile: ProfileEvents, prim: LibraryCalls, nodes: NodeCalls, root: Int,
    logged: Executors | None,
) -> None:  # fmt: skip
    """The device of each call of a process that did not tell its devices: that of the work which was seen of it."""
    nd, npf = len(calls.runtime), len(profile.ids)
    cpu = build.words.code("/device:CPU:0")
    device = np.full(nd, NONE, np.int64)
    served = root[nd + npf :][prim.on_cpu]
    device[served[served >= 0]] = cpu
    if logged is not None and len(nodes.call):
        of_row, placed = logged.devices(build), np.full(len(nodes.call), NONE, np.int64)
        under = root[nd : nd + npf]
        device[under[(under >= 0) & (of_row != NONE)]] = of_row[(under >= 0) & (of_row != NONE)]
        rows = np.flatnonzero(nodes.of_profile >= 0)
        placed[nodes.of_profile[rows]] = of_row[rows]
        build.place_calls(nodes.call, placed)
    build.place_calls(calls.call, device)


def _unwrapped(build: TraceBuilder, calls: Dispatches, profile: ProfileEvents, root: Int) -> dict[str, int]:
    """Eager ops that TensorFlow ran by itself, by type: constants, reads of variables inside another op's call.

    No generated wrapper made them, so no dispatch record stands for them; only profile windows show them.
    """
    rows = np.flatnonzero(profile.eager_op != NONE)
    nd = len(calls.runtime)
    ops = build.words.codes(calls.op)
    owner = root[nd + rows]
    wrapped = (
        (owner >= 0) & (ops[calls.description[np.maximum(owner, 0)]] == profile.eager_op[rows])
        if nd
        else owner >= 0
    )
    codes, counts = np.unique(profile.eager_op[rows[~wrapped]], return_counts=True)
    return {build.words.values[c]: int(n) for c, n in zip(codes.tolist(), counts.tolist(), strict=True)}


def _outside(raw: RawProcess, clock: Clock, calls: Dispatches) -> int:
    """Calls that began while no profile window was open."""
    covered = np.zeros(len(calls.start), bool)
    for window in raw.windows:
        if not window.get("lost"):
            span = clock.from_raw(np.array([window["open"], window["close"]], np.int64))
            covered |= (calls.start >= span[0]) & (calls.start < span[1])
    return int((~covered).sum())
