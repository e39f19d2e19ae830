"""cuDNN's API log: calls of the layer library, and the candidates and winners that the log shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tftrace.correlate.imports.containment import Spans
from tftrace.correlate.imports.cudnn_calls import find_calls
from tftrace.correlate.imports.facts import UTC_ASSUMED, Facts, first_known
from tftrace.correlate.ledger.algorithm_rows import MIXES_TRIALS, add_candidate
from tftrace.correlate.tables.columns import NONE, Array, Int, TraceBuilder, compact, numbered
from tftrace.ingest.cudnn.arguments import as_object
from tftrace.ingest.cudnn.problem import Meaning, meaning
from tftrace.ingest.cudnn.records import LEVELS, CudnnLog

LIBRARY: Final = "cuDNN"
_SOURCE: Final = MIXES_TRIALS
_EXECUTES: Final = (
    "cudnnBackendExecute", "cudnnConvolutionForward", "cudnnConvolutionBiasActivationForward",
    "cudnnConvolutionBackwardData", "cudnnConvolutionBackwardFilter",
)  # fmt: skip
_OK: Final = ("CUDNN_STATUS_SUCCESS", None)


@dataclass(frozen=True)
class _Call:
    """One call: the record of its begin, that of its end, and the warnings and errors it made."""

    first: int
    status: int = NONE
    messages: tuple[int, ...] = ()


def dated(log: CudnnLog) -> bool:
    """Whether any record tells its time."""
    return any((log.time_ns[some] != NONE).any() for some in log.slices())


def add(log: CudnnLog, build: TraceBuilder, base_ns: int) -> Facts:
    """Adds one event a call. cuDNN 9 writes a record when a backend call begins and one when it ends:

        record                          event
        cudnnBackendFinalize entry      cudnnBackendFinalize, from the first time to the second,
        cudnnBackendFinalize status     with status and messages
        cudnnBackendFinalize W!
        cudnnBackendExecute entry       cudnnBackendExecute, whose end is not known (null)

    `attrs.records` says how many records an event stands for. A record without a time (cut) stands where the one
    before it does, or at `base_ns`.
    """
    meanings = [meaning(None, log.arguments(code)) for code in range(len(log.bodies))]
    calls = find_calls(log, meanings, build.pages)
    placed = _placed(log, build, base_ns)
    words = build.words
    names = words.codes([*log.functions, "(record without its beginning)"])
    rows = [
        *((c.process, c.thread, NONE if c.gpu is None else c.gpu) for c in log.contexts),
        (NONE, NONE, NONE),
    ]
    of = np.array(rows, np.int64)
    gpu = np.array(
        [words.code(f"/device:GPU:{g}") if g != NONE else NONE for g in of[:, 2].tolist()], np.int64
    )
    kinds, ledger, spans = _Kinds(log, build, meanings), _Ledger(log), Spans(build.pages)
    before = build.event_count
    for some in log.slices():
        first = np.flatnonzero(calls.begins[some]) + some.start
        end = calls.end[first]
        begun, ended = log.time_ns[first], log.time_ns[end]
        known = (end != NONE) & (ended != NONE) & (begun != NONE)
        start, dur = placed[first], np.where(known, np.maximum(ended - begun, 0), NONE)
        context = log.context[first]
        pid, tid = of[context, 0], of[context, 1]
        ids = build.events(
            len(first), layer=words.code("library"), name=names[log.function[first]], start_ns=start, dur_ns=dur,
            pid=pid, tid=tid, device=gpu[context], probe=words.code(f"import:{_SOURCE}"),
            attrs=kinds.attrs(first, end, calls.messages(some.start, some.stop), ledger),
        )  # fmt: skip
        spans.add(ids, NONE, pid, tid, start, start + np.maximum(dur, 0))
        build.pages.give_back()
    ledger.settle(build)
    cut = sum(int((~log.complete[some]).sum()) for some in log.slices())
    first_times = [first_known(log.time_ns[some]) for some in log.slices()]
    events = build.event_count - before
    reasons = [f"{cut} records are cut"] if cut else []
    reasons += [log.cut] if log.cut else []
    pids = sorted({c.process for c in log.contexts})
    return Facts(
        entries=len(log), events=events, lost=0, reason="; ".join(reasons) or None, clock=UTC_ASSUMED,
        spans=spans,
        processes=[
            {"pid": pid, "threads": sorted({c.thread for c in log.contexts if c.process == pid})} for pid in pids
        ],
        devices=_devices(meanings),
        versions={"cudnn": _release(log.versions[0][0])} if log.versions else {},
        details={
            "records": len(log), "records_cut": cut, "other_lines": len(log.other), "clock_steps": log.clock_steps,
            "log_versions": [f"v{v}" + (f" {b}" if b is not None else "") for v, b in log.versions],
            "first_ns": min((t for t in first_times if t is not None), default=None),
        },
    )  # fmt: skip


def _placed(log: CudnnLog, build: TraceBuilder, base_ns: int) -> Array:
    """Every record's time; one without stands where the last one before it does, else where the first one is."""
    placed = build.pages.column(np.int64)
    latest = next(
        (int(t[t != NONE][0]) for some in log.slices() for t in [log.time_ns[some]] if (t != NONE).any()),
        base_ns,
    )
    for some in log.slices():
        times = np.append(latest, log.time_ns[some])
        times = times[np.maximum.accumulate(np.where(times != NONE, np.arange(len(times)), 0))]
        placed.add(times[1:])
        latest = int(times[-1])
    return placed.array()


class _Kinds:
    """Calls that are alike but for their times, and the attributes of each kind."""

    def __init__(self, log: CudnnLog, build: TraceBuilder, meanings: list[Meaning]) -> None:
        self._log, self._build, self._meanings = log, build, meanings
        places = [(c.handle, c.stream) for c in log.contexts]
        numbers: dict[Any, int] = {}
        self._place = np.array([numbers.setdefault(p, len(numbers)) for p in (*places, None)], np.int64)
        self._messages: dict[tuple[int, ...], int] = {}
        self._codes: dict[tuple[int, ...], int] = {}

    def attrs(self, first: Int, end: Int, messages: list[tuple[int, list[int]]], ledger: _Ledger) -> Int:
        """Codes of the attributes of calls by their records; `ledger` is told of each kind."""
        log = self._log
        said = np.full(len(first), NONE, np.int64)
        at = np.searchsorted(first, [call for call, _ in messages])
        for place, (_, records) in zip(at.tolist(), messages, strict=True):
            bodies = tuple(log.body[records].tolist())
            said[place] = self._messages.setdefault(bodies, len(self._messages))
        own = (log.function, log.version, log.level, log.body, log.complete)
        columns = [
            *(column[first].astype(np.int64) for column in own),
            self._place[log.context[first]], np.where(end != NONE, log.body[end], NONE), said,
        ]  # fmt: skip
        kind = numbered(*columns)
        one, last = (np.empty(int(kind.max(initial=-1)) + 1, np.int64) for _ in range(2))
        last[kind] = np.arange(len(kind))  # of several the last is kept
        one[kind[::-1]] = np.arange(len(kind))[::-1]
        counts = np.bincount(kind, minlength=len(one))
        told = {call: tuple(records) for call, records in messages}
        codes = np.empty(len(one), np.int64)
        for number in np.argsort(one).tolist():
            row = int(one[number])
            call = _Call(int(first[row]), int(end[row]), told.get(int(first[row]), ()))
            key = tuple(int(column[row]) for column in columns)
            code = self._codes.get(key)
            if code is None:
                code = self._codes[key] = self._build.attrs.code(
                    compact(_described(log, call, self._meanings))
                )
            codes[number] = code
            ledger.take(call, int(counts[number]), int(first[last[number]]))
        return codes[kind]


def _described(log: CudnnLog, call: _Call, meanings: list[Meaning]) -> dict[str, Any]:
    i = call.first
    function = log.functions[int(log.function[i])] if log.function[i] != NONE else None
    arguments = log.arguments(int(log.body[i]))
    what = meaning(function, arguments)
    ending = [meanings[int(log.body[k])] for k in (call.status, *call.messages) if k != NONE]
    messages = [*what.messages, *(m for e in ending for m in e.messages)]
    context = log.contexts[int(log.context[i])] if log.context[i] != NONE else None
    row: dict[str, Any] = {
        "library": LIBRARY,
        "library_version": _release(log.versions[int(log.version[i])][0]) if log.version[i] != NONE else None,
        "level": LEVELS[int(log.level[i])] if log.level[i] != NONE else None,
        "status": next((e.status for e in ending if e.status), what.status),
        "algorithm": what.algorithm, "engine": what.engine, "knobs": what.knobs, "problem": what.problem,
        "workspace_bytes": what.workspace_bytes, "gpu": what.device,
        "handle": context.handle if context else None, "stream": context.stream if context else None,
        "arguments": as_object(arguments), "messages": messages,
    }  # fmt: skip
    if call.status != NONE:
        ended = as_object(log.arguments(int(log.body[call.status])))
        row["ending"] = {k: v for k, v in ended.items() if k != "status"}
    kept = {k: v for k, v in row.items() if v not in (None, [], {})}
    kept["records"] = 1 + (call.status != NONE) + len(call.messages)
    if not log.complete[i]:
        kept["incomplete"] = True
    return kept


@dataclass
class _Row:
    """A candidate of a problem: the record it was first seen in, how often it was executed, and what became of it when
    it was last executed, else when it was first asked for (each with the record that told)."""

    what: Meaning
    record: int
    calls: int = 0
    executed: tuple[int, str] | None = None
    asked: str | None = None


class _Ledger:
    """Engine configs and algorithms of each problem: those executed, those planned and not executed, those refused.

    The log has no run times. Where several were executed for one problem, all but the last are taken for trials of an
    autotuner: the winner is then inferred.
    """

    def __init__(self, log: CudnnLog) -> None:
        self._log = log
        self._rows: dict[tuple[str, str | None], dict[str, _Row]] = {}
        self._winner: dict[tuple[str, str | None], tuple[int, str]] = {}
        self._decoded: dict[tuple[int, int], Meaning] = {}

    def take(self, call: _Call, count: int, last: int) -> None:
        """So many calls that are alike; `call` is the first, `last` the record in which the last one begins. Those of
        other kinds are told of in the order of their first calls."""
        log = self._log
        code = int(log.function[call.first])
        function = log.functions[code] if code != NONE else ""
        executes = function in _EXECUTES
        if not executes and function not in ("cudnnBackendFinalize",) and "WorkspaceSize" not in function:
            return
        what = self._meaning(code, call.first)
        if what.problem is None or what.algorithm is None:
            return
        ending = [self._meaning(NONE, k) for k in (call.status, *call.messages) if k != NONE]
        status = next((m.status for m in ending if m.status), None)
        group = (compact(what.problem), what.device)
        row = self._rows.setdefault(group, {}).setdefault(what.algorithm, _Row(what, call.first))
        if executes:
            row.calls += count
            if row.executed is None or row.executed[0] < last:
                row.executed = last, "ok" if status in _OK else "failed"
            if status in _OK and self._winner.get(group, (NONE, ""))[0] < last:
                self._winner[group] = last, what.algorithm
        elif row.asked is None:
            planned = function == "cudnnBackendFinalize"
            row.asked = ("ok" if planned else "not_tried") if status in _OK else "unsupported"

    def _meaning(self, function: int, record: int) -> Meaning:
        """What the body of a record says, as an argument of this function."""
        key = (function, int(self._log.body[record]))
        if key not in self._decoded:
            name = self._log.functions[function] if function != NONE else None
            self._decoded[key] = meaning(name, self._log.arguments(key[1]))
        return self._decoded[key]

    def settle(self, build: TraceBuilder) -> None:
        for group, rows in self._rows.items():
            executed = [name for name, row in rows.items() if row.calls]
            for name, row in rows.items():
                what, problem, chosen = (
                    row.what,
                    row.what.problem or {},
                    self._winner.get(group, (NONE, None))[1] == name,
                )
                add_candidate(
                    build, LIBRARY, problem, device=what.device,
                    version=_release(self._log.versions[int(self._log.version[row.record])][0]),
                    algorithm=name, engine=None if what.engine is None else str(what.engine),
                    knobs=None if what.knobs is None else compact(what.knobs), calls=row.calls,
                    workspace_bytes=what.workspace_bytes, status=row.executed[1] if row.executed else row.asked,
                    chosen=chosen, source=_SOURCE, evidence="inferred" if chosen and len(executed) > 1 else "measured",
                )  # fmt: skip


def _devices(meanings: list[Meaning]) -> list[dict[str, Any]]:
    names = dict.fromkeys(m.device for m in meanings if m.device)
    return [{"name": name, "type": "GPU"} for name in names]


def _release(version: int) -> str:
    """7603 -> 7.6.3, 92800 -> 9.28.0."""
    base = 10_000 if version >= 90_000 else 1000
    return f"{version // base}.{version % base // 100}.{version % 100}"
