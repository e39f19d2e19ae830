"""Executions of the nodes of graphs, and kernels that are seen only on native stacks."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.graphs.evaluated import graphs_being_made
from tftrace.correlate.graphs.graphs import Graphs
from tftrace.correlate.libraries.library_calls import LibraryCalls
from tftrace.correlate.profiles.profile import ProfileEvents
from tftrace.correlate.runs.dispatches import Dispatches
from tftrace.correlate.runs.executions import dataset_epochs, executions
from tftrace.correlate.runs.node_sites import NodeSites
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, taken
from tftrace.ingest.agent_raw import RawProcess


@dataclass(frozen=True)
class NodeCalls:
    """What is made of them in `calls`, and what later steps read."""

    call: Int  # per node execution
    tid: Int
    total: Int  # time of its kernels, ns
    of_profile: Int  # profile row -> position here, or NONE
    of_primitive: Int  # primitive row -> position here, or NONE
    kernel_start: Int  # kernels derived from native stacks ..
    kernel_end: Int
    kernel_root: Int  # .. and the entry each belongs to


def add_node_calls(
    build: TraceBuilder, raw: RawProcess, clock: Clock, graphs: Graphs, known: NodeSites, calls: Dispatches,
    profile: ProfileEvents, prim: LibraryCalls, root: Int, parent: Int, making: Int, common: dict[str, int], turn: int,
) -> NodeCalls:  # fmt: skip
    nd, npf = len(calls.runtime), len(profile.ids)

    # -- each kernel event that ran in a graph is one execution of a node
    profile_root = root[nd : nd + npf]
    in_graph = np.where(profile_root >= 0, calls.graph[np.maximum(profile_root, 0)] if nd else NONE, NONE)
    # under an eager op only tf.data, which it asks for an element, runs kernels that have names
    epoch = dataset_epochs(build, graphs, profile)
    made = graphs_being_made(raw, clock, graphs, build, profile, profile_root)
    in_graph, epoch = np.where(made != NONE, made, in_graph), np.where(made != NONE, NONE, epoch)
    eager = (profile_root >= 0) & (in_graph == NONE) & (epoch == NONE)
    rows = np.flatnonzero(profile.is_kernel & ~eager)
    pairs, which = np.unique(
        np.stack(
            [in_graph[rows], profile.name[rows], profile.node[rows], profile.node_rule[rows], epoch[rows]]
        ),
        axis=1,
        return_inverse=True,
    )
    which = np.asarray(which).reshape(-1)
    sites = np.empty(pairs.shape[1], np.int64)
    node_of = np.empty(pairs.shape[1], np.int64)
    counts = np.bincount(which, minlength=pairs.shape[1]) if len(rows) else np.zeros(pairs.shape[1], int)
    for i in range(pairs.shape[1]):
        graph, word, made_of, _, made_before = (int(v) for v in pairs[:, i])
        kernel = build.words.values[word]
        name, _, kind = (
            kernel.rpartition(":") if ":" in kernel else (re.sub(r"\.\d+$", "", kernel), ":", kernel)
        )
        of = build.words.values[made_of] if made_of != NONE else name
        found, rule = graphs.resolve(graph if graph != NONE else None, of, made_before)
        found = found if found is None else graphs.core(found, kind)
        node_of[i] = NONE if found is None else found
        if found is None:
            known.unresolved[f"{kernel} ({rule})"] += int(counts[i])
            sites[i] = known.other(graph, name, kind)
        else:
            sites[i] = known.of_row[found]
    node = node_of[which] if len(rows) else np.empty(0, np.int64)
    known.count_ran(node[(made[rows] == NONE) & (node >= 0)])
    words = build.words
    place, head, total = executions(profile, rows, sites[which] if len(rows) else which, profile_root[rows])
    rows, every, node = rows[head], rows, node[head]
    which = which[head]
    for i, n in enumerate(np.bincount(which, minlength=len(sites)).tolist()):
        build.sites[int(sites[i])]["executions"] += n
    parent_row = profile_root[rows]
    step = taken(calls.step, parent_row)
    call = build.calls(
        len(rows), site_id=sites[which] if len(rows) else NONE, parent_call_id=taken(calls.call, parent_row),
        session_id=taken(calls.session, parent_row), step=np.where(step > 0, step, NONE),
        warm_up=taken(calls.warm_up, parent_row), shapes=taken(known.shapes, node),
        dtypes=taken(known.dtypes, node), op_attrs=taken(known.attrs, node), device=known.devices(node),
        pid=common["pid"], tid=profile.tid[rows], start_ns=profile.start[rows], total_ns=total,
        status=words.code("ok"), order=turn + np.arange(len(rows)),
    )  # fmt: skip
    of_profile = np.full(npf, NONE, np.int64)
    of_profile[every] = place
    build.belong(profile.ids[every], call[place])
    rows, node = every, node[place]
    if len(making):
        told = profile.node_rule[rows]
        for code in np.unique(told).tolist():
            some = told == code
            rule = "node name" if code == NONE else words.values[code]
            build.link(profile.ids[rows[some]], taken(making, node[some]), rule, "inferred")

    # -- TensorFlow's own events belong to the entry they lead back to; what runs a node serves it with a share
    others = np.flatnonzero((of_profile == NONE) & ~profile.is_launch)
    build.belong(profile.ids[others], taken(calls.call, profile_root[others]))
    above = parent[nd + rows] - nd
    runs = np.flatnonzero((above >= 0) & (above < npf))
    if len(runs):
        dur = (profile.end - profile.start)[rows[runs]].astype(np.float64)
        spent = np.bincount(above[runs], weights=dur, minlength=npf)
        served, pair = np.unique(np.stack([above[runs], place[runs]]), axis=1, return_inverse=True)
        mine = np.bincount(np.asarray(pair).reshape(-1), weights=dur)
        build.belong(profile.ids[served[0]], call[served[1]], mine / np.maximum(spent[served[0]], 1))

    # -- primitives
    of_primitive = _primitive_nodes(parent, nd, npf, len(prim.ids), of_profile)
    shares = _worker_shares(build, prim, of_primitive, root, nd + npf)
    own = np.where(of_primitive >= 0, taken(call, of_primitive), taken(calls.call, root[nd + npf :]))
    build.belong(prim.ids, own)
    build.belong(prim.stream_executor, own)
    kernels = _stack_kernels(build, calls, profile, prim, root, parent, nd, npf, of_primitive, common)
    _calling_thread(build, prim, shares, own, common)
    return NodeCalls(
        call,
        profile.tid[rows[head]],
        total,
        of_profile,
        of_primitive,
        *kernels,
    )


def _primitive_nodes(parent: Int, nd: int, npf: int, ni: int, of_profile: Int) -> Int:
    """The node execution around each primitive on its thread, through enclosing primitives."""
    at = parent[nd + npf :].copy()
    for _ in range(32):
        inner = at >= nd + npf
        if not inner.any():
            break
        at[inner] = parent[at[inner]]
    inside = (at >= nd) & (at < nd + npf)
    return np.where(inside, of_profile[np.clip(at - nd, 0, max(npf - 1, 0))] if npf else NONE, NONE)


def _worker_shares(
    build: TraceBuilder, prim: LibraryCalls, of_primitive: Int, root: Int, base: int
) -> np.ndarray:
    """Shares on other threads go to the primitive of that time. Returns which library rows have any share."""
    has = np.zeros(len(prim.ids), bool)
    nested = np.flatnonzero(~prim.is_library & (prim.outer >= 0))
    has[prim.outer[nested]] = True
    loose = np.flatnonzero(~prim.is_library & (prim.outer < 0))
    libraries = np.flatnonzero(prim.is_library & prim.on_cpu)
    if len(loose) == 0 or len(libraries) == 0:
        return has
    order = libraries[np.argsort(prim.start[libraries], kind="stable")]
    at = np.searchsorted(prim.start[order], prim.start[loose], "right") - 1
    row = order[np.maximum(at, 0)]
    fits = (at >= 0) & (prim.start[loose] < prim.end[row])
    build.link(prim.ids[loose[fits]], prim.ids[row[fits]], "overlap", "inferred")
    of_primitive[loose[fits]] = of_primitive[row[fits]]
    root[base + loose[fits]] = root[base + row[fits]]
    has[row[fits]] = True
    return has


def _stack_kernels(
    build: TraceBuilder, calls: Dispatches, profile: ProfileEvents, prim: LibraryCalls, root: Int, parent: Int, nd: int,
    npf: int, of_primitive: Int, common: dict[str, int],
) -> tuple[Int, Int, Int]:  # fmt: skip
    """Library calls below their kernels. A kernel without an event of TensorFlow's own gets one from the stack."""
    words = build.words
    lib = np.flatnonzero(prim.is_library)
    named = np.array(
        [prim.stack[i] is not None and prim.stack[i].kernel is not None for i in lib.tolist()], bool
    )
    in_event = of_primitive[lib] >= 0
    # inside a kernel event: same thread, contained; and more than that where the stack shows the kernel's Compute
    above = parent[nd + npf + lib[in_event]]
    above = np.where((above >= nd) & (above < nd + npf), above - nd, NONE)
    kernel_event = taken(profile.ids, above)
    strong = named[in_event] & prim.verified[lib[in_event]]
    # a function of StreamExecutor that made the call lies between the two
    entry = np.where(prim.stream_executor >= 0, prim.stream_executor, prim.ids)
    build.link(entry[lib[in_event]][strong], kernel_event[strong], "native stack", "measured")
    build.link(entry[lib[in_event]][~strong], kernel_event[~strong], "containment", "joined")

    rest = lib[~in_event]
    record_row = taken(calls.record, prim.call_record[rest])
    by_id = record_row >= 0
    owner = np.where(by_id, record_row, root[nd + npf + rest])
    bare = rest[~named[~in_event]]
    bare_owner = owner[~named[~in_event]]
    build.link(
        entry[bare],
        taken(calls.runtime, np.where(prim.call_record[bare] >= 0, bare_owner, NONE)),
        "range id",
        "measured",
    )
    telling = named[~in_event] & (by_id | ~prim.closing[rest])
    with_kernel, owner, by_id = rest[telling], owner[telling], by_id[telling]
    labels = [
        f"{_op(calls, int(o)) if direct else '(node not known)'}:{prim.stack[i].kernel}"
        for i, o, direct in zip(with_kernel.tolist(), owner.tolist(), by_id.tolist(), strict=True)
    ]
    name = words.codes(labels)
    # one kernel event for all primitives of one kernel in one eager call; one each elsewhere
    group = np.where(by_id, owner, nd + np.arange(len(owner))) * (len(words.values) + 1) + name
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    n = len(first)
    start = np.full(n, np.iinfo(np.int64).max)
    end = np.full(n, np.iinfo(np.int64).min)
    np.minimum.at(start, inverse, prim.start[with_kernel])
    np.maximum.at(end, inverse, prim.end[with_kernel])
    kernel_owner = owner[first]
    ids = build.events(
        n, layer=words.code("kernel"), name=name[first], start_ns=start, dur_ns=end - start,
        tid=prim.tid[with_kernel[first]], probe=prim.probe[with_kernel[first]], **common,
    )  # fmt: skip
    sure = prim.verified[with_kernel]
    build.link(entry[with_kernel][sure], ids[inverse][sure], "native stack", "measured")
    build.link(entry[with_kernel][~sure], ids[inverse][~sure], "native stack, not verified", "joined")
    direct = by_id[first]
    build.link(ids[direct], taken(calls.runtime, kernel_owner[direct]), "range id", "measured")
    build.link(ids[~direct], taken(calls.runtime, kernel_owner[~direct]), "overlap", "inferred")
    build.belong(ids, taken(calls.call, kernel_owner))
    return start, end, kernel_owner


def _op(calls: Dispatches, row: int) -> str:
    return calls.op[int(calls.description[row])]


def _calling_thread(
    build: TraceBuilder, prim: LibraryCalls, has_share: np.ndarray, own: Int, common: dict[str, int]
) -> None:
    """A primitive that handed out no shares ran as a whole on the thread that asked for it: its device event. One that
    only its line tells of may have had others work for it."""
    alone = np.flatnonzero(prim.is_library & prim.on_cpu & ~has_share)
    words = build.words
    told = prim.probe[alone] == words.code("itt")
    name = np.where(
        told, words.code("calling thread"), words.code("calling thread, with any workers it waited for")
    )
    ids = build.events(
        len(alone), layer=words.code("device"), name=name, start_ns=prim.start[alone],
        dur_ns=(prim.end - prim.start)[alone], tid=prim.tid[alone], probe=prim.probe[alone], **common,
    )  # fmt: skip
    build.link(ids, prim.ids[alone], "same record", "measured")
    build.belong(ids, own[alone])
