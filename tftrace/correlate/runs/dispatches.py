"""Dispatch records as calls and events of the layers python, api, gen_op and runtime."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tftrace.agent import contract
from tftrace.correlate.clocks import Clock
from tftrace.correlate.pystacks import Origin
from tftrace.correlate.runs.dispatch_kinds import DispatchKinds
from tftrace.correlate.runs.segments import Segment
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, taken

_OPEN = contract.STATUS.index("open")


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


def short_device(name: str | None) -> str | None:
    """`/device:CPU:0` of `/job:localhost/replica:0/task:0/device:CPU:0`."""
    at = (name or "").find("/device:")
    return str(name)[at:] if at >= 0 else None


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
    segment: Segment,
    kinds: DispatchKinds,
    clock: Clock,
    build: TraceBuilder,
    common: dict[str, int],
    end_raw: int,
    turn: int,
    probe: str = "dispatch",
) -> Dispatches:
    """The calls of a segment; `end_raw`: when those ended that were still running, `turn`: their place among calls."""
    records = segment.raw.dispatch
    of = kinds.of[segment.record : segment.record + len(records)]
    valid = np.flatnonzero(of != NONE)
    d, kind = records[valid], of[valid].astype(np.int64)
    record = np.full(len(records), NONE, np.int64)
    record[valid] = np.arange(len(d))
    n = len(d)
    start = clock.from_raw(d["t0"])
    finished = np.where(d["status"] == _OPEN, np.maximum(end_raw, d["t0"]), d["t1"])
    end = np.maximum(clock.from_raw(finished), start)
    tid = d["tid"].astype(np.int64)
    words = build.words

    stack, meta = taken(kinds.stack, kind), taken(kinds.meta, kind)
    graph, session, site = taken(kinds.graph, kind), taken(kinds.session, kind), taken(kinds.site, kind)
    # warm-up: the first execution of a place on shapes it had not seen
    warm_up = (valid + segment.record == taken(kinds.first, kind)).astype(np.int64)
    dur = end - start
    step = d["step"].astype(np.int64)
    call = build.calls(
        n, site_id=site, parent_call_id=NONE, session_id=session, step=np.where(step > 0, step, NONE),
        warm_up=warm_up, shapes=taken(kinds.shapes, meta), dtypes=taken(kinds.dtypes, meta),
        op_attrs=taken(kinds.op_attrs, meta), device=common["device"],
        pid=common["pid"], tid=tid, start_ns=start, total_ns=dur,
        status=words.codes(contract.STATUS)[d["status"]] if n else NONE,
        order=turn + segment.record + valid,
    )  # fmt: skip
    columns = {
        "start_ns": start,
        "dur_ns": dur,
        "tid": tid,
        "stack_id": taken(kinds.stack_ids, stack),
        "attrs": taken(kinds.event_attrs, meta),
    }
    host = {k: common[k] for k in ("host", "pid")}
    python, api, gen_op = stack_events(build, host, kinds.origins, stack, probe, **columns)
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
    outer = taken(record, d["parent"].astype(np.int64) - 1)
    top = np.where(
        python != NONE, python, np.where(api != NONE, api, np.where(gen_op != NONE, gen_op, runtime))
    )
    build.link(top, taken(runtime, outer), "range id", "measured")
    for events in (python, api, gen_op, runtime):
        build.belong(events, call)
    layers = {"python": python != NONE, "api": api != NONE, "gen_op": gen_op != NONE}
    return Dispatches(
        record,
        call,
        runtime,
        start,
        end,
        tid,
        kinds.ops,
        meta,
        graph,
        session,
        site,
        step,
        warm_up,
        layers,
        outer,
    )
