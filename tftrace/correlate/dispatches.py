"""Dispatch records as calls, sites and events of the layers python, api, gen_op and runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tftrace.agent import contract
from tftrace.correlate.clocks import Clock
from tftrace.correlate.graphs import Graphs
from tftrace.correlate.pystacks import Origin, Origins
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.agent_raw import RawProcess

_FALLBACK, _OPEN = contract.STATUS.index("fallback"), contract.STATUS.index("open")
_SESSION = contract.ENTRIES.index("TF_SessionRun")


@dataclass(frozen=True)
class Dispatches:
    """Calls that left Python, in the order of their records; `record` maps a record's number to a row here."""

    record: Int  # record number -> row, NONE for fallbacks and unwritten ones
    call: Int
    runtime: Int  # event of the entry into the runtime
    start: Int
    end: Int
    tid: Int
    op: list[str]  # op type or function name of each distinct description
    description: Int  # row -> index into `op`
    graph: Int  # number of the graph a row ran, or NONE
    session: Int  # id of TensorFlow's session that ran it, or NONE
    site: Int
    step: Int
    warm_up: Int
    layers: dict[str, np.ndarray]  # python, api, gen_op: which rows have an event of that layer
    outer: Int  # row of the entry that was running on the thread, or NONE
    fallbacks: int


def short_device(name: str | None) -> str | None:
    """`/device:CPU:0` of `/job:localhost/replica:0/task:0/device:CPU:0`."""
    at = (name or "").find("/device:")
    return str(name)[at:] if at >= 0 else None


def origin_fields(origin: Origin) -> dict[str, Any]:
    """The columns of `sites` that a stack fills."""
    return {
        "api": origin.api,
        "gen_op": origin.gen_op,
        "gen_op_file": origin.gen_file,
        "gen_op_line": origin.gen_line,
        "python_file": origin.python.file if origin.python else None,
        "python_line": origin.python.line if origin.python else None,
        "python_code": origin.python.code if origin.python else None,
        "callers": compact([{"file": c.file, "line": c.line, "code": c.code} for c in origin.callers]),
    }


def python_stack(build: TraceBuilder, pid: int, key: int, origin: Origin) -> int:
    return build.stack(
        (pid, "python", key),
        [
            {"kind": "python", "function": f.function, "file": f.file, "line": f.line, "module": f.module}
            for f in origin.frames
        ],
    )


def stack_events(
    build: TraceBuilder, common: dict[str, int], origins: list[Origin], which: Int, probe: str, **columns: Int
) -> tuple[Int, Int, Int]:
    """Events of the layers python, api and gen_op for calls whose stack is `origins[which]`; linked to each other."""
    words = build.words
    labels = {
        "python": words.codes(
            f"{o.python.file.rsplit('/', 1)[-1]}:{o.python.line}" if o.python else None for o in origins
        ),
        "api": words.codes(o.api for o in origins),
        "gen_op": words.codes(o.gen_op for o in origins),
    }
    made: list[Int] = []
    for layer, codes in labels.items():
        names = codes[which] if len(codes) else np.empty(0, np.int64)
        present = np.flatnonzero(names != NONE)
        ids = np.full(len(which), NONE, np.int64)
        ids[present] = build.events(
            len(present),
            layer=words.code(layer),
            name=names[present],
            probe=words.code(probe),
            **{k: v[present] for k, v in columns.items()},
            **common,
        )
        made.append(ids)
    python, api, gen_op = made
    build.link(api, python, "python stack", "measured")
    build.link(gen_op, np.where(api != NONE, api, python), "python stack", "measured")
    return python, api, gen_op


def add_dispatches(
    raw: RawProcess,
    clock: Clock,
    build: TraceBuilder,
    origins: Origins,
    graphs: Graphs,
    common: dict[str, int],
    end_raw: int,
    probe: str = "dispatch",
) -> Dispatches:
    records = raw.dispatch
    valid = (records["t0"] > 0) & (records["status"] != _FALLBACK)
    d = records[valid]
    record = np.full(len(records), NONE, np.int64)
    record[np.flatnonzero(valid)] = np.arange(len(d))
    n = len(d)
    start = clock.from_raw(d["t0"])
    finished = np.where(d["status"] == _OPEN, np.maximum(end_raw, d["t0"]), d["t1"])
    end = np.maximum(clock.from_raw(finished), start)
    tid = d["tid"].astype(np.int64)
    words, attrs = build.words, build.attrs

    every_key, key_of = np.unique(d["stack"], return_inverse=True)
    first = np.array([origins.canonical(int(k)) for k in every_key], np.uint64)
    stack_keys, canonical = np.unique(first, return_inverse=True)
    stack_of = canonical[key_of] if n else np.empty(0, np.int64)
    known = [origins.of(int(k)) for k in stack_keys]
    stack_ids = np.array(
        [python_stack(build, common["pid"], int(k), o) for k, o in zip(stack_keys, known, strict=True)],
        np.int64,
    )
    meta_keys, meta_of = np.unique(d["meta"], return_inverse=True)
    described = [_description(raw, int(k)) for k in meta_keys]
    # an unknown description of a Session.run still is one
    is_session = d["kind"] == _SESSION
    ops = [m["op"] for m in described]

    graph_of = np.array([_graph(m, graphs) for m in described], np.int64)
    graph = graph_of[meta_of] if n else np.empty(0, np.int64)
    session_of = np.array(
        [NONE if m["run_by"] is None else graphs.session_id(int(m["run_by"])) for m in described], np.int64
    )
    session = session_of[meta_of] if n else np.empty(0, np.int64)
    site = np.full(n, NONE, np.int64)
    pairs = stack_of.astype(np.int64) * max(len(meta_keys), 1) + meta_of
    op_codes = words.codes(ops)
    site_key = stack_of.astype(np.int64) * (len(words.values) + 1) + (op_codes[meta_of] if n else 0)
    # a line that runs several graphs is a site for each
    site_key = site_key * (int(graph.max(initial=0)) + 2) + graph + 1
    unique_sites, examples, site_of = np.unique(site_key, return_index=True, return_inverse=True)
    numbers = np.empty(len(unique_sites), np.int64)
    for i, at in enumerate(examples.tolist()):
        meta = described[meta_of[at]]
        mode = "session" if is_session[at] else ("function" if meta["is_function"] else "eager")
        mode = "native" if raw.without_python else mode
        numbers[i] = build.site(
            op=meta["op"],
            mode=mode,
            graph=graphs.label(int(graph[at])) if graph[at] != NONE else None,
            graph_id=graphs.id(int(graph[at])) if graph[at] != NONE else None,
            node=None,
            trace_us=None,
            stack_id=int(stack_ids[stack_of[at]]),
            **origin_fields(known[stack_of[at]]),
        )
    if n:
        site = numbers[site_of]
        counts = np.bincount(site_of, minlength=len(unique_sites))
        for i, number in enumerate(numbers.tolist()):
            build.sites[number]["executions"] = int(counts[i])

    # warm-up: the first execution of a place on shapes it had not seen
    _, firsts = np.unique(pairs, return_index=True)
    warm_up = np.zeros(n, np.int64)
    warm_up[firsts] = 1

    dur = end - start
    shapes = words.codes(m["shapes"] for m in described)
    dtypes = words.codes(m["dtypes"] for m in described)
    op_attrs = words.codes(m["attrs"] for m in described)
    event_attrs = attrs.codes(
        None
        if m["shapes"] is None
        else f'{{"op":{compact(m["op"])},"shapes":{m["shapes"]},"dtypes":{m["dtypes"]},'
        f'"op_attrs":{m["attrs"] or "{}"}}}'
        for m in described
    )
    step = d["step"].astype(np.int64)
    pick = (lambda codes: codes[meta_of]) if n else (lambda codes: np.empty(0, np.int64))
    call = build.calls(
        n, site_id=site, parent_call_id=NONE, session_id=session, step=np.where(step > 0, step, NONE),
        warm_up=warm_up, shapes=pick(shapes), dtypes=pick(dtypes), op_attrs=pick(op_attrs), device=common["device"],
        pid=common["pid"], tid=tid, start_ns=start, total_ns=dur,
        status=words.codes(contract.STATUS)[d["status"]] if n else NONE,
    )  # fmt: skip
    columns = {
        "start_ns": start,
        "dur_ns": dur,
        "tid": tid,
        "stack_id": stack_ids[stack_of] if n else tid,
        "attrs": pick(event_attrs),
    }
    host = {k: common[k] for k in ("host", "pid")}
    python, api, gen_op = stack_events(build, host, known, stack_of, probe, **columns)
    entry = words.codes(contract.ENTRIES)[d["kind"]] if n else np.empty(0, np.int64)
    runtime = build.events(
        n,
        layer=words.code("runtime"),
        name=entry,
        probe=words.code(probe),
        device=common["device"],
        **columns,
        **host,
    )
    above = np.where(gen_op != NONE, gen_op, np.where(api != NONE, api, python))
    build.link(runtime, above, "python stack", "measured")
    # a call made while another was running on the thread: py_function, a gradient's callback
    outer = (
        record[np.maximum(d["parent"].astype(np.int64) - 1, 0)]
        if len(records) and n
        else np.full(n, NONE, np.int64)
    )
    outer = np.where(d["parent"] > 0, outer, NONE)
    top = np.where(
        python != NONE, python, np.where(api != NONE, api, np.where(gen_op != NONE, gen_op, runtime))
    )
    build.link(top, np.where(outer >= 0, runtime[outer] if n else NONE, NONE), "range id", "measured")
    for events in (python, api, gen_op, runtime):
        build.belong(events, call)
    fallbacks = int(((records["t0"] > 0) & (records["status"] == _FALLBACK)).sum())
    layers = {"python": python != NONE, "api": api != NONE, "gen_op": gen_op != NONE}
    return Dispatches(
        record,
        call,
        runtime,
        start,
        end,
        tid,
        ops,
        meta_of,
        graph,
        session,
        site,
        step,
        warm_up,
        layers,
        outer,
        fallbacks,
    )


def _description(raw: RawProcess, key: int) -> dict[str, Any]:
    meta = raw.metas.get(key)
    if meta is not None:
        inputs = meta["inputs"]
        return {
            "op": str(meta["op"]),
            "is_function": bool(meta["is_function"]),
            "session": None,
            "run_by": None,
            "shapes": compact([_part(v, 1) for v in inputs]),
            "dtypes": compact([_part(v, 0) for v in inputs]),
            "attrs": compact(meta["attrs"]) if meta["attrs"] else None,
        }
    session = raw.sessions.get(key)
    if session is not None:
        return {
            "op": "Session.run", "is_function": False, "session": session.get("graph"),
            "run_by": session.get("session"), "shapes": None, "dtypes": None,
            "attrs": compact({"fetches": session.get("fetches", [])}),
        }  # fmt: skip
    return {
        "op": "(not described)",
        "is_function": False,
        "session": None,
        "run_by": None,
        "shapes": None,
        "dtypes": None,
        "attrs": None,
    }


def _part(value: Any, which: int) -> Any:
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return value[which]
    if isinstance(value, list):
        return [_part(v, which) for v in value]
    return None


def _graph(meta: dict[str, Any], graphs: Graphs) -> int:
    if meta["session"] is not None:
        return int(meta["session"])
    graph = graphs.by_function.get(meta["op"]) if meta["is_function"] else None
    return graph.number if graph is not None else NONE
