"""What a script sent to TensorFlow Federated's C++ runtime, as events, sites and calls; the worker's work is led back
to it.

Nothing that travels in a request is seen again in the worker's log, and its executors do their work on threads of
their own. So a run is led to the invocation during which it began; where several were under way, to the one that
sent a graph with the nodes that ran, if it is the only one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.pystacks import Origins
from tftrace.correlate.runs.dispatch_kinds import origin_fields, python_stack
from tftrace.correlate.runs.dispatches import stack_events
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.agent_raw import RawProcess
from tftrace.ingest.executor_log import NodeRun

PROBE: Final = "federated"


@dataclass
class Invocation:
    number: int
    row: dict[str, Any]
    start: int
    end: int
    contents: list[int] = field(default_factory=list)
    failed: bool = False


@dataclass(frozen=True)
class Asked:
    """Invocations and requests of one process. Times are raw; `made` is the event of the making of each of its graph
    nodes."""

    raw: RawProcess
    made: Int
    invocations: list[Invocation]
    rows: list[dict[str, Any]]  # requests
    graphs: dict[int, list[list[list[str]]]]  # TensorFlow graphs in what was sent, by key
    runtime: Int  # event of each invocation
    call: Int
    requests: Int  # event of each request
    invocation_of: Int  # position of the invocation of each request, or NONE

    def invocation_at(self, t: int, nodes: Sequence[NodeRun]) -> int:
        """Position of the invocation that a run at `t` serves; NONE where none or several may be meant."""
        found = [i for i, one in enumerate(self.invocations) if one.start <= t <= one.end]
        if len(found) > 1:
            scores = [max((_score(g, nodes) for g in self._sent(i)), default=0) for i in found]
            found = [i for i, score in zip(found, scores, strict=True) if score == max(scores) > 0]
        return found[0] if len(found) == 1 else NONE

    def _sent(self, invocation: int) -> list[list[list[str]]]:
        return [g for key in self.invocations[invocation].contents for g in self.graphs.get(key, [])]

    def request_at(self, t: int, worker: RawProcess, invocation: int = NONE) -> int:
        """Position of the only request (of an invocation, where one is given) that was under way at `t` at the port of
        that worker; NONE where there is none or several."""
        port = _port(worker)
        found = [
            i for i, r in enumerate(self.rows)
            if r["t0"] <= t <= r["t1"] and (port is None or r.get("port") in (None, port))
            and (invocation == NONE or self.invocation_of[i] == invocation)
        ]  # fmt: skip
        return found[0] if len(found) == 1 else NONE

    def sent_as(self, invocation: int, nodes: Sequence[NodeRun]) -> frozenset[str]:
        """Names of the nodes of the graph that an invocation had sent and that ran as `nodes`: TensorFlow prunes what
        is not needed, and adds what it needs itself. Empty where none fits."""
        sent = self._sent(invocation) if invocation != NONE else []
        best = max(sent, key=lambda graph: (_score(graph, nodes), -len(graph)), default=[])
        return frozenset(name for name, _ in best) if _score(best, nodes) else frozenset()

    def making(self, nodes: Sequence[NodeRun], sent: frozenset[str]) -> dict[str, int]:
        """For the nodes of one graph of the worker: the row in `raw.nodes` of the node that Python made, by its name.

        The graph that Python made is the one that shares most nodes with what was `sent`, or with what ran where that
        is not known; where several share as many, and were not made by the same lines, nothing is told. One that was
        read is asked only where none was made: TFF reads its graphs again to send them.
        """
        return self._making(nodes, sent, imported=False) or self._making(nodes, sent, imported=True)

    def _making(self, nodes: Sequence[NodeRun], sent: frozenset[str], imported: bool) -> dict[str, int]:
        ran = {n.node for n in nodes}
        names = sent or ran
        graphs: dict[int, dict[str, int]] = {}
        for i, row in enumerate(self.raw.nodes):
            if row["node"] in names and bool(row.get("imported")) == imported:
                graphs.setdefault(int(row["graph"]), {})[str(row["node"])] = i
        most = max((len(found) for found in graphs.values()), default=0)
        best = [
            {name: i for name, i in found.items() if name in ran}
            for found in graphs.values()
            if len(found) == most
        ]
        stacks = {tuple(sorted((n, self.raw.nodes[i]["stack"]) for n, i in found.items())) for found in best}
        return best[0] if len(stacks) == 1 else {}


def _score(graph: list[list[str]], nodes: Sequence[NodeRun]) -> int:
    names = {name for name, _ in graph}
    return sum(n.node in names for n in nodes)


def _port(worker: RawProcess) -> int | None:
    for word in worker.process.get("argv", []):
        if str(word).startswith("--port=") and str(word)[7:].isdigit():
            return int(str(word)[7:])
    return None


def _read(raw: RawProcess) -> tuple[list[Invocation], list[dict[str, Any]], dict[int, list[Any]]]:
    path = raw.path / "requests.jsonl"
    invocations: dict[int, Invocation] = {}
    requests: list[dict[str, Any]] = []
    graphs: dict[int, list[Any]] = {}
    for line in path.read_bytes().split(b"\n") if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue  # cut by a sudden end
        if "request" in row:
            requests.append(row)
        elif "graphs" in row:
            graphs[int(row["contents"])] = row["graphs"]
        elif "type" in row:
            invocations[int(row["invocation"])] = Invocation(
                int(row["invocation"]), row, int(row["t"]), int(row["t"])
            )
    for row in requests:
        one = invocations.get(int(row["invocation"]))
        if one is not None:
            one.end = max(one.end, int(row["t1"]))
            one.failed = bool(row["failed"])
            if row.get("contents") is not None:
                one.contents.append(int(row["contents"]))
    return list(invocations.values()), requests, graphs


def add_requests(
    raw: RawProcess, clock: Clock, build: TraceBuilder, origins: Origins, host: dict[str, int], made: Int
) -> Asked | None:
    """Adds invocations as calls of mode native, and what each sent; None where the process sent nothing."""
    invocations, requests, graphs = _read(raw)
    if not invocations and not requests:
        return None
    words = build.words
    n = len(invocations)
    start = clock.from_raw(np.array([one.start for one in invocations], np.int64))
    dur = clock.from_raw(np.array([one.end for one in invocations], np.int64)) - start
    tid = np.array([int(one.row["tid"]) for one in invocations], np.int64)
    keys = [int(one.row["stack"]) for one in invocations]
    known = [origins.of(key) for key in keys]
    stack_id = np.array(
        [python_stack(build, host["pid"], k, o) for k, o in zip(keys, known, strict=True)], np.int64
    )
    sites: dict[tuple[str, int], int] = {}
    site = np.empty(n, np.int64)
    for i, one in enumerate(invocations):
        op = str(one.row.get("name") or "computation")
        key = (op, keys[i])
        if key not in sites:
            sites[key] = build.site(
                op=op, mode="native", graph=op, node=None, trace_us=None, stack_id=int(stack_id[i]), executions=0,
                **origin_fields(known[i]),
            )  # fmt: skip
        site[i] = sites[key]
        build.sites[sites[key]]["executions"] += 1
    _, first = np.unique(site, return_index=True)
    call = build.calls(
        n, site_id=site, start_ns=start, total_ns=dur, tid=tid, pid=host["pid"],
        warm_up=np.isin(np.arange(n), first).astype(np.int64),
        op_attrs=words.codes(compact(_about(one.row)) for one in invocations),
        status=words.codes("raised" if one.failed else "ok" for one in invocations), runtime_total_ns=dur,
        python_total_ns=np.where([o.python is not None for o in known], dur, NONE),
        api_total_ns=np.where([o.api is not None for o in known], dur, NONE),
    )  # fmt: skip
    columns = {"start_ns": start, "dur_ns": dur, "tid": tid, "stack_id": stack_id}
    python, api, _ = stack_events(build, host, known, np.arange(n), PROBE, **columns)
    runtime = build.events(
        n, layer=words.code("runtime"), probe=words.code(PROBE),
        name=words.codes(f"computation {one.row.get('name') or ''}".strip() for one in invocations),
        attrs=build.attrs.codes(compact(_about(one.row)) for one in invocations), **columns, **host,
    )  # fmt: skip
    build.link(runtime, np.where(api != NONE, api, python), "python stack", "measured")
    for events in (python, api, runtime):
        build.belong(events, call)

    at = {one.number: i for i, one in enumerate(invocations)}
    invocation_of = np.array([at.get(int(r["invocation"]), NONE) for r in requests], np.int64)
    begun = clock.from_raw(np.array([int(r["t0"]) for r in requests], np.int64))
    ids = build.events(
        len(requests), layer=words.code("runtime"), name=words.codes(f"gRPC {r['request']}" for r in requests),
        start_ns=begun, dur_ns=clock.from_raw(np.array([int(r["t1"]) for r in requests], np.int64)) - begun,
        tid=np.array([int(r["tid"]) for r in requests], np.int64), probe=words.code(PROBE),
        attrs=build.attrs.codes(compact({"port": r.get("port"), "failed": r["failed"]}) for r in requests), **host,
    )  # fmt: skip
    owner = np.where(invocation_of >= 0, invocation_of, 0)
    if n:
        build.link(ids, np.where(invocation_of >= 0, runtime[owner], NONE), "range id", "measured")
        build.belong(ids, np.where(invocation_of >= 0, call[owner], NONE))
    return Asked(raw, made, invocations, requests, graphs, runtime, call, ids, invocation_of)


def _about(row: dict[str, Any]) -> dict[str, Any]:
    where = f"{row['file']}:{row['line']}" if row.get("file") else None
    return {"type": row.get("type"), "defined": where}
