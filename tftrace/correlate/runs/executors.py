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
import pyarrow as pa

from tftrace.agent import contract
from tftrace.correlate.clocks import Clock
from tftrace.correlate.profiles.device_work import joined
from tftrace.correlate.profiles.launches import Counts
from tftrace.correlate.profiles.profile import ProfileEvents
from tftrace.correlate.runs.dispatches import Dispatches, short_device
from tftrace.correlate.runs.federated import Asked
from tftrace.correlate.tables.attributes import Part
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.agent_raw import RawProcess
from tftrace.ingest.executor_log import (
    ExecutorLog,
    NodeRun,
    NodeRuns,
    StepRun,
    parse_lines,
    read_executor_log,
)

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
        start = clock.from_raw(nodes.start)
        stop = np.maximum(clock.from_raw(_ended(nodes)), start)
        name = words.codes(f"{form.node}:{form.kernel}" for form in nodes.forms)[nodes.form]
        tid = nodes.tid
        devices = words.codes(short_device(form.device) for form in nodes.forms)[nodes.form]
        ids = build.events(
            n, layer=words.code("kernel"), name=name, start_ns=start,
            dur_ns=np.where(nodes.end == NONE, NONE, stop - start), tid=tid, probe=words.code(PROBE),
            **(common | {"device": devices}), attrs=_attrs(build, nodes),
        )  # fmt: skip
        is_run = np.arange(n + m) >= n
        given: dict[str, Any] = {
            "ids": np.concatenate([ids, calls.runtime[run]]), "start": np.concatenate([start, calls.start[run]]),
            "end": np.concatenate([stop, calls.end[run]]), "tid": np.concatenate([tid, calls.tid[run]]),
            "name": np.concatenate([name, np.full(m, words.code("SessionRun"))]), "is_kernel": ~is_run,
            "step": np.concatenate([nodes.step, np.array([step.step for step in steps], np.int64)]),
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
        nodes = self.log.nodes
        known = build.words.codes(short_device(form.device) for form in nodes.forms)[nodes.form]
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
    ran = _Steps(log.nodes)
    run_of = np.full(len(log.steps), NONE, np.int64)
    if asked is not None:
        run_of = np.array([asked.invocation_at(s.start, ran.nodes(s.step)) for s in log.steps], np.int64)
    graph_of, graphs = _graphs(log, ran, asked, run_of)
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
    graphs: dict[int, Any] = {
        step.step: (raw.sessions.get(int(raw.dispatch[at]["meta"])) or {}).get("graph")
        for step, at in zip(log.steps, entry.tolist(), strict=True)
    }
    rows = [_row(int(graphs[run.step]), run) for run in _first_in_graphs(log.nodes, graphs)]
    nothing = np.full(len(rows), NONE, np.int64)
    none = np.full(len(log.steps), NONE, np.int64)
    return Executors(replace(raw, nodes=rows), log, nothing, None, none, entry, told_runs=False)


def _first_in_graphs(nodes: NodeRuns, graphs: dict[int, Any]) -> list[NodeRun]:
    """The first run of each node of each graph; TensorFlow's runtime made nodes whose name begins with `_`."""
    steps, of = np.unique(nodes.step, return_inverse=True)
    known = {graph: n for n, graph in enumerate(dict.fromkeys(graphs.values())) if graph is not None}
    graph = np.array([known.get(graphs.get(step), NONE) for step in steps.tolist()], np.int64)[of]
    names = _Steps(nodes).names
    own = np.array([not form.node.startswith("_") for form in nodes.forms], np.bool_)
    rows = np.flatnonzero((graph != NONE) & own[nodes.form])
    _, first = np.unique(graph[rows] * len(nodes.forms) + names[nodes.form[rows]], return_index=True)
    return [nodes[row] for row in rows[np.sort(first)].tolist()]


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


def _attrs(build: TraceBuilder, nodes: NodeRuns) -> Int:
    steps, of = np.unique(nodes.step, return_inverse=True)
    both = nodes.form * len(nodes.inputs) + nodes.given
    _, first, rest = np.unique(both, return_index=True, return_inverse=True)
    told = (nodes[row] for row in first.tolist())
    texts = [compact({"op_attrs": node.attrs, "inputs": node.inputs})[1:-1] for node in told]
    return build.attrs.block(
        len(nodes),
        [
            Part(of, pa.array([f'"step":{step}' for step in steps.tolist()], pa.string())),
            Part(rest, pa.array(texts, pa.string())),
        ],
    )


def _ended(nodes: NodeRuns) -> Int:
    """When each run ended, or began where its end is not known."""
    return np.where(nodes.end > 0, nodes.end, nodes.start)


def _with_silent(log: ExecutorLog) -> list[StepRun]:
    """Runs that told when they began, and those of which only nodes are known."""
    known = {s.step for s in log.steps}
    steps, first = np.unique(log.nodes.step, return_index=True)
    ran = set(steps.tolist())
    silent = [
        StepRun(node.step, node.tid, node.start, [])
        for node in (log.nodes[row] for row in np.sort(first).tolist())
        if node.step not in known
    ]
    return sorted([s for s in log.steps if s.step in ran] + silent, key=lambda s: s.start)


def _ends(log: ExecutorLog) -> list[int]:
    steps, of = np.unique(log.nodes.step, return_inverse=True)
    last = np.zeros(len(steps), np.int64)
    np.maximum.at(last, of, _ended(log.nodes))
    found = dict(zip(steps.tolist(), last.tolist(), strict=True))
    return [found.get(s.step, s.start) for s in log.steps]


class _Steps:
    """The nodes that ran in each step, a run of each; `names` is the same number for forms of nodes of one name."""

    def __init__(self, runs: NodeRuns) -> None:
        self._runs = runs
        numbers: dict[str, int] = {}
        self.names = np.array([numbers.setdefault(form.node, len(numbers)) for form in runs.forms], np.int64)
        order = np.argsort(runs.step, kind="stable")
        steps, first = np.unique(runs.step[order], return_index=True)
        self._rows = dict(zip(steps.tolist(), np.split(order, first[1:]), strict=True)) if len(steps) else {}
        self._kinds: dict[bytes, tuple[tuple[str, str], ...]] = {}

    def _first(self, step: int) -> Int:
        rows = self._rows[step]
        _, first = np.unique(self.names[self._runs.form[rows]], return_index=True)
        return np.asarray(rows[np.sort(first)], np.int64)

    def nodes(self, step: int) -> list[NodeRun]:
        return [self._runs[row] for row in self._first(step).tolist()]

    def kernels(self, step: int) -> tuple[tuple[str, str], ...]:
        """Names and kernels of the nodes, in their order."""
        forms = self._runs.form[self._first(step)]
        found = self._kinds.get(forms.tobytes())
        if found is None:
            told = (self._runs.forms[form] for form in forms.tolist())
            found = self._kinds[forms.tobytes()] = tuple(sorted((form.node, form.kernel) for form in told))
        return found


@dataclass(frozen=True)
class _Graph:
    """What ran in one step and others like it; `sent`: the nodes of the graph that Python sent for it."""

    nodes: list[NodeRun]
    sent: frozenset[str]


def _graphs(
    log: ExecutorLog, ran: _Steps, asked: Asked | None, run_of: Int
) -> tuple[dict[int, int], list[_Graph]]:
    """(graph of each step, the graphs): those with the same nodes that were sent as the same are one."""
    known: dict[Any, int] = {}
    graph_of: dict[int, int] = {}
    graphs: list[_Graph] = []
    for step, of in zip(log.steps, run_of.tolist(), strict=True):
        sent = asked.sent_as(of, ran.nodes(step.step)) if asked is not None else frozenset()
        key = ran.kernels(step.step), sent
        if key not in known:
            known[key] = len(graphs)
            graphs.append(_Graph(ran.nodes(step.step), sent))
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
