"""What the executors of a process without Python logged, in the form that other processes' records have.

Each run of a session becomes an entry into the runtime, each node that ran in it an event of the layer kernel, led back
to the run by TensorFlow's step id. A node is led back to the Python line that made it where the process that asked for
the work made a graph with a node of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np

from tftrace.agent import contract
from tftrace.correlate.clocks import Clock
from tftrace.correlate.dispatches import Dispatches, short_device
from tftrace.correlate.federated import Asked
from tftrace.correlate.profiles.device_work import joined
from tftrace.correlate.profiles.launches import Counts
from tftrace.correlate.profiles.profile import ProfileEvents
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.agent_raw import RawProcess
from tftrace.ingest.executor_log import ExecutorLog, NodeRun, StepRun, parse_lines, read_executor_log

PROBE: Final = "executor_log"
_ENTRY: Final = contract.ENTRIES.index("Session::Run")
_MKL: Final = re.compile(r"^_Mkl(?:Native)?")


@dataclass(frozen=True)
class Executors:
    """`raw`: the process with records of its runs and nodes; `making`: for each of its nodes the event of the Python
    call that made it, or NONE; `run_of`: the invocation behind each run, or NONE; `entry`: number of the dispatch
    record of each run. `told_runs`: these records were told by the log, and not by the program's own calls."""

    raw: RawProcess
    log: ExecutorLog
    making: Int
    asked: Asked | None
    run_of: Int
    entry: Int
    told_runs: bool

    def events(
        self, clock: Clock, build: TraceBuilder, common: dict[str, int], calls: Dispatches
    ) -> ProfileEvents:
        """Events of the kernels; behind them, as what hands them their work by its id, the runs (`calls`)."""
        words, nodes, steps = build.words, self.log.nodes, self.log.steps
        run = calls.record[self.entry] if len(self.entry) else self.entry
        n, m = len(nodes), len(steps)
        start = clock.from_raw(np.array([node.start for node in nodes], np.int64))
        open_ = np.array([node.end is None for node in nodes], bool)
        stop = np.maximum(
            clock.from_raw(np.array([node.end or node.start for node in nodes], np.int64)), start
        )
        name = words.codes(f"{node.node}:{node.kernel}" for node in nodes)
        tid = np.array([node.tid for node in nodes], np.int64)
        devices = words.codes(short_device(node.device) for node in nodes)
        ids = build.events(
            n, layer=words.code("kernel"), name=name, start_ns=start, dur_ns=np.where(open_, NONE, stop - start),
            tid=tid, probe=words.code(PROBE), **(common | {"device": devices}),
            attrs=build.attrs.codes(
                compact({"step": node.step, "op_attrs": node.attrs, "inputs": node.inputs}) for node in nodes
            ),
        )  # fmt: skip
        is_run = np.arange(n + m) >= n
        given: dict[str, Any] = {
            "ids": np.concatenate([ids, calls.runtime[run]]), "start": np.concatenate([start, calls.start[run]]),
            "end": np.concatenate([stop, calls.end[run]]), "tid": np.concatenate([tid, calls.tid[run]]),
            "name": np.concatenate([name, np.full(m, words.code("SessionRun"))]), "is_kernel": ~is_run,
            "step": np.array([node.step for node in nodes] + [step.step for step in steps], np.int64),
            # the event of a run is that of its entry: it is neither linked to itself nor counted twice
            "told": is_run, "is_launch": is_run,
            "options": [], "problems": [], "work": joined([]), "counts": Counts(), "op_work": [],
        }  # fmt: skip
        none, no = np.full(n + m, NONE, np.int64), np.zeros(n + m, bool)
        for column in fields(ProfileEvents):
            given.setdefault(column.name, none if column.type == "Int" else no)
        return ProfileEvents(**given)

    def devices(self, build: TraceBuilder) -> Int:
        """The device of each row of `events`; NONE for a run, which has none of its own."""
        known = build.words.codes(short_device(node.device) for node in self.log.nodes)
        return np.concatenate([known, np.full(len(self.log.steps), NONE, np.int64)])

    def join(self, build: TraceBuilder, clock: Clock, calls: Dispatches, common: dict[str, int]) -> None:
        """Links runs to the invocations behind them, and calls of TFF's executors to the requests that made them."""
        words, methods = build.words, self.log.methods
        start = clock.from_raw(np.array([m.t for m in methods], np.int64))
        ids = build.events(
            len(methods), layer=words.code("runtime"), name=words.codes(m.name for m in methods), start_ns=start,
            dur_ns=0, tid=np.array([m.tid for m in methods], np.int64), probe=words.code(PROBE), **common,
        )  # fmt: skip
        if self.asked is None or not len(self.run_of):
            return
        runs = zip(self.log.steps, self.run_of.tolist(), strict=True)
        behind = [self.asked.request_at(run.start, self.raw, of) for run, of in runs]
        above = np.where(self.run_of >= 0, self.asked.runtime[self.run_of], NONE)
        by_request = np.array(behind, np.int64)
        above = np.where((self.run_of >= 0) & (by_request >= 0), self.asked.requests[by_request], above)
        build.link(calls.runtime, above, "request time", "inferred")
        build.fill_calls(
            calls.call, parent_call_id=np.where(self.run_of >= 0, self.asked.call[self.run_of], NONE)
        )
        within = np.array([self.asked.request_at(m.t, self.raw) for m in methods], np.int64)
        build.link(ids, np.where(within >= 0, self.asked.requests[within], NONE), "request time", "inferred")
        owner = np.where(within >= 0, self.asked.invocation_of[within], NONE)
        build.belong(ids, np.where(owner >= 0, self.asked.call[owner], NONE))


def read_executors(raw: RawProcess, asked: Asked | None) -> Executors | None:
    """What the executors of `raw` logged; None where they logged nothing. `asked`: what its parent sent to it."""
    if not raw.without_python:
        return None
    if len(raw.dispatch):
        return _of_library(raw)
    log = read_executor_log(raw.path / "executor.bin")
    if not log.nodes:
        return None
    log.steps = _with_silent(log)
    nodes_of = _nodes_by_step(log)
    run_of = np.full(len(log.steps), NONE, np.int64)
    if asked is not None:
        run_of = np.array([asked.invocation_at(s.start, nodes_of[s.step]) for s in log.steps], np.int64)
    graph_of, graphs = _graphs(log, nodes_of, asked, run_of)
    nodes, making = _nodes(graphs, asked)
    ends = _ends(log)
    dispatch = np.zeros(len(log.steps), np.dtype(contract.DISPATCH.dtype))
    for column, values in {
        "t0": [s.start for s in log.steps],
        "t1": [max(s.start, end) for s, end in zip(log.steps, ends, strict=True)],
        "meta": [graph_of[s.step] + 1 for s in log.steps],
        "tid": [s.tid for s in log.steps],
        "kind": _ENTRY,
        "status": contract.STATUS.index("ok"),
    }.items():
        dispatch[column] = values
    told: dict[str, Any] = {
        "dispatch": dispatch,
        "sessions": {
            graph_of[s.step] + 1: {
                "key": graph_of[s.step] + 1,
                "graph": graph_of[s.step] + 1,
                "fetches": s.fetches,
            }
            for s in log.steps
        },
        "graphs": [
            {"graph": g, "name": f"graph {g}", "kind": "graph", "function": None}
            for g in range(1, len(graphs) + 1)
        ],
        "nodes": nodes,
    }
    if asked is not None:
        made_by = asked.raw
        told |= {"stacks": made_by.stacks, "exports": made_by.exports, "sourcemaps": made_by.sourcemaps}
        told["process"] = {**raw.process, "libraries": made_by.process.get("libraries", [])}
    return Executors(
        replace(raw, **told), log, making, asked, run_of, np.arange(len(log.steps)), told_runs=True
    )


def _of_library(raw: RawProcess) -> Executors | None:
    """The same where TensorFlow is a library, and the program's calls of TF_SessionRun were recorded: a run says that
    it begins on the thread of its call."""
    call_of: dict[tuple[int, int], int] = {}
    log = parse_lines(_as_lines(raw, call_of))
    log.steps = [s for s in log.steps if (s.tid, s.start) in call_of]
    if not log.nodes or not log.steps:
        return None
    entry = np.array([call_of[s.tid, s.start] for s in log.steps], np.int64)
    graphs = {
        step.step: (raw.sessions.get(int(raw.dispatch[at]["meta"])) or {}).get("graph")
        for step, at in zip(log.steps, entry.tolist(), strict=True)
    }
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for run in log.nodes:
        graph = graphs.get(run.step)
        if graph is not None and not run.node.startswith("_"):
            rows.setdefault((int(graph), run.node), _row(int(graph), run))
    nothing = np.full(len(rows), NONE, np.int64)
    none = np.full(len(log.steps), NONE, np.int64)
    return Executors(
        replace(raw, nodes=list(rows.values())), log, nothing, None, none, entry, told_runs=False
    )


def _as_lines(raw: RawProcess, call_of: dict[tuple[int, int], int]) -> Iterator[bytes]:
    """The log as a process without a library writes it; `call_of` gains the records of calls in which runs begin, by
    thread and time."""
    for some in raw.tf_log():
        heads = zip(some.tid.tolist(), some.t.tolist(), some.call.tolist(), strict=True)
        for n, (tid, t, call) in enumerate(heads):
            text = some.text(n)
            if call and b" MemoryLogStep " in text:
                call_of[tid, t] = call - 1
            yield b"%d %d %s" % (tid, t, text.replace(b"\n", b" "))


def _row(graph: int, run: NodeRun) -> dict[str, Any]:
    """A node as the agent would have told it."""
    return {
        "graph": graph, "node": run.node, "op": op_of(run.kernel), "stack": 0, "t": run.start, "ns": 0, "calls": [],
        "tid": run.tid, "inputs": run.inputs, "attrs": run.attrs,
    }  # fmt: skip


def _with_silent(log: ExecutorLog) -> list[StepRun]:
    """Runs that told when they began, and those of which only nodes are known."""
    known = {s.step for s in log.steps}
    first: dict[int, NodeRun] = {}
    for node in log.nodes:
        first.setdefault(node.step, node)
    silent = [StepRun(step, n.tid, n.start, []) for step, n in first.items() if step not in known]
    return sorted([s for s in log.steps if s.step in first] + silent, key=lambda s: s.start)


def _ends(log: ExecutorLog) -> list[int]:
    last: dict[int, int] = {}
    for node in log.nodes:
        last[node.step] = max(last.get(node.step, 0), node.end or node.start)
    return [last.get(s.step, s.start) for s in log.steps]


def _nodes_by_step(log: ExecutorLog) -> dict[int, list[NodeRun]]:
    """A run of each node of each step."""
    of_step: dict[int, dict[str, NodeRun]] = {}
    for node in log.nodes:
        of_step.setdefault(node.step, {}).setdefault(node.node, node)
    return {step: list(nodes.values()) for step, nodes in of_step.items()}


@dataclass(frozen=True)
class _Graph:
    """What ran in one step and others like it; `sent`: the nodes of the graph that Python sent for it."""

    nodes: list[NodeRun]
    sent: frozenset[str]


def _graphs(
    log: ExecutorLog, nodes_of: dict[int, list[NodeRun]], asked: Asked | None, run_of: Int
) -> tuple[dict[int, int], list[_Graph]]:
    """(graph of each step, the graphs): those with the same nodes that were sent as the same are one."""
    known: dict[Any, int] = {}
    graph_of: dict[int, int] = {}
    graphs: list[_Graph] = []
    for step, of in zip(log.steps, run_of.tolist(), strict=True):
        nodes = nodes_of[step.step]
        sent = asked.sent_as(of, nodes) if asked is not None else frozenset()
        key = (tuple(sorted((n.node, n.kernel) for n in nodes)), sent)
        if key not in known:
            known[key] = len(graphs)
            graphs.append(_Graph(nodes, sent))
        graph_of[step.step] = known[key]
    return graph_of, graphs


def op_of(kernel: str) -> str:
    """The op that TensorFlow's rewriting for oneDNN made this kernel's op of."""
    return _MKL.sub("", kernel)


def _nodes(graphs: Sequence[_Graph], asked: Asked | None) -> tuple[list[dict[str, Any]], Int]:
    rows: list[dict[str, Any]] = []
    making: list[int] = []
    for number, graph in enumerate(graphs, 1):
        made = asked.making(graph.nodes, graph.sent) if asked is not None else {}
        for run in graph.nodes:
            if run.node.startswith("_"):
                continue  # TensorFlow's runtime made it: an argument, a result
            row = _row(number, run)
            found = made.get(run.node)
            if found is not None and asked is not None:
                by = asked.raw.nodes[found]
                row |= {"stack": by["stack"], "ns": by["ns"]}
                if by["op"] == row["op"]:
                    row |= {k: by[k] for k in ("inputs", "attrs") if by.get(k) is not None}
            rows.append(row)
            making.append(NONE if found is None or asked is None else int(asked.made[found]))
    return rows, np.array(making, np.int64)
