"""Calls into cuDNN as events of the layer library, the StreamExecutor functions that made them, and the candidates.

What executes (cudnnBackendExecute, the convolutions and other operations of the older API) is one event a call. The
calls around it, which describe a problem and ask for engines, come by the hundred; equal ones that follow each other on
a thread are one event:

    thread  call                              event
    1       cudnnBackendCreateDescriptor x 9  a    a = cudnnBackendCreateDescriptor, {"descriptor": .., "calls": 9}
    1       cudnnBackendSetAttribute x 5      b    b = cudnnBackendSetAttribute, {"attribute": .., "calls": 5}
    1       cudnnBackendFinalize         ->   c
    1       cudnnBackendExecute               d    d = cudnnBackendExecute with problem, engine, knobs, workspace

The time of an execution is that of the call on the host: it launches work, and does not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from tftrace.agent import contract
from tftrace.correlate.clocks import Clock
from tftrace.correlate.ledger.cudnn_algorithms import Executions
from tftrace.correlate.libraries.library_calls import LibraryCalls
from tftrace.correlate.libraries.native import NativeStack, NativeStacks, Trust
from tftrace.correlate.profiles.launched_work import LaunchedWork
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact, numbered
from tftrace.ingest.agent_raw import RawProcess
from tftrace.ingest.cudnn import enums as enums
from tftrace.ingest.cudnn.calls import FUNCTIONS, CudnnCalls, Work

LIBRARY = "cuDNN"
_BY_ATTRIBUTE = [FUNCTIONS.index(n) for n in ("cudnnBackendSetAttribute", "cudnnBackendGetAttribute")]
_BY_TYPE = [
    FUNCTIONS.index(n)
    for n in ("cudnnBackendCreateDescriptor", "cudnnBackendDestroyDescriptor", "cudnnBackendFinalize")
]
_GONE = FUNCTIONS.index("cudnnBackendDestroyDescriptor")
_NO_DETAIL = (1 << 16) - 1


@dataclass(frozen=True)
class CudnnEvents:
    """`first`: record that each event begins with, or is."""

    found: CudnnCalls
    first: Int
    calls: LibraryCalls

    def ran(self, launched: LaunchedWork) -> Ran:
        """What executed, in the order of time, with the device's work that each event launched."""
        rows = np.flatnonzero(self.found.work[self.first] >= 0)
        rows = rows[np.argsort(self.calls.start[rows], kind="stable")]
        record = self.first[rows]
        stacks = [self.calls.stack[i] for i in rows.tolist()]
        return Ran(
            work=self.found.work[record],
            status=self.found.records["status"][record].astype(np.int64),
            tuning=np.array([NONE if s is None else int(s.tuning) for s in stacks], np.int64),
            start_ns=self.calls.start[rows],
            host_ns=(self.calls.end - self.calls.start)[rows],
            device_ns=launched.ns[rows],
            tid=self.calls.tid[rows],
            stream=self.found.records["stream"][record].astype(np.uint64),
            device=launched.device[rows],
        )


@dataclass(frozen=True)
class Ran:
    """What executed, in the order of time; as in `Executions`, but for `stream` (an address) and `device`, a code of
    the builder's words: NONE where no work of it is known."""

    work: Int
    status: Int
    tuning: Int
    start_ns: Int
    host_ns: Int
    device_ns: Int
    tid: Int
    stream: npt.NDArray[np.uint64]
    device: Int


def executions(parts: Sequence[Ran], build: TraceBuilder, only_device: str | None) -> Executions:
    """The parts, which follow each other in time, as one.

    Where the device's work was seen it tells the device; a stream belongs to one device for good, so it tells that of
    all other calls on its stream; `only_device` is that of all calls, where there is but one.

        stream  work seen on       device
        s1      /device:GPU:0      /device:GPU:0
        s1      (not profiled) ->  /device:GPU:0
        s2      (not profiled)     null
    """
    columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Ran)}
    streams, codes = columns.pop("stream").tolist(), columns.pop("device").tolist()
    of_stream: dict[int, set[int]] = {}
    for stream, device in zip(streams, codes, strict=True):
        if device != NONE and stream:
            of_stream.setdefault(stream, set()).add(device)
    names = [
        build.words.values[device] if device != NONE
        else build.words.values[min(of_stream[stream])] if len(of_stream.get(stream, ())) == 1
        else only_device
        for stream, device in zip(streams, codes, strict=True)
    ]  # fmt: skip
    return Executions(**columns, device=names)


class Cudnn:
    """What the calls into cuDNN of a process have in common. `streams` are numbered as they appear, behind the default
    one."""

    def __init__(self, raw: RawProcess, found: CudnnCalls, stacks: NativeStacks) -> None:
        self.stacks = stacks
        self.trust = Trust(raw, found.records)
        self.streams: dict[int, int] = {0: 0}


def add_cudnn(
    raw: RawProcess,
    found: CudnnCalls,
    known: Cudnn,
    clock: Clock,
    build: TraceBuilder,
    common: dict[str, int],
) -> CudnnEvents:
    """Adds the events of the calls."""
    records = found.records
    n = len(records)
    first, members = _runs(found)
    head = records[first]
    keys, which = np.unique(head["stack"], return_inverse=True)
    kinds = [known.stacks.known.get(int(k)) for k in keys.tolist()]
    stack: list[NativeStack | None] = [kinds[i] for i in which.tolist()]
    words = build.words

    start_all = clock.from_raw(records["t0"])
    last = int(raw.clocks["raw"].max())
    ended = np.where(records["t1"] > 0, records["t1"], np.maximum(records["t0"], last))
    end_all = np.maximum(clock.from_raw(ended), start_all)
    start, end = start_all[first], np.empty(len(first), np.int64)
    if n:
        end = np.maximum.reduceat(end_all[members.order], members.begins)
    stack_ids = np.array(
        [
            build.stack((common["pid"], "native", int(k)), s.rows()) if s else NONE
            for k, s in zip(keys.tolist(), kinds, strict=True)
        ],
        np.int64,
    )
    tuned = np.array([NONE if s is None else int(s.tuning) for s in kinds], np.int64)
    attrs = _attrs(
        build, found, known.streams, first, members.count, members.failed, tuned[which] if n else which
    )
    tid = head["tid"].astype(np.int64)
    probe = words.code("cudnn")
    ids = build.events(
        len(first), layer=words.code("library"), name=words.codes(FUNCTIONS)[head["function"]], start_ns=start,
        dur_ns=end - start, tid=tid, stack_id=stack_ids[which] if n else NONE, probe=probe, attrs=attrs, **common,
    )  # fmt: skip
    complete = np.array([s is not None and s.complete for s in kinds], bool)
    sure = known.trust.verified(head) & complete[which] if n else np.empty(0, bool)
    works = found.work[first] >= 0
    above = _stream_executor(
        build, common, ids, start, end, tid, kinds, which, sure, works, stack_ids[which] if n else tid
    )
    calls = LibraryCalls(
        ids=ids, start=start, end=end, tid=tid, call_record=head["call"].astype(np.int64) - 1,
        is_library=np.ones(len(first), bool), outer=np.full(len(first), NONE, np.int64), verified=sure, stack=stack,
        probe=np.full(len(first), probe, np.int64), on_cpu=np.zeros(len(first), bool), stream_executor=above,
        spent=np.full(len(first), NONE, np.int64), closing=head["function"] == _GONE,
        counts={"cudnn": n, "cudnn_unreadable": found.unreadable},
    )  # fmt: skip
    return CudnnEvents(found, first, calls)


class _Members:
    """Records of each event: `order` sorts records by event, `begins` is where each event's part begins."""

    def __init__(self, order: Int, begins: Int, failed: Int) -> None:
        self.order, self.begins = order, begins
        self.count = np.diff(np.append(begins, len(order)))
        self.failed = np.add.reduceat(failed[order], begins) if len(begins) else failed


def _runs(found: CudnnCalls) -> tuple[Int, _Members]:
    """First record of each event, and the records of each: an execution alone, equal calls that follow each other
    together."""
    records = found.records
    n = len(records)
    failed = ((records["status"] != 0) & (records["status"] != contract.CUDNN_OPEN)).astype(np.int64)
    if not n:
        return np.empty(0, np.int64), _Members(np.empty(0, np.int64), np.empty(0, np.int64), failed)
    order = np.lexsort((records["t0"], records["tid"]))
    r, work = records[order], found.work[order] >= 0
    fresh = np.ones(n, bool)
    same = (r["tid"][1:] == r["tid"][:-1]) & (r["call"][1:] == r["call"][:-1])
    same &= (r["function"][1:] == r["function"][:-1]) & (r["detail"][1:] == r["detail"][:-1])
    fresh[1:] = ~same | work[1:]
    begins = np.flatnonzero(fresh)
    return order[begins], _Members(order, begins, failed)


def _detail(function: int, detail: int) -> dict[str, Any]:
    if function in _BY_ATTRIBUTE:
        return {"attribute": enums.name_of(enums.ATTRIBUTE, detail)}
    if function in _BY_TYPE and detail != _NO_DETAIL:
        return {"descriptor": enums.name_of(enums.DESCRIPTOR, detail)}
    return {}


def _attrs(
    build: TraceBuilder,
    found: CudnnCalls,
    streams: dict[int, int],
    first: Int,
    count: Int,
    failed: Int,
    tuned: Int,
) -> Int:
    """`tuned`: 1 where an autotuner made the call, 0 where not, NONE where no stack tells. Equal events are worded
    once."""
    if not len(first):
        return first
    head = found.records[first]
    work = np.asarray(found.work[first], np.int64)
    executes = work >= 0
    handles, seen, which = np.unique(head["stream"], return_index=True, return_inverse=True)
    for at in np.argsort(seen).tolist():
        streams.setdefault(int(handles[at]), len(streams))
    stream = np.array([streams[handle] for handle in handles.tolist()], np.int64)[which]
    columns = (
        head["function"].astype(np.int64), np.where(executes, 0, head["detail"]).astype(np.int64), work,
        np.where(executes, head["status"], 0).astype(np.int64), stream, tuned, count, failed,
    )  # fmt: skip
    _, examples, kind = np.unique(numbered(*columns), return_index=True, return_inverse=True)
    codes = np.empty(len(examples), np.int64)
    for at, row in enumerate(examples.tolist()):
        function, detail, number, status, handle, tuning, calls, bad = (int(c[row]) for c in columns)
        said: dict[str, Any] = {"library": LIBRARY}
        if number >= 0:
            said |= described(found.works[number]) | {
                "tuning": None if tuning == NONE else bool(tuning),
                "status": status_of(status),
                "stream": handle,
            }
        else:
            said |= _detail(function, detail) | {"calls": calls, "tuning": tuning == 1 or None}
            said |= {"failed": bad} if bad else {}
        codes[at] = build.attrs.code(compact({k: v for k, v in said.items() if v is not None}))
    return codes[kind]


def described(work: Work) -> dict[str, Any]:
    return {
        "problem": work.problem,
        "algorithm": work.algorithm,
        "engine": work.engine,
        "knobs": work.knobs,
        "workspace_bytes": work.workspace_bytes,
        "notes": list(work.notes) or None,
    }


def status_of(status: int) -> str:
    return "open" if status == contract.CUDNN_OPEN else enums.status_name(status)


def _stream_executor(
    build: TraceBuilder, common: dict[str, int], ids: Int, start: Int, end: Int, tid: Int,
    kinds: list[NativeStack | None], which: Int, sure: np.ndarray, works: np.ndarray, stack_ids: Int,
) -> Int:  # fmt: skip
    """One event for each execution: the innermost function of StreamExecutor on its stack. It took at least as long as
    the call, which is all that is known of its time."""
    words = build.words
    of_kind = words.codes(s.stream_executor if s is not None else None for s in kinds)
    names = np.where(works, of_kind[which], NONE) if len(which) else which
    rows = np.flatnonzero(names != NONE)
    out = np.full(len(ids), NONE, np.int64)
    out[rows] = build.events(
        len(rows), layer=words.code("stream_executor"), name=names[rows], start_ns=start[rows],
        dur_ns=(end - start)[rows], tid=tid[rows], stack_id=stack_ids[rows], probe=words.code("cudnn"),
        attrs=build.attrs.code('{"time":"at least that of the library call"}'), **common,
    )  # fmt: skip
    build.link(ids[sure], out[sure], "native stack", "measured")
    build.link(ids[~sure], out[~sure], "native stack, not verified", "joined")
    return out
