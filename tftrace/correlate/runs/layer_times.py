"""The time of each layer in each call, and in each execution of a node."""

from __future__ import annotations

import numpy as np

from tftrace.correlate.libraries.library_calls import LibraryCalls
from tftrace.correlate.nesting import union_length
from tftrace.correlate.profiles.profile import ProfileEvents
from tftrace.correlate.runs.device_calls import DeviceCalls
from tftrace.correlate.runs.dispatches import Dispatches
from tftrace.correlate.runs.node_calls import NodeCalls
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder


def layer_times(
    build: TraceBuilder,
    calls: Dispatches,
    profile: ProfileEvents,
    prim: LibraryCalls,
    nodes: NodeCalls,
    root: Int,
    served: DeviceCalls,
) -> None:
    nd, npf = len(calls.runtime), len(profile.ids)
    prim_root = root[nd + npf :]
    lib = np.flatnonzero(prim.is_library)
    worked = np.flatnonzero(prim.on_cpu)  # whole primitives and shares: the CPU's device layer
    via = np.flatnonzero(prim.stream_executor >= 0)

    # entries into the runtime
    kernel_rows = np.flatnonzero(profile.is_kernel)
    kernel = _union(
        nd,
        (root[nd + kernel_rows], profile.start[kernel_rows], profile.end[kernel_rows]),
        (nodes.kernel_root, nodes.kernel_start, nodes.kernel_end),
    )
    library = _union(nd, (prim_root[lib], prim.start[lib], prim.end[lib]), served.launches(served.root))
    device = _union(
        nd,
        (prim_root[worked], prim.start[worked], prim.end[worked]),
        served.work(served.root),
    )
    between = _union(nd, (prim_root[via], prim.start[via], prim.end[via]))
    total = calls.end - calls.start
    kernel = np.where(kernel == NONE, NONE, np.minimum(kernel, total))
    inner = np.zeros(nd, np.int64)
    nested = calls.outer >= 0
    np.add.at(inner, calls.outer[nested], total[nested])
    own = _own_time(nd, prim_root, prim, calls.tid)
    nodes_ran = (calls.graph != NONE) & (kernel > 0)  # what tftrace spent lies between their begin and end
    self_ns = np.maximum(total - inner - np.where(nodes_ran, kernel, np.maximum(own, 0)), 0)
    cpu = _worker_time(nd, prim_root, prim, calls.tid)
    columns = {f"{k}_total_ns": np.where(v, total, NONE) for k, v in calls.layers.items()}
    build.fill_calls(
        calls.call, self_ns=self_ns, cpu_ns=cpu, tftrace_ns=own, runtime_total_ns=total,
        runtime_self_ns=np.maximum(total - inner - np.maximum(kernel, 0) - _outside_kernel(own, kernel, library), 0),
        **columns, **_below(kernel, between, library, device, own),
    )  # fmt: skip

    # node executions
    n = len(nodes.call)
    dur = nodes.total
    of = nodes.of_primitive
    library = _union(n, (of[lib], prim.start[lib], prim.end[lib]), served.launches(served.node))
    device = _union(
        n,
        (of[worked], prim.start[worked], prim.end[worked]),
        served.work(served.node),
    )
    between = _union(n, (of[via], prim.start[via], prim.end[via]))
    own = _own_time(n, of, prim, nodes.tid)
    build.fill_calls(
        nodes.call,
        self_ns=np.maximum(dur - np.maximum(own, 0), 0),
        cpu_ns=_worker_time(n, of, prim, nodes.tid),
        tftrace_ns=own,
        **_below(dur, between, library, device, own),
    )


def _own_time(groups: int, group: Int, prim: LibraryCalls, tid: Int) -> Int:
    """What tftrace spent around the library calls of each group, on the group's own thread; NONE where it was not
    measured. On other threads the call that waits may have been waiting for something else."""
    out = np.full(groups, NONE, np.int64)
    mine = np.flatnonzero((group >= 0) & (prim.spent != NONE))
    mine = mine[prim.tid[mine] == tid[group[mine]]]
    out[group[mine]] = 0
    np.add.at(out, group[mine], prim.spent[mine])
    return out


def _outside_kernel(own: Int, kernel: Int, library: Int) -> Int:
    """The part of tftrace's own time that no kernel covers: it lies right beside the library calls, within the kernel
    where that was timed, around it where the kernel is only known by its library calls."""
    return np.maximum(own, 0) - _inside_kernel(own, kernel, library)


def _inside_kernel(own: Int, kernel: Int, library: Int) -> Int:
    return np.minimum(np.maximum(own, 0), np.maximum(_less(kernel, library), 0))


def _below(kernel: Int, between: Int, library: Int, device: Int, own: Int) -> dict[str, Int]:
    kernel_self = _less(kernel, library)
    return {
        "stream_executor_total_ns": between, "stream_executor_self_ns": _less(between, library),
        "kernel_total_ns": kernel, "library_total_ns": library,
        "kernel_self_ns": np.where(kernel == NONE, NONE, kernel_self - _inside_kernel(own, kernel, library)),
        "library_self_ns": _less(library, device), "device_total_ns": device, "device_self_ns": device,
    }  # fmt: skip


def _less(upper: Int, lower: Int) -> Int:
    """What the layer below does not cover; NONE where the upper one was not seen."""
    return np.where(upper == NONE, NONE, np.maximum(upper - np.maximum(lower, 0), 0))


def _union(groups: int, *parts: tuple[Int, Int, Int]) -> Int:
    """Covered time per group; NONE where a group has no interval at all."""
    group, start, end = (np.concatenate([p[i] for p in parts]) for i in range(3))
    ok = group >= 0
    total = union_length(group[ok], start[ok], end[ok], groups)
    seen = np.bincount(group[ok], minlength=groups)[:groups] if ok.any() else np.zeros(groups, int)
    return np.where(seen > 0, total, NONE)


def _worker_time(groups: int, group: Int, prim: LibraryCalls, tid: Int) -> Int:
    """Shares on threads other than the one that ran the call; NONE where no primitive was seen."""
    out = np.zeros(groups, np.int64)
    seen = np.zeros(groups, bool)
    ok = group >= 0
    seen[group[ok & prim.on_cpu]] = True
    away = np.flatnonzero(ok & ~prim.is_library & (prim.outer < 0))
    away = away[prim.tid[away] != tid[group[away]]] if groups else away
    np.add.at(out, group[away], (prim.end - prim.start)[away])
    return np.where(seen, out, NONE)
