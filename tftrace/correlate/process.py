"""One process from raw records to the trace's tables: events, their links, sites, calls.

Who runs what is found in this order: exact ids first (our own range ids, the native stack, TensorFlow's producer and
step ids), then containment on one thread, and only then time; each link says which.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from tftrace.correlate import graph_runs
from tftrace.correlate.calls import add_node_calls, layer_times
from tftrace.correlate.clocks import Clock
from tftrace.correlate.device_calls import add_device_calls
from tftrace.correlate.dispatches import Dispatches, add_dispatches, python_stack, stack_events
from tftrace.correlate.executors import PROBE as EXECUTOR_LOG
from tftrace.correlate.executors import Executors, read_executors
from tftrace.correlate.fates import settle_fates, swallowed
from tftrace.correlate.federated import Asked, add_requests
from tftrace.correlate.graphs import Graphs
from tftrace.correlate.ledger.cudnn_algorithms import Executions, add_algorithms
from tftrace.correlate.ledger.profile_algorithms import add_profile_algorithms
from tftrace.correlate.ledger.trial_spans import mark_launched_in_trials
from tftrace.correlate.libraries.cudnn import add_cudnn
from tftrace.correlate.libraries.library_calls import LibraryCalls, joined
from tftrace.correlate.libraries.native import NativeStacks
from tftrace.correlate.libraries.primitives import add_primitives
from tftrace.correlate.nesting import nest, past
from tftrace.correlate.node_calls import NodeCalls
from tftrace.correlate.optimized import optimized
from tftrace.correlate.own_work import add_own_work, own_cost
from tftrace.correlate.profiles.handovers import hand_over
from tftrace.correlate.profiles.launched_work import launched_work
from tftrace.correlate.profiles.profile import ProfileEvents, read_windows
from tftrace.correlate.profiles.xla_work import compiled_nodes, thunks
from tftrace.correlate.pystacks import Origins
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder
from tftrace.correlate.tf_logs import add_tf_log
from tftrace.correlate.tracings import tracing_rows
from tftrace.correlate.uncompared import Uncompared
from tftrace.ingest.agent_raw import RawProcess
from tftrace.ingest.cudnn.calls import read_cudnn, version_text


class ProcessFacts:
    """What the manifest wants to know of a process."""

    def __init__(self) -> None:
        self.profile_events = 0
        self.profile_lost = 0
        self.device_work: dict[str, int] = {}
        self.options: list[dict[str, Any]] = []
        self.primitives: dict[str, int] = {}
        self.cudnn_version: str | None = None
        self.tf_log: dict[str, int] = {}
        self.fallbacks = 0
        self.clock_steps = 0
        self.own_us: dict[str, float | None] = {}
        self.unresolved: dict[str, int] = {}
        self.unwrapped: dict[str, int] = {}
        self.events = 0
        self.problems: list[str] = []
        self.graphs: list[dict[str, Any]] = []
        self.sessions: list[dict[str, Any]] = []
        self.failures: list[dict[str, Any]] = []
        self.exception: dict[str, Any] | None = None
        self.tracings: list[dict[str, Any]] = []
        self.asked: Asked | None = None  # of another process
        self.logged = 0  # executions of nodes that executors logged


def add_process(
    raw: RawProcess, build: TraceBuilder, source: bool, asked: Asked | None = None
) -> ProcessFacts:
    """`asked`: what the process that started this one asked of it, where that is known."""
    facts = ProcessFacts()
    if len(raw.clocks) == 0:
        return facts
    clock = Clock(raw.clocks)
    facts.clock_steps = clock.steps
    words = build.words
    host = {"host": words.code(str(raw.process["host"])), "pid": int(raw.process["pid"])}
    devices = [str(d["name"]) for d in raw.status.get("devices", [])]
    one_cpu = all("CPU" in d for d in devices) and len(devices) <= 1  # more: logical devices of one processor
    cpu = words.code("/device:CPU:0")
    # a process without Python does not tell its devices: of those only what its work shows is known
    common = {**host, "device": cpu if one_cpu and not raw.without_python else NONE}
    on_cpu = common | ({"device": cpu} if raw.without_python else {})  # what oneDNN ran, and what called it
    before = build.event_count

    logged = read_executors(raw, asked)
    raw = raw if logged is None else logged.raw
    origins = Origins(raw, source)
    graphs = Graphs(raw.graphs, raw.nodes, build.graphs, build.tf_sessions)
    graphs.native = raw.without_python
    graphs.when = lambda made: int(clock.from_raw(np.array([made], np.int64))[0])
    graphs.place = lambda stack: origins.of(stack).python
    facts.graphs = graph_runs.graph_rows(raw, graphs, origins)
    facts.sessions = graph_runs.session_rows(raw, graphs, origins)
    facts.failures = graph_runs.failure_rows(raw, graphs, origins, clock)
    facts.exception = graph_runs.exception(raw, origins)
    facts.tracings = tracing_rows(raw, graphs, origins)
    build.graphs += max(graphs.by_number, default=0)
    build.tf_sessions += len(raw.opened)
    end_raw = int(raw.status.get("stopped") or raw.clocks["raw"].max())
    calls = add_dispatches(
        raw,
        clock,
        build,
        origins,
        graphs,
        common,
        end_raw,
        EXECUTOR_LOG if logged is not None and logged.told_runs else "dispatch",
    )
    facts.fallbacks = calls.fallbacks
    ran = optimized(graphs, raw.optimized, _first_runs(raw, calls))
    graphs.principals, graphs.added = ran.principals, ran.added
    uncompared = Uncompared(graphs, ran)
    graphs.core = uncompared.core
    making = logged.making if logged else _graph_construction(raw, clock, build, origins, host)
    facts.asked = add_requests(raw, clock, build, origins, host, making)
    stacks = NativeStacks(raw)
    found = read_cudnn(raw.path)
    facts.cudnn_version = found.version or _told_version(raw)
    cudnn = add_cudnn(raw, found, clock, build, common, stacks)
    onednn = add_primitives(raw, clock, build, on_cpu, stacks)
    if logged is not None:
        profile = logged.events(clock, build, common, calls)
        logged.join(build, clock, calls, common)
    else:
        profile = read_windows(raw, clock, build, common, calls, cudnn.calls, onednn)
    mark_launched_in_trials(build, profile, cudnn)
    primitives = joined(onednn, cudnn.calls)
    add_own_work(raw, clock, build, host)

    parent_of, root_of = _links(build, calls, profile, primitives)
    compiled = thunks(build, graphs, calls, profile, parent_of, root_of)
    nodes = add_node_calls(
        build, raw, clock, graphs, origins, calls, profile, primitives, root_of, parent_of, making, compiled, on_cpu,
    )  # fmt: skip
    if raw.without_python:
        _place_by_work(build, calls, profile, primitives, nodes, root_of, logged)
    facts.unresolved = nodes.unresolved
    fates = ran.fates | swallowed(graphs, *compiled_nodes(build, calls, profile, nodes, root_of))
    settle_fates(build.sites, nodes.sites, uncompared.of_others(build.sites, nodes.sites, nodes.ran) | fates)
    served = add_device_calls(build, calls, profile, nodes, parent_of, root_of)
    layer_times(build, calls, profile, primitives, nodes, root_of, served)
    launched = launched_work(profile, parent_of, len(calls.runtime), len(primitives.ids))
    of_cudnn = launched.of(slice(len(primitives.ids) - len(cudnn.first), None))
    done = cudnn.executions(of_cudnn, build, _only_gpu(devices))
    add_algorithms(build, found, done)
    if (
        not found.works
    ):  # the calls themselves were not seen: their kernels are what is left to tell the algorithm
        add_profile_algorithms(build, profile.op_work, {})
    facts.tf_log = _tf_log(raw, clock, build, common, calls, done)

    facts.unwrapped = _unwrapped(build, calls, profile, root_of)
    facts.events = build.event_count - before
    facts.profile_events = len(profile.ids) if logged is None else 0
    facts.logged = len(logged.log.nodes) if logged is not None else 0
    facts.options = profile.options
    facts.problems = profile.problems
    facts.device_work = asdict(profile.counts)
    facts.profile_lost = _outside(raw, clock, calls) if logged is None else 0
    facts.primitives = primitives.counts
    facts.own_us = own_cost(raw, found.records)
    return facts


def _tf_log(
    raw: RawProcess,
    clock: Clock,
    build: TraceBuilder,
    common: dict[str, int],
    calls: Dispatches,
    done: Executions,
) -> dict[str, int]:
    """Messages of TensorFlow's log, linked to the entry they came under by the number of its record."""
    messages = raw.tf_log()
    ids, records, counts = add_tf_log(messages, clock, build, common, done.tuned_on)
    if not any(counts.values()):
        return {}
    inside = np.flatnonzero((records >= 0) & (records < len(calls.record)))
    rows = calls.record[records[inside]]
    known = rows >= 0
    build.link(ids[inside[known]], calls.runtime[rows[known]], "range id", "measured")
    return counts | {"cut_messages": messages.cut}


def _graph_construction(
    raw: RawProcess, clock: Clock, build: TraceBuilder, origins: Origins, host: dict[str, int]
) -> Int:
    """Events of the layers python, api and gen_op for the making of each node; the innermost one of each node."""
    if not raw.nodes:
        return np.empty(0, np.int64)
    made: dict[tuple[int, int], int] = {}  # nodes that were imported together have one event
    rows: list[dict[str, Any]] = []
    event_of: list[int] = []
    for row in raw.nodes:
        key = (int(row["t"]), int(row["tid"])) if row.get("imported") else (-1, len(rows))
        event_of.append(made.setdefault(key, len(rows)))
        if event_of[-1] == len(rows):
            rows.append(row)
    keys = np.array([int(r["stack"]) for r in rows], np.uint64)
    unique, which = np.unique(keys, return_inverse=True)
    known = [origins.of(int(k)) for k in unique]
    stack_ids = np.array(
        [python_stack(build, host["pid"], int(k), o) for k, o in zip(unique, known, strict=True)], np.int64
    )
    start = clock.from_raw(np.array([int(r["t"]) for r in rows], np.int64))
    python, api, gen_op = stack_events(
        build, host, known, which, "graph", start_ns=start,
        dur_ns=np.array([int(r["ns"]) for r in rows], np.int64),
        tid=np.array([int(r["tid"]) for r in rows], np.int64), stack_id=stack_ids[which],
    )  # fmt: skip
    innermost = np.where(gen_op != NONE, gen_op, np.where(api != NONE, api, python))
    return np.asarray(innermost[np.array(event_of)], np.int64)


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


def _first_runs(raw: RawProcess, calls: Dispatches) -> dict[int, int]:
    """When each graph was first run, by its number, in ns of the records."""
    began = raw.dispatch["t0"][calls.record >= 0]
    graphs, first = np.unique(calls.graph, return_index=True)
    return {int(g): int(began[i]) for g, i in zip(graphs.tolist(), first.tolist(), strict=True) if g != NONE}


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


def _only_gpu(devices: list[str]) -> str | None:
    names = [d for d in devices if "GPU" in d]
    return names[0] if len(names) == 1 else None


def _told_version(raw: RawProcess) -> str | None:
    """cuDNN's version where TensorFlow asked for it before this recording began."""
    told = next((p.get("version") for p in raw.status.get("probes", []) if p.get("name") == "cudnn"), None)
    return version_text(told) if isinstance(told, int) else None


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


def _outside(raw: RawProcess, clock: Clock, calls: Dispatches) -> int:
    """Calls that began while no profile window was open."""
    covered = np.zeros(len(calls.start), bool)
    for window in raw.windows:
        if not window.get("lost"):
            span = clock.from_raw(np.array([window["open"], window["close"]], np.int64))
            covered |= (calls.start >= span[0]) & (calls.start < span[1])
    return int((~covered).sum())
