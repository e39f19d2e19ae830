"""Executions of OpKernels that TensorFlow names only on the work they handed to a device.

An op that runs on a GPU leaves no event of its own on the host's thread. But its name stands, as an annotation, on each
kernel and copy that it launched, and in the allocations it made. So the launches and allocations of one op that follow
each other on a thread are one execution, from the first to the last of them: a lower bound of its time.

    thread  what                          annotation        execution
    1       allocation of Conv2D          (op: Conv2D)       a
    1       launch, shuffle kernel        Conv2D:Conv2D      a        a = Conv2D:Conv2D, from the allocation
    1       launch, conv kernel           Conv2D:Conv2D  ->  a            to the end of the second launch
    1       launch, relu kernel           Relu:Relu          b        b = Relu:Relu
    1       launch, conv kernel           Conv2D:Conv2D      c        c = Conv2D:Conv2D, once more

Where a run of the executor begins on the thread, a new execution begins too. TensorFlow since 2.17 numbers each
annotated scope, which tells two executions apart that nothing lies between; in profiles without these numbers such
two count as one. HLO instructions are executions each; where the graph is known, those that XLA made of one node, and
that ran one after the other, are one execution of that node, which bears the name of the costliest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tftrace.correlate.ledger.profile_algorithms import OpWork
from tftrace.correlate.ledger.tuning import mark_trials
from tftrace.correlate.libraries.library_calls import LibraryCalls
from tftrace.correlate.nesting import latest_before, nest, running_max
from tftrace.correlate.profiles.device_work import DeviceWork
from tftrace.correlate.profiles.host_plane import HostEvents, names_kernel
from tftrace.correlate.profiles.ranks import Ranks, ranked
from tftrace.correlate.profiles.stat_attrs import interned
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, numbered
from tftrace.ingest.xplane.space import XSpace

SCOPE_RULE = "annotation scope"
LABEL_RULE = "annotation"
ENTRIES = ("ExecutorState::Process", "FunctionRun", "EagerKernelExecute", "GpuExecutable::ExecuteThunks")
"""Where they begin on a thread, what was executing there before has ended."""
_ATTRS = '{"from":"annotations of its launches"}'


@dataclass(frozen=True)
class OpRuns:
    """Executions: parallel arrays. `run_of` gives each device event its execution, `launch_run` each host event."""

    ids: Int
    start: Int
    end: Int
    tid: Int
    name: Int  # codes of the builder's words
    step: Int
    device: Int
    hlo: np.ndarray  # which are HLO instructions ..
    node: Int  # .. and of which node of the graph these were made
    others: Int  # .. which others they compute besides
    node_rule: Int  # .. and how that is known
    by_scope: np.ndarray
    launch_run: Int
    begun: Int  # row of the profile with which each begins
    work: OpWork  # all work of the devices, by execution


def add_op_runs(
    space: XSpace, build: TraceBuilder, common: dict[str, int], host: HostEvents, work: DeviceWork, first: int = 0,
    by_node: bool = False, around: LibraryCalls | None = None, order: Ranks | None = None,
) -> OpRuns:  # fmt: skip
    """Adds the executions as events of the layer kernel, where no kernel event of the same name is there already.

    `work` holds what this profile's devices did, its launches counted from `first`. The launches are linked to their
    executions. With `by_node`, HLO instructions count by the node that they were made of. An execution spans the calls
    of `around` in which it launched work: the kernel called the library, not the other way round.
    """
    words = build.words
    n = len(host.ids)
    label, scope, step, device, hlo, made_of, others, rule = (np.full(n, NONE, np.int64) for _ in range(8))
    launched = np.flatnonzero(work.launch >= 0)[::-1]  # of several kernels of one launch the first counts
    at = work.launch[launched] - first
    named = np.array([names_kernel(v) for v in words.values], bool)
    of_kernel = _flags(named, work.label[launched])
    if by_node:  # the kernel that runs a compiled program is around its instructions, which know their nodes
        of_kernel &= work.node[launched] == NONE
    own = np.where(of_kernel, work.label[launched], work.hlo[launched])
    label[at], scope[at], step[at] = own, work.scope[launched], work.step[launched]
    device[at], hlo[at], made_of[at] = work.device[launched], work.hlo[launched], work.node[launched]
    others[at], rule[at] = work.others[launched], work.node_rule[launched]

    node = _node_names(space, build, host, np.where(by_node & (made_of != NONE), made_of, label))
    rows = np.flatnonzero(node != NONE)
    rows = rows[np.lexsort((host.start[rows], host.tid[rows]))]
    # each HLO instruction has a scope of its own, and a node may have been made into several
    fresh = _boundaries(
        host.tid[rows], node[rows], np.where(by_node & (hlo[rows] != NONE), NONE, scope[rows])
    )
    run = np.cumsum(fresh) - 1
    count = int(run[-1]) + 1 if len(run) else 0
    # the launch of most work speaks for its execution
    spent = np.zeros(n, np.int64)
    np.add.at(spent, at, (work.end - work.start)[launched])
    launches = np.flatnonzero(label[rows] != NONE)
    launches = launches[np.argsort(spent[rows[launches]], kind="stable")]
    head = np.full(count, NONE, np.int64)
    head[run[launches]] = rows[launches]
    start, end = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    begin, finish = _widened(host, np.flatnonzero(label != NONE), around)
    np.minimum.at(start, run, begin[rows])
    np.maximum.at(end, run, finish[rows])
    known = _known_kernels(host, head, label) | _compiling(work, label, hlo, rows, run, head)
    keep = np.flatnonzero((head >= 0) & ~known)
    place = np.full(count, NONE, np.int64)
    place[keep] = np.arange(len(keep))
    launch_run = np.full(n, NONE, np.int64)
    launch_run[rows] = place[run]
    head = head[keep]
    begun = host.row[rows[np.flatnonzero(fresh)[keep]]]
    ids = build.events(
        len(keep), layer=words.code("kernel"), name=label[head], start_ns=start[keep], dur_ns=(end - start)[keep],
        tid=host.tid[head], probe=words.code("tf_profiler"), attrs=build.attrs.code(_ATTRS),
        **(common | {"device": device[head]}), **ranked(order, "runs", begun),
    )  # fmt: skip
    run_of = np.full(n + 1, NONE, np.int64)  # the last element stands for no launch
    run_of[rows] = run
    launch = np.where(work.launch >= 0, work.launch - first, n)
    of_op = OpWork(
        work, np.where(_flags(named, work.label), work.label, work.hlo), run_of[launch],
        np.append(host.start, 0)[launch],
    )  # fmt: skip
    mark_trials(build, work, of_op.run, of_op.launched)
    runs = OpRuns(
        ids, start[keep], end[keep], host.tid[head], label[head], step[head], device[head], hlo[head] == label[head],
        made_of[head], others[head], rule[head], scope[head] != NONE, launch_run, begun, of_op,
    )  # fmt: skip
    _link(build, host, runs)
    return runs


def _compiling(work: DeviceWork, label: Int, hlo: Int, rows: Int, run: Int, head: Int) -> np.ndarray:
    """Which executions are none: an op whose instructions XLA runs launches nothing else but what is tried while it is
    compiled, some of it in modules of the autotuner's own and some, such as checks of memory and results, in none."""
    compiled = np.unique(work.label[((work.hlo != NONE) | (work.trial > 0)) & (work.label != NONE)])
    with_instruction = np.zeros(len(head), bool)
    with_instruction[run[hlo[rows] != NONE]] = True
    return np.isin(np.append(label, NONE)[head], compiled) & ~with_instruction


def _widened(host: HostEvents, launches: Int, around: LibraryCalls | None) -> tuple[Int, Int]:
    """Start and end of the host events; of launches those of the library call in which each began."""
    start, end = host.start.copy(), host.end.copy()
    if around is None or not len(around.ids):
        return start, end
    k = len(launches)
    parent, _ = nest(
        np.concatenate([host.tid[launches], around.tid]), np.concatenate([start[launches], around.start]),
        np.concatenate([end[launches], around.end]), np.repeat([1, 0], [k, len(around.ids)]),
    )  # fmt: skip
    inside = np.flatnonzero(parent[:k] >= k)
    call = parent[inside] - k
    start[launches[inside]], end[launches[inside]] = around.start[call], around.end[call]
    return start, end


def _link(build: TraceBuilder, host: HostEvents, runs: OpRuns) -> None:
    inside = np.flatnonzero((runs.launch_run >= 0) & host.is_launch)
    run = runs.launch_run[inside]
    by_scope = runs.by_scope[run]
    build.link(host.ids[inside][by_scope], runs.ids[run][by_scope], SCOPE_RULE, "measured")
    build.link(host.ids[inside][~by_scope], runs.ids[run][~by_scope], LABEL_RULE, "joined")


def _flags(flags: np.ndarray, codes: Int) -> np.ndarray:
    return np.append(flags, False)[codes]


def _node_names(space: XSpace, build: TraceBuilder, host: HostEvents, label: Int) -> Int:
    """The name of the op that a launch or an allocation was made for; its own of what begins a run; NONE elsewhere."""
    words = build.words
    used = np.unique(label[label != NONE])
    codes = words.codes(words.values[c].rpartition(":")[0] or words.values[c] for c in used.tolist())
    node = np.where(np.isin(host.name, words.codes(ENTRIES)), host.name, NONE)
    some = label != NONE
    node[some] = codes[np.searchsorted(used, label[some])]
    column = space.stats.coded("tf_op")
    if column is not None:
        position = np.full(len(space), NONE, np.int64)
        position[host.row] = np.arange(len(host.row))
        memory = np.array([n == "MemoryAllocation" for n in space.names], bool)[space.name_code]
        mine = (position[column.event] >= 0) & memory[column.event]
        texts = [str(v) for v in column.values]
        node[position[column.event[mine]]] = interned(words, column.code[mine], texts)
    return node


def _boundaries(tid: Int, node: Int, scope: Int) -> np.ndarray:
    """Which of the events, in the order of thread and time, begin an execution.

    In a row of events of one op a new scope begins a new execution, unless the one before it comes back: then it was
    a scope within (the autotuner's). Scopes are numbered as they begin. An allocation has none, and counts with the
    launch that follows it.

        scope     9 10 10 9 12        begins   9 .. .. . 12
    """
    if not len(tid):
        return np.empty(0, bool)
    fresh = np.concatenate(([True], (tid[1:] != tid[:-1]) | (node[1:] != node[:-1])))
    told = np.flatnonzero(scope != NONE)
    if len(told) < 2:
        return fresh
    group, ids = np.cumsum(fresh)[told], scope[told]
    group = np.cumsum(np.concatenate(([0], np.diff(group) != 0)))
    highest = running_max(ids, group)
    lowest_after = -running_max(-ids[::-1], group[-1] - group[::-1])[::-1]
    later = (group[1:] == group[:-1]) & (ids[1:] > highest[:-1]) & (lowest_after[1:] >= ids[1:])
    fresh[told[:-1][later] + 1] = True
    return fresh


def _known_kernels(host: HostEvents, head: Int, label: Int) -> np.ndarray:
    """Which executions lie in a kernel event of TensorFlow's own, of the same name and on the same thread."""
    kernels = np.flatnonzero(host.is_kernel)
    known = np.zeros(len(head), bool)
    asked = np.flatnonzero(head >= 0)
    if not len(kernels) or not len(asked):
        return known
    names = np.concatenate([host.name[kernels], label[head[asked]]])
    tids = np.concatenate([host.tid[kernels], host.tid[head[asked]]])
    key = numbered(tids, names)
    key, wanted = key[: len(kernels)], key[len(kernels) :]
    found = latest_before(key, host.start[kernels], wanted, host.start[head[asked]])
    row = kernels[found]
    known[asked] = (found >= 0) & (host.end[row] >= host.end[head[asked]])
    return known
