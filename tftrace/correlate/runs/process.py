"""One process from raw records to the trace's tables: events, their links, sites, calls, candidates."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.graphs import graph_runs
from tftrace.correlate.graphs.fates import settle_fates, swallowed
from tftrace.correlate.graphs.graphs import Graphs
from tftrace.correlate.graphs.optimized import optimized
from tftrace.correlate.graphs.tracings import tracing_rows
from tftrace.correlate.graphs.uncompared import Uncompared
from tftrace.correlate.ledger.cudnn_algorithms import Executions, add_algorithms
from tftrace.correlate.ledger.profile_algorithms import add_profile_algorithms
from tftrace.correlate.libraries.cudnn import Cudnn, executions
from tftrace.correlate.libraries.native import NativeStacks
from tftrace.correlate.libraries.onednn_lines import OnednnLines
from tftrace.correlate.libraries.primitives import Primitives
from tftrace.correlate.pystacks import Origins
from tftrace.correlate.runs.dispatch_kinds import DispatchKinds, python_stack
from tftrace.correlate.runs.dispatches import stack_events
from tftrace.correlate.runs.executors import read_executors
from tftrace.correlate.runs.federated import Asked, add_requests
from tftrace.correlate.runs.node_sites import NodeSites
from tftrace.correlate.runs.own_work import own_cost
from tftrace.correlate.runs.segment import Found, Known, add_segment
from tftrace.correlate.runs.segments import segments, whole
from tftrace.correlate.runs.tf_logs import add_tf_log
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder
from tftrace.ingest.agent_raw import RawProcess
from tftrace.ingest.agent_tf_log import LoggedMessages
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
    kinds = DispatchKinds(raw, build, origins, graphs, host["pid"])
    facts.fallbacks = kinds.fallbacks
    ran = optimized(graphs, raw.optimized, kinds.first_runs(raw))
    graphs.principals, graphs.added = ran.principals, ran.added
    uncompared = Uncompared(graphs, ran)
    graphs.core = uncompared.core
    turn_of_calls = build.turns(1)[0]
    making = logged.making if logged else _graph_construction(raw, clock, build, origins, host)
    facts.asked = add_requests(raw, clock, build, origins, host, making)
    stacks, lines, of_cudnn = NativeStacks(raw), OnednnLines(raw), read_cudnn(raw.path, raw.pages)
    facts.cudnn_version = of_cudnn.version or _told_version(raw)
    known = Known(
        clock=clock, graphs=graphs, kinds=kinds, nodes=NodeSites(raw, build, graphs, origins, on_cpu),
        cudnn=Cudnn(raw, of_cudnn, stacks), primitives=Primitives(raw, lines, build, stacks), logged=logged,
        making=making, common=common, on_cpu=on_cpu, end_raw=end_raw, turns=(turn_of_calls, build.turns(1)[0]),
    )  # fmt: skip
    messages = raw.tf_log()
    found = Found(runtime=build.pages.column(np.int64) if messages.path.exists() else None)
    parts = segments(raw, lines, of_cudnn) if logged is None else [whole(raw, lines, of_cudnn)]
    with build.side_by_side() as begins_anew:
        for segment in parts:
            begins_anew()
            add_segment(segment, known, build, found)
            build.give_back()

    compiled = graphs.compiled = found.xla.graphs()
    kinds.compiled(build, compiled)
    known.nodes.settle_modes()
    own = known.nodes.rows_that_ran()
    fates = ran.fates | swallowed(graphs, found.instructions, own)
    settle_fates(build.sites, known.nodes.of_row, uncompared.of_others(own, known.nodes.ran) | fates)
    done = executions(found.executions, build, _only_gpu(devices))
    known.primitives.add_algorithms(build, on_cpu)
    add_algorithms(build, of_cudnn, done)
    if (
        not of_cudnn.works
    ):  # the calls themselves were not seen: their kernels are what is left to tell the algorithm
        add_profile_algorithms(build, found.op_work, {})
    facts.tf_log = _tf_log(messages, clock, build, common, found, done)

    facts.unresolved = dict(known.nodes.unresolved)
    facts.unwrapped = dict(found.unwrapped)
    facts.events = build.event_count - before
    facts.profile_events, facts.profile_lost = found.profile_events, found.outside
    facts.logged = len(logged.log.nodes) if logged is not None else 0
    facts.options, facts.problems = found.options, found.problems
    facts.device_work = asdict(found.work)
    found.primitives["verbose_other"] += lines.other
    facts.primitives = dict(found.primitives)
    facts.own_us = own_cost(raw, of_cudnn.records)
    return facts


def _tf_log(
    messages: LoggedMessages,
    clock: Clock,
    build: TraceBuilder,
    common: dict[str, int],
    found: Found,
    done: Executions,
) -> dict[str, int]:
    """Messages of TensorFlow's log, linked to the entry they came under by the number of its record."""
    entries = np.empty(0, np.int64) if found.runtime is None else found.runtime.array()

    def under(events: Int, records: Int) -> None:
        inside = (records >= 0) & (records < len(entries))
        build.link(events[inside], entries[records[inside]], "range id", "measured")

    counts = add_tf_log(messages, clock, build, common, done.tuned_on, under)
    if not any(counts.values()):
        return {}
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


def _only_gpu(devices: list[str]) -> str | None:
    names = [d for d in devices if "GPU" in d]
    return names[0] if len(names) == 1 else None


def _told_version(raw: RawProcess) -> str | None:
    """cuDNN's version where TensorFlow asked for it before this recording began."""
    told = next((p.get("version") for p in raw.status.get("probes", []) if p.get("name") == "cudnn"), None)
    return version_text(told) if isinstance(told, int) else None
