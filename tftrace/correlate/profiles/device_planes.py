"""A TensorFlow profile recorded elsewhere, with no records of ours beside it: host, devices, and what links them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tftrace.correlate.ledger.profile_algorithms import ProfileAlgorithms
from tftrace.correlate.nesting import nest, union_length
from tftrace.correlate.profiles.device_work import DeviceWork, add_device_work
from tftrace.correlate.profiles.handovers import hand_over
from tftrace.correlate.profiles.host_plane import HostEvents, add_host_events, fold
from tftrace.correlate.profiles.launches import Counts, find_launches
from tftrace.correlate.profiles.op_runs import OpRuns, add_op_runs
from tftrace.correlate.profiles.parts import Part, sliced, whole
from tftrace.correlate.profiles.ranks import Ranks
from tftrace.correlate.profiles.slices import EVENTS, slices
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, taken
from tftrace.ingest.xplane.device import HOST, is_device, lines_of
from tftrace.ingest.xplane.space import XSpace


@dataclass(frozen=True)
class SpaceFacts:
    """What the manifest wants to know of an imported profile."""

    host_events: int
    counts: Counts
    calls: int
    threads: dict[int, str] = field(default_factory=dict)  # tid -> name of its line
    devices: list[dict[str, object]] = field(default_factory=list)


def add_space(
    space: XSpace, build: TraceBuilder, algorithms: ProfileAlgorithms, *, host: str, pid: int,
    shift_ns: int = 0, window: int = 0, events: int = EVENTS,
) -> SpaceFacts:  # fmt: skip
    """Adds the events of a profile, their links, a call for each op that it shows, and what `algorithms` makes of them.

    `host` and `pid` name the process it came from (a profile does not tell its pid). `shift_ns` is added to each
    time, where the profile's are not since the epoch; `window` tells profiles of one trace apart.
    The sites of the calls are ops by name: no line of Python is known. A large profile is joined in slices of about so
    many `events`: what is in memory beside it is that of a slice.
    """
    common = {"host": build.words.code(host), "pid": pid, "device": NONE}
    tids = np.array(
        [line.line_id if line.line_id >= 0 else fold(line.line_id) for line in space.lines], np.int64
    )
    launches = find_launches(space)
    parts = slices(space, tids, launches, events)
    sites = OpSites()
    host_events = calls = 0
    joined = (
        whole(space, shift_ns, launches)
        if parts is None
        else sliced(space, shift_ns, tids, launches, parts, build)
    )
    for part in joined:
        counted = _add(part, build, algorithms, common, tids, window, sites)
        host_events, calls = host_events + counted[0], calls + counted[1]
        del part  # before the next one is made
    sites.settle(build)
    return SpaceFacts(
        host_events=host_events,
        counts=launches.counts,
        calls=calls,
        threads={
            int(tid): line.name
            for tid, line, on_host in zip(tids, space.lines, lines_of(space, HOST), strict=True)
            if on_host
        },
        devices=[
            {"name": p.name, **{k: v for k, v in p.stats.items() if isinstance(v, (int, float, str))}}
            for p in space.planes
            if is_device(p.name)
        ],
    )


def _add(
    part: Part, build: TraceBuilder, algorithms: ProfileAlgorithms, common: dict[str, int], tids: Int, window: int,
    sites: OpSites,
) -> tuple[int, int]:  # fmt: skip
    """Adds a part of a profile; (host events, calls)."""
    host = add_host_events(
        part.space, build, common, part.start, tids, window, part.runs, part.order, part.trials
    )
    work, _ = add_device_work(part.space, build, common, part.start, host, part.launches, order=part.order)
    runs = add_op_runs(part.space, build, common, host, work, order=part.order)
    parent = _host_links(build, host, runs)
    calls = _calls(part.space, build, common, host, work, runs, parent, sites, part.order)
    algorithms.read(build, runs.work, window)
    return len(host.ids), calls


def _host_links(build: TraceBuilder, host: HostEvents, runs: OpRuns) -> Int:
    """Parents among host events and, behind them, executions of ops; NONE for none."""
    n, k = len(host.ids), len(runs.ids)
    ids = np.concatenate([host.ids, runs.ids])
    rank = np.concatenate([np.ones(n, np.int64), np.zeros(k, np.int64)])
    parent, _ = nest(
        np.concatenate([host.tid, runs.tid]), np.concatenate([host.start, runs.start]),
        np.concatenate([host.end, runs.end]), rank,
    )  # fmt: skip
    contained = np.flatnonzero(parent >= 0)
    # a launch is linked to its execution by what TensorFlow said of it, which is more than containment
    told = np.append(runs.launch_run, np.full(k, NONE))[contained] >= 0
    told &= np.append(host.is_launch, np.zeros(k, bool))[contained]
    told &= parent[contained] >= n
    rest = contained[~told]
    build.link(ids[rest], ids[parent[rest]], "containment", "joined")
    none = np.full(k, NONE, np.int64)
    hand_over(
        build, ids, parent, np.concatenate([host.name, runs.name]), np.concatenate([host.producer, none]),
        np.concatenate([host.consumer, none]), np.concatenate([host.run, none]),
    )  # fmt: skip
    return parent


def _calls(
    space: XSpace, build: TraceBuilder, common: dict[str, int], host: HostEvents, work: DeviceWork, runs: OpRuns,
    parent: Int, sites: OpSites, order: Ranks | None,
) -> int:  # fmt: skip
    """One call for each kernel event: TensorFlow's own, and the executions told by annotations."""
    n = len(host.ids)
    own = np.flatnonzero(host.is_kernel)
    rows = np.concatenate([own, n + np.arange(len(runs.ids))])  # positions in host events, then executions
    step_of, has_step = space.stat_ids("group_id")
    host_step = np.where(has_step, step_of, NONE)[host.row]
    device_of = np.full(n + len(runs.ids), build.words.code("/device:CPU:0"), np.int64)
    device_of[n:] = runs.device
    call_of = np.full(n + len(runs.ids) + 1, NONE, np.int64)  # the last element stands for no position
    call_of[rows] = np.arange(len(rows))

    # what a launch serves: its execution, else the innermost kernel event around it
    above = parent.copy()
    for _ in range(32):
        climbing = (above >= 0) & (call_of[above] < 0)
        if not climbing.any():
            break
        above[climbing] = parent[above[climbing]]
    launch_at = np.where(runs.launch_run >= 0, n + runs.launch_run, above[:n])
    launch_call = np.where(host.is_launch, call_of[launch_at], NONE)
    work_call = taken(launch_call, work.launch)
    # a kernel event of TensorFlow's own that launched work ran where the work did
    at = rows[work_call[work_call >= 0]]
    device_of[at] = work.device[work_call >= 0]

    start, end = np.concatenate([host.start, runs.start])[rows], np.concatenate([host.end, runs.end])[rows]
    tid = np.concatenate([host.tid, runs.tid])[rows]
    name = np.concatenate([host.name, runs.name])[rows]
    launches = np.flatnonzero(launch_call >= 0)
    library = _covered(len(rows), launch_call[launches], host.start[launches], host.end[launches])
    served = np.flatnonzero(work_call >= 0)
    device = _covered(len(rows), work_call[served], work.start[served], work.end[served])
    total = end - start
    rank = {}
    if order is not None:
        rank["order"] = np.concatenate([order.kernel_calls[host.row[own]], order.run_calls[runs.begun]])
    ids = build.calls(
        len(rows), site_id=name, step=np.concatenate([host_step, runs.step])[rows], warm_up=NONE,
        device=device_of[rows], pid=common["pid"], tid=tid, start_ns=start, total_ns=total, self_ns=total,
        status=build.words.code("ok"), kernel_total_ns=total,
        kernel_self_ns=np.maximum(total - np.maximum(library, 0), 0), library_total_ns=library,
        library_self_ns=library, device_total_ns=device, device_self_ns=device, **rank,
    )  # fmt: skip
    sites.add(ids, name)
    build.belong(np.concatenate([host.ids, runs.ids])[rows], ids)
    build.belong(host.ids[launches], taken(ids, launch_call[launches]))
    build.belong(work.ids[served], taken(ids, work_call[served]))
    # what runs a node serves it with a share
    around = np.where(parent[rows] < n, parent[rows], NONE)
    inside = np.flatnonzero(around >= 0)
    spent = np.bincount(around[inside], weights=total[inside], minlength=n)
    build.belong(
        taken(host.ids, around[inside]), ids[inside], total[inside] / np.maximum(spent[around[inside]], 1)
    )
    return len(rows)


class OpSites:
    """A site for each op by name; `name:Type`, or an HLO instruction, which has no type."""

    def __init__(self) -> None:
        self._calls: list[int] = []
        self._executions: dict[int, int] = {}

    def add(self, calls: Int, name: Int) -> None:
        """`calls` were added with the code of their name as their site."""
        used, counts = np.unique(name, return_counts=True)
        for code, count in zip(used.tolist(), counts.tolist(), strict=True):
            self._executions[code] = self._executions.get(code, 0) + count
        if len(calls):
            self._calls.append(int(calls[0]))

    def settle(self, build: TraceBuilder) -> None:
        """Makes the sites, and gives each call its own."""
        if not self._executions:
            return
        site = np.full(max(self._executions) + 1, NONE, np.int64)
        for code in sorted(self._executions):
            node, colon, kind = build.words.values[code].rpartition(":")
            site[code] = build.site(
                op=kind if colon else kind.rstrip("0123456789").rstrip("._"), mode="native" if colon else "xla",
                node=node if colon else kind, callers="[]", executions=self._executions[code],
            )  # fmt: skip
        for first in self._calls:
            build.map_calls(first, "site_id", site)


def _covered(groups: int, group: Int, start: Int, end: Int) -> Int:
    """Time covered in each group; NONE where it has no interval."""
    total = union_length(group, start, end, groups)
    return np.where(np.bincount(group, minlength=groups) > 0, total, NONE)
