"""The single times behind a trace's medians: of each library call by problem, of each execution by op.

A library call tells its problem and algorithm; it is steady where the execution it belongs to is outside warm-up, and
an autotuner's trial counts as neither. What its time is depends on where the work is done:

    library call         launched                     time
    oneDNN convolution                          ->    of the call
    cudnnBackendExecute  cuLaunchKernel > kernel ->   of the device's work under it
    cudnnBackendExecute  (no profile window)    ->    of the call on the host, which only launches
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tftrace.analysis.attributes import trials
from tftrace.analysis.columns import Bools, Ints, numbers, positions, sorting, table, texts
from tftrace.analysis.libraries import Library, read
from tftrace.model.problem import identity
from tftrace.model.trace import Trace
from tftrace.store.lazy import LazyTable

Floats = npt.NDArray[np.float64]

CALL: Final = "library call"
HOST: Final = "call on the host"
DEVICE: Final = "device"
PYTHON: Final = "call from Python"
NODE: Final = "node of a graph"

_LAUNCH_ONLY: Final = frozenset({"cuDNN", "cuBLAS", "MIOpen"})
"""Libraries whose calls return before the work is done."""
_HOPS: Final = 4  # an execution launches, the launch's work follows; libraries that call each other add some


@dataclass(frozen=True)
class Samples:
    """Times in microseconds: of steady executions and of those in warm-up. `of` says what they are the time of."""

    steady: Floats
    warm_up: Floats
    of: str | None

    @property
    def compared(self) -> Floats:
        """What a comparison goes by: the steady ones, or where there is none the others."""
        return self.steady if len(self.steady) else self.warm_up


NOTHING: Final = Samples(np.empty(0), np.empty(0), None)


def by_problem(trace: Trace) -> dict[tuple[str, str], Samples]:
    """The times of each problem, by library and `tftrace.model.problem.identity`."""
    events = table(trace, "events")
    layer = texts(events, "layer")
    rows = np.flatnonzero(layer.where(np.array([v == "library" for v in layer.values], bool)))
    kinds = read(trace, rows)
    numbered: dict[tuple[str, str], int] = {}
    number = np.full(len(kinds.kinds) + 1, -1, np.int64)
    for i, kind in enumerate(kinds.kinds):
        if _executes(kind):
            assert isinstance(kind.problem, dict)
            key = (kind.name or "", identity(kind.problem))
            number[i] = numbered.setdefault(key, len(numbered))
    problem = number[kinds.code] if len(rows) else np.empty(0, np.int64)
    rows, problem = rows[problem >= 0], problem[problem >= 0]
    own = numbers(events, "dur_ns").values[rows] / 1000
    device = _device_ns(trace, rows) / 1000
    cold = _warm_up(trace, rows, problem, numbers(events, "start_ns").values[rows])
    found = {}
    for key, mine in zip(numbered, split(problem, len(numbered)), strict=True):
        of = DEVICE if device[mine].any() else HOST if key[0] in _LAUNCH_ONLY else CALL
        kept = mine[device[mine] > 0] if of == DEVICE else mine
        times = (device if of == DEVICE else own)[kept]
        found[key] = Samples(times[~cold[kept]], times[cold[kept]], of)
    return found


def _executes(kind: Library) -> bool:
    return isinstance(kind.problem, dict) and kind.tuning is not True and kind.status in (None, "SUCCESS")


def split(number: Ints, count: int) -> list[Ints]:
    """The positions at which `number` is 0, 1, .. count - 1."""
    order = sorting(number, count)
    ends = np.cumsum(np.bincount(number, minlength=count))
    return np.split(order, ends[:-1]) if count else []


def _device_ns(trace: Trace, rows: Ints) -> Ints:
    """For each of these events the time of the work on device streams below it; 0 where none is known."""
    events, links = table(trace, "events"), table(trace, "links")
    layer, stream = texts(events, "layer"), numbers(events, "stream")
    on_stream = layer.where(np.array([v == "device" for v in layer.values], bool)) & stream.valid
    total = np.zeros(len(rows), np.int64)
    if not on_stream.any() or not len(rows):
        return total
    at = np.full(events.num_rows, -1, np.int64)
    at[rows] = np.arange(len(rows))
    child, parent = (positions(events, "event_id", numbers(links, c)) for c in ("child_id", "parent_id"))
    known = (child >= 0) & (parent >= 0)
    child, parent = child[known], parent[known]
    order = np.argsort(child, kind="stable")
    child, parent = child[order], parent[order]
    first, last = (np.searchsorted(child, np.arange(events.num_rows), side=s) for s in ("left", "right"))
    work = np.flatnonzero(on_stream)
    here, pairs = work, []
    for _ in range(_HOPS):
        fan = last[here] - first[here]
        up = np.repeat(first[here], fan) + np.arange(fan.sum()) - np.repeat(np.cumsum(fan) - fan, fan)
        work, here = np.repeat(work, fan), parent[up]
        hit = at[here] >= 0
        pairs.append(np.stack([at[here[hit]], work[hit]]))
        work, here = work[~hit], here[~hit]
    below = np.unique(np.concatenate(pairs, axis=1), axis=1)
    np.add.at(total, below[0], numbers(events, "dur_ns").values[below[1]])
    return total


def _warm_up(trace: Trace, rows: Ints, problem: Ints, start: Ints) -> Bools:
    """Which of these events belong to warm-up: as their call does; without a call, the first of their problem."""
    calls, members = table(trace, "calls"), table(trace, "event_calls")
    call = positions(calls, "call_id", numbers(members, "call_id"))
    event = positions(table(trace, "events"), "event_id", numbers(members, "event_id"))
    warm = np.append(numbers(calls, "warm_up").values == 1, False)
    both = (call >= 0) & (event >= 0)
    size = table(trace, "events").num_rows
    has_call, has_steady = np.zeros(size, bool), np.zeros(size, bool)
    has_call[event[both]] = True
    has_steady[event[both & ~warm[call]]] = True
    order = np.lexsort((start, problem))
    first = np.zeros(len(rows), bool)
    first[order] = np.diff(problem[order], prepend=-1) != 0
    return np.where(has_call[rows], ~has_steady[rows], first)


def by_code(trace: Trace, code: Ints, count: int) -> list[Samples]:
    """The times of the executions (rows of calls) by their `code`, -1 being none of them.

    What an autotuner tried something in is warm-up. A call from Python takes the way through the runtime, too; that of
    a node in a graph is its kernel alone.
    """
    calls = table(trace, "calls")
    total, warm = numbers(calls, "total_ns"), (numbers(calls, "warm_up").values == 1) | _tuned(trace)
    times = total.values / 1000
    sites = table(trace, "sites")
    site = positions(sites, "site_id", numbers(calls, "site_id"))
    node = np.append(texts(sites, "node").codes >= 0, False)[site]
    kept = np.flatnonzero((code >= 0) & total.valid)
    return [
        Samples(times[mine][~warm[mine]], times[mine][warm[mine]], _kind(node[mine]))
        for mine in (kept[at] for at in split(code[kept], count))
    ]


def _tuned(trace: Trace) -> Bools:
    """Which calls an autotuner's trials ran in."""
    calls = table(trace, "calls")
    if isinstance(calls, LazyTable):  # asked for by op, by line and by fate, and read from all attributes
        return calls.kept(_tuned, lambda: _tuned_calls(trace))
    return _tuned_calls(trace)


def _tuned_calls(trace: Trace) -> Bools:
    calls, events, members = (table(trace, n) for n in ("calls", "events", "event_calls"))
    trial = np.append(trials(trace), False)
    call = positions(calls, "call_id", numbers(members, "call_id"))
    event = positions(events, "event_id", numbers(members, "event_id"))
    found = np.zeros(calls.num_rows, np.bool_)
    found[call[(call >= 0) & trial[event]]] = True
    return found


def _kind(node: Bools) -> str:
    return NODE if node.all() else PYTHON if not node.any() else f"{PYTHON} or {NODE}"
