"""TensorFlow profiler windows as events on the same threads and the same time line as our own records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.ledger.profile_algorithms import OpWork
from tftrace.correlate.libraries.library_calls import LibraryCalls
from tftrace.correlate.profiles.device_work import DeviceWork, add_device_work, joined
from tftrace.correlate.profiles.host_plane import HostEvents, add_host_events, fold
from tftrace.correlate.profiles.launches import Counts, find_launches
from tftrace.correlate.profiles.op_runs import OpRuns, add_op_runs
from tftrace.correlate.profiles.placing import Pairs, gap
from tftrace.correlate.runs.dispatches import Dispatches
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder
from tftrace.errors import InputError
from tftrace.ingest.agent_raw import RawProcess
from tftrace.ingest.thread_keys import thread_key_candidates
from tftrace.ingest.xplane.schema import STATS
from tftrace.ingest.xplane.space import XSpace, read_xspace


@dataclass(frozen=True)
class ProfileEvents:
    """Host events of all windows of a process, executions that annotations told included: parallel arrays."""

    ids: Int
    start: Int
    end: Int
    tid: Int
    name: Int  # codes of the builder's words
    is_kernel: np.ndarray
    producer: Int  # hashed (type, id); NONE where absent
    consumer: Int
    step: Int  # TensorFlow's step id, dense; NONE where absent
    eager_op: Int  # op type of an `EagerExecute` that runs a single op; NONE elsewhere
    is_hlo: np.ndarray  # HLO instructions among the executions that annotations told ..
    hlo: Int  # HLO instructions, on threads of the CPU too
    node: Int  # .. and the node each was made of; NONE where nothing tells
    others: Int  # .. the nodes that it computes besides (JSON array)
    node_rule: Int  # .. and how its program told that
    container: np.ndarray  # .. and whether it only runs others
    is_launch: np.ndarray  # driver calls
    told: np.ndarray  # launches that are linked to the op they serve by what TensorFlow said of it
    options: list[dict[str, Any]]
    problems: list[str]  # a line for each profile that could not be read
    work: DeviceWork  # what the devices did; its launches are rows here
    counts: Counts
    op_work: list[OpWork]  # the same by the op that launched it, a window each


def read_windows(
    raw: RawProcess,
    clock: Clock,
    build: TraceBuilder,
    common: dict[str, int],
    known: Dispatches,
    around: LibraryCalls,
    within: LibraryCalls,
) -> ProfileEvents:
    """Adds the windows' events of host and devices; `around` are the calls into libraries that launch work, `within`
    those that lie inside kernels.

    A window whose profile is missing or cannot be read is marked as lost, and named in `problems`.
    """
    parts: list[dict[str, Any]] = []
    works: list[DeviceWork] = []
    counts, first = Counts(), 0
    by_op: list[OpWork] = []
    options: list[dict[str, Any]] = []
    keys: dict[int, int] = {}
    for row in raw.threads:
        for key in thread_key_candidates(int(row["pthread"]), int(row["tid"])):
            keys[key] = int(row["tid"])
    steps: dict[tuple[int, int], int] = {}
    spaces, problems = _readable(raw)
    for number, (window, space) in enumerate(spaces):
        options.append(dict(space.options))
        line_tid = np.array([keys.get(line.line_id, fold(line.line_id)) for line in space.lines], np.int64)
        start = _placed(space, window, clock, line_tid, known, within)
        host = add_host_events(space, build, common, start, line_tid, number, steps)
        work, found = add_device_work(space, build, common, start, host, find_launches(space), first)
        runs = add_op_runs(space, build, common, host, work, first, by_node=True, around=around)
        works.append(work)
        by_op.append(runs.work)
        counts += found
        parts.append(_rows(host, runs))
        first += len(host.ids) + len(runs.ids)
    return _joined(parts, options, problems, joined(works), counts, by_op)


def _readable(raw: RawProcess) -> tuple[list[tuple[dict[str, Any], XSpace]], list[str]]:
    """Windows with the profiles that can be read, and what is wrong with the others."""
    spaces: list[tuple[dict[str, Any], XSpace]] = []
    problems: list[str] = []
    profiles = raw.profiles
    for window in raw.windows:
        found, why = False, "its profile is missing"
        for path in (path for of, path in profiles if of is window):
            try:
                spaces.append((window, read_xspace(path, STATS)))
                found = True
            except InputError as error:
                problems.append(str(error))
                why = "its profile cannot be read"
        if not found and not window.get("lost"):
            if why == "its profile is missing":
                problems.append(f"{raw.path}: the profile of {window['run']} is missing; its events are lost")
            window["lost"] = why
    return spaces, problems


def _rows(host: HostEvents, runs: OpRuns) -> dict[str, Any]:
    """The columns of `ProfileEvents` of one window: its host events, and behind them its executions."""
    n = len(runs.ids)
    none, no = np.full(n, NONE, np.int64), np.zeros(n, bool)
    told = (runs.launch_run >= 0) & host.is_launch
    made = host.made
    pairs = {
        "ids": (host.ids, runs.ids), "start": (host.start, runs.start), "end": (host.end, runs.end),
        "tid": (host.tid, runs.tid), "name": (host.name, runs.name), "is_kernel": (host.is_kernel, ~no),
        "producer": (host.producer, none), "consumer": (host.consumer, none), "step": (host.run, none),
        "eager_op": (host.eager_op, none), "is_hlo": (np.zeros(len(host.ids), bool), runs.hlo),
        "hlo": (made.op[host.row], np.where(runs.hlo, runs.name, NONE)), "node": (made.node[host.row], runs.node),
        "others": (made.others[host.row], runs.others), "node_rule": (made.rule[host.row], runs.node_rule),
        "container": (made.container[host.row], no),
        "is_launch": (host.is_launch, no),        "told": (told, no),
    }  # fmt: skip
    return {name: np.concatenate(pair) for name, pair in pairs.items()}


def _joined(
    parts: list[dict[str, Any]],
    options: list[dict[str, Any]],
    problems: list[str],
    work: DeviceWork,
    counts: Counts,
    op_work: list[OpWork],
) -> ProfileEvents:
    flags = ("is_kernel", "is_hlo", "is_launch", "told", "container")
    names = [
        f.name
        for f in fields(ProfileEvents)
        if f.name not in ("options", "problems", "work", "counts", "op_work")
    ]
    columns = {
        n: np.concatenate([p[n] for p in parts] or [np.empty(0, bool if n in flags else np.int64)])
        for n in names
    }
    return ProfileEvents(
        **columns, options=options, problems=problems, work=work, counts=counts, op_work=op_work
    )


def _placed(
    space: XSpace,
    window: dict[str, Any],
    clock: Clock,
    line_tid: Int,
    known: Dispatches,
    within: LibraryCalls,
) -> Int:
    """Start times on our time line.

    A profile that does not tell when it began (TensorFlow up to 2.15) began between `asked` and `open`: where in there
    is told by its entries into the runtime and runs of sessions, each of which lies inside a call of ours, and by its
    oneDNN kernels, inside which lie the primitives that oneDNN reported.
    """
    if space.absolute:
        return clock.from_wall(space.start_ns, int(window["open"]))
    low, high = clock.from_raw(
        np.array([window.get("asked", window["open"]), window["open"]], np.int64)
    ).tolist()

    def named(fits: Callable[[str], bool]) -> tuple[Int, Int, Int]:
        mask = np.array([fits(n) for n in space.names], bool)
        rows = np.flatnonzero(mask[space.name_code]) if len(space) else np.empty(0, np.int64)
        return line_tid[space.line[rows]], space.start_ns[rows], (space.start_ns + space.dur_ns)[rows]

    entries = named(lambda n: n.startswith("TFE_Py_") or n == "SessionRun")
    kernels = named(lambda n: ":_Mkl" in n)
    whole = within.is_library & (within.outer < 0)
    begun = gap(
        low, high,
        Pairs(entries, (known.tid, known.start, known.end), ours_outside=True),
        Pairs(kernels, (within.tid[whole], within.start[whole], within.end[whole]), ours_outside=False),
    )  # fmt: skip
    return np.asarray(space.start_ns + begun, np.int64)
