"""The single times behind a trace's medians: of each library call by problem, of each execution by op.

A library call tells its problem and algorithm; it is steady where the execution it belongs to is outside warm-up, and
an autotuner's trial counts as neither. What its time is depends on where the work is done:

    library call         launched                     time
    oneDNN convolution                          ->    of the call
    cudnnBackendExecute  cuLaunchKernel > kernel ->   of the device's work under it
    cudnnBackendExecute  (no profile window)    ->    of the call on the host, which only launches
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.analysis.attributes import trials
from tftrace.analysis.columns import (
    Bools,
    Codes,
    Ints,
    flags,
    numbers,
    parts,
    positions_in,
    rows_of,
    sorting,
    table,
    texts,
)
from tftrace.analysis.comparison.gathered import Gathered, Pieces, pieces
from tftrace.analysis.libraries import Library, read
from tftrace.analysis.picked import Picked
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
_ROWS: Final = 1 << 18
"""Rows that are looked at together."""
_HOPS: Final = 4  # an execution launches, the launch's work follows; libraries that call each other add some


class Samples:
    """Times of steady executions and of those in warm-up; `of` says what they are the time of. Whole numbers are ns,
    which take half the memory, others microseconds."""

    def __init__(self, steady: npt.NDArray[Any], warm_up: npt.NDArray[Any], of: str | None) -> None:
        self._steady, self._warm_up, self.of = steady, warm_up, of

    @property
    def steady(self) -> Floats:
        """In microseconds."""
        return _us(self._steady)

    @property
    def warm_up(self) -> Floats:
        return _us(self._warm_up)

    def in_us(self) -> Samples:
        """The same in microseconds: for what looks at them more than once."""
        return Samples(self.steady, self.warm_up, self.of)

    @property
    def count(self) -> int:
        return len(self._steady) + len(self._warm_up)

    @property
    def compared(self) -> Floats:
        """What a comparison goes by: the steady ones, or where there is none the others."""
        return self.steady if len(self._steady) else self.warm_up


def _us(times: npt.NDArray[Any]) -> Floats:
    return times if times.dtype.kind == "f" else times / 1000


NOTHING: Final = Samples(np.empty(0), np.empty(0), None)


def by_problem(trace: Trace) -> dict[tuple[str, str], Samples]:
    """The times of each problem, by library and `tftrace.model.problem.identity`."""
    rows = _of_layer(trace, "library")
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
    picked = Picked(trace, "events", ("dur_ns", "start_ns"), rows)
    own, device = picked.numbers("dur_ns").values, _device_ns(trace, rows)
    cold = _warm_up(trace, rows, problem, picked.numbers("start_ns").values)
    found = {}
    for key, mine in zip(numbered, split(problem, len(numbered)), strict=True):
        of = DEVICE if device[mine].any() else HOST if key[0] in _LAUNCH_ONLY else CALL
        kept = mine[device[mine] > 0] if of == DEVICE else mine
        times = (device if of == DEVICE else own)[kept]
        found[key] = Samples(times[~cold[kept]], times[cold[kept]], of)
    return found


def _of_layer(trace: Trace, wanted: str, on_stream: bool = False) -> Ints:
    """The rows of the events of a layer; with `on_stream` those on a stream of a device."""

    def make(part: pa.Table, first: int) -> Ints:
        layer = texts(part, "layer")
        mask = layer.where(np.array([v == wanted for v in layer.values], bool))
        return first + np.flatnonzero(mask & numbers(part, "stream").valid if on_stream else mask)

    found = parts(trace, "events", ["layer", "stream"], make, rows=_ROWS)
    return np.concatenate([np.zeros(0, np.int64), *found])


def _executes(kind: Library) -> bool:
    return isinstance(kind.problem, dict) and kind.tuning is not True and kind.status in (None, "SUCCESS")


def split(number: Ints, count: int) -> list[Ints]:
    """The positions at which `number` is 0, 1, .. count - 1."""
    order = sorting(number, count)
    ends = np.cumsum(np.bincount(number, minlength=count))
    return np.split(order, ends[:-1]) if count else []


def _device_ns(trace: Trace, rows: Ints) -> Ints:
    """For each of these events the time of the work on device streams below it; 0 where none is known."""
    total = np.zeros(len(rows), np.int64)
    work = _of_layer(trace, "device", on_stream=True) if len(rows) else rows
    if not len(work):
        return total
    at = np.full(table(trace, "events").num_rows, -1, np.int32)
    at[rows] = np.arange(len(rows))
    dur = Picked(trace, "events", ("dur_ns",), work).numbers("dur_ns").values
    pairs = []
    piece, here = np.arange(len(work)), work
    for _ in range(_HOPS):
        piece, here = _up(trace, piece, here)
        hit = at[here] >= 0
        pairs.append(at[here[hit]].astype(np.int64) * len(work) + piece[hit])
        piece, here = piece[~hit], here[~hit]
    row, below = np.divmod(np.unique(np.concatenate(pairs)), len(work))
    np.add.at(total, row, dur[below])
    return total


def _up(trace: Trace, piece: Ints, here: Ints) -> tuple[Ints, Ints]:
    """Along every link from each of the events in `here` to its parents: the `piece` again, and the parent."""
    ids = rows_of(table(trace, "events"), "event_id")
    order = np.argsort(here, kind="stable")
    piece, here = piece[order], here[order]
    asked = np.zeros(table(trace, "events").num_rows + 1, bool)
    asked[here] = True

    def make(part: pa.Table, _: int) -> tuple[Ints, Ints]:
        child, parent = (positions_in(ids, numbers(part, c)) for c in ("child_id", "parent_id"))
        known = asked[child] & (parent >= 0)
        child, parent = child[known], parent[known]
        first, last = (np.searchsorted(here, child, side=s) for s in ("left", "right"))
        fan = last - first
        of = np.repeat(first, fan) + np.arange(fan.sum()) - np.repeat(np.cumsum(fan) - fan, fan)
        return piece[of], np.repeat(parent, fan)

    none = np.zeros(0, np.int64)
    found = parts(trace, "links", ["child_id", "parent_id"], make, rows=_ROWS)
    pieces_up, parents = zip((none, none), *found, strict=True)
    return np.concatenate(pieces_up), np.concatenate(parents)


def _warm_up(trace: Trace, rows: Ints, problem: Ints, start: Ints) -> Bools:
    """Which of these events belong to warm-up: as their call does; without a call, the first of their problem."""
    has_call, has_steady = of_calls(trace)
    order = np.lexsort((start, problem))
    first = np.zeros(len(rows), bool)
    first[order] = np.diff(problem[order], prepend=-1) != 0
    return np.where(has_call[rows], ~has_steady[rows], first)


def of_calls(trace: Trace) -> tuple[Bools, Bools]:
    """Which events belong to a call, and which to one outside warm-up."""
    calls, events = rows_of(table(trace, "calls"), "call_id"), rows_of(table(trace, "events"), "event_id")
    steady = ~flags(trace, "calls", "warm_up")
    size = table(trace, "events").num_rows
    has_call, has_steady = np.zeros(size, bool), np.zeros(size, bool)

    def make(part: pa.Table, _: int) -> tuple[Ints, Ints]:
        event, call = (
            positions_in(events, numbers(part, "event_id")), positions_in(calls, numbers(part, "call_id")),
        )  # fmt: skip
        if event.min(initial=0) < 0 or call.min(initial=0) < 0:
            known = (event >= 0) & (call >= 0)
            event, call = event[known], call[known]
        return event, event[steady[call]]

    for event, calm in parts(trace, "event_calls", ["event_id", "call_id"], make, rows=_ROWS):
        has_call[event] = True
        has_steady[calm] = True
    return has_call, has_steady


def by_code(trace: Trace, code: Codes, count: int) -> list[Samples]:
    """The times of the executions by the `code` of their site, which is -1 for none of them; `code` has one for each
    row of sites, and one for calls of no site.

    What an autotuner tried something in is warm-up. A call from Python takes the way through the runtime, too; that of
    a node in a graph is its kernel alone.
    """
    sites, tuned = table(trace, "sites"), _tuned(trace)
    ids, node = rows_of(sites, "site_id"), np.append(texts(sites, "node").codes >= 0, False)

    def make(part: pa.Table, first: int) -> tuple[Pieces, Ints, Ints]:
        site = positions_in(ids, numbers(part, "site_id"))
        total, warm = numbers(part, "total_ns"), numbers(part, "warm_up").values == 1
        warm |= tuned[first : first + part.num_rows]
        kept = np.flatnonzero((code[site] >= 0) & total.valid)
        number, nodes = code[site[kept]], node[site[kept]]
        told = pieces(number, count, total.values[kept], warm[kept])
        return told, np.unique(number[nodes]), np.unique(number[~nodes])

    found = Gathered()
    of_nodes, of_python = np.zeros(count, bool), np.zeros(count, bool)
    for told, nodes, others in parts(trace, "calls", ["site_id", "total_ns", "warm_up"], make, rows=_ROWS):
        for one in told:
            found.add(*one)
        of_nodes[nodes] = True
        of_python[others] = True
    return [Samples(*found.times(at), _kind(bool(of_nodes[at]), bool(of_python[at]))) for at in range(count)]


def _tuned(trace: Trace) -> Bools:
    """Which calls an autotuner's trials ran in."""
    calls = table(trace, "calls")
    if isinstance(calls, LazyTable):  # asked for by op, by line and by fate, and read from all attributes
        return calls.kept(_tuned, lambda: _tuned_calls(trace))
    return _tuned_calls(trace)


def _tuned_calls(trace: Trace) -> Bools:
    calls, events = table(trace, "calls"), table(trace, "events")
    found, trial = np.zeros(calls.num_rows, np.bool_), np.append(trials(trace), False)
    if not trial.any():
        return found
    call_rows, event_rows = rows_of(calls, "call_id"), rows_of(events, "event_id")

    def make(part: pa.Table, _: int) -> Ints:
        call = positions_in(call_rows, numbers(part, "call_id"))
        tried: Ints = call[(call >= 0) & trial[positions_in(event_rows, numbers(part, "event_id"))]]
        return tried

    for call in parts(trace, "event_calls", ["call_id", "event_id"], make, rows=_ROWS):
        found[call] = True
    return found


def _kind(nodes: bool, python: bool) -> str:
    return f"{PYTHON} or {NODE}" if nodes and python else PYTHON if python else NODE
