"""cuDNN's API log: calls of the layer library, and the candidates and winners that the log shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tftrace.correlate.imports.containment import Spans
from tftrace.correlate.imports.facts import UTC_ASSUMED, Facts, first_known
from tftrace.correlate.ledger.algorithm_rows import MIXES_TRIALS, add_candidate
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.cudnn.arguments import as_object
from tftrace.ingest.cudnn.log import LEVELS, CudnnLog
from tftrace.ingest.cudnn.problem import Meaning, meaning

LIBRARY: Final = "cuDNN"
_SOURCE: Final = MIXES_TRIALS
_EXECUTES: Final = (
    "cudnnBackendExecute", "cudnnConvolutionForward", "cudnnConvolutionBiasActivationForward",
    "cudnnConvolutionBackwardData", "cudnnConvolutionBackwardFilter",
)  # fmt: skip
_OK: Final = ("CUDNN_STATUS_SUCCESS", None)


@dataclass(slots=True)
class _Call:
    """One call: the record of its begin, that of its end, and the warnings and errors it made."""

    first: int
    status: int = NONE
    messages: tuple[int, ...] = ()


def dated(log: CudnnLog) -> bool:
    """Whether any record tells its time."""
    return bool((log.time_ns != NONE).any())


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
    calls = _calls(log, meanings)
    first = np.array([c.first for c in calls], np.int64)
    last = np.array([c.status for c in calls], np.int64)
    times = _placed(log.time_ns, base_ns)
    start = times[first]
    known_end = (last != NONE) & (log.time_ns[last] != NONE) & (log.time_ns[first] != NONE)
    dur = np.where(known_end, np.maximum(times[last] - start, 0), NONE)
    rows = [
        *((c.process, c.thread, NONE if c.gpu is None else c.gpu) for c in log.contexts),
        (NONE, NONE, NONE),
    ]
    of = np.array(rows, np.int64)[log.context[first]]
    words = build.words
    names = words.codes([*log.functions, "(record without its beginning)"])
    gpu = np.array(
        [words.code(f"/device:GPU:{g}") if g != NONE else NONE for g in of[:, 2].tolist()], np.int64
    )
    ids = build.events(
        len(calls), layer=words.code("library"), name=names[log.function[first]], start_ns=start, dur_ns=dur,
        pid=of[:, 0], tid=of[:, 1], device=gpu, probe=words.code(f"import:{_SOURCE}"),
        attrs=_attrs(log, build, calls, meanings),
    )  # fmt: skip
    spans = Spans(build.pages)
    spans.add(ids, NONE, of[:, 0], of[:, 1], start, start + np.maximum(dur, 0))
    _candidates(log, build, calls)
    cut = int((~log.complete).sum())
    reasons = [f"{cut} records are cut"] if cut else []
    reasons += [log.cut] if log.cut else []
    pids = sorted({c.process for c in log.contexts})
    return Facts(
        entries=len(log), events=len(calls), lost=0, reason="; ".join(reasons) or None, clock=UTC_ASSUMED,
        spans=spans,
        processes=[
            {"pid": pid, "threads": sorted({c.thread for c in log.contexts if c.process == pid})} for pid in pids
        ],
        devices=_devices(meanings),
        versions={"cudnn": _release(log.versions[0][0])} if log.versions else {},
        details={
            "records": len(log), "records_cut": cut, "other_lines": len(log.other), "clock_steps": log.clock_steps,
            "log_versions": [f"v{v}" + (f" {b}" if b is not None else "") for v, b in log.versions],
            "first_ns": first_known(log.time_ns),
        },
    )  # fmt: skip


def _calls(log: CudnnLog, meanings: list[Meaning]) -> list[_Call]:
    calls: list[_Call] = []
    latest: dict[tuple[Any, int], _Call] = {}
    told = [m.status is not None and not m.messages for m in meanings]
    complains = [bool(m.messages) for m in meanings]
    threads = [(c.process, c.thread) for c in log.contexts]
    columns = zip(
        log.function.tolist(), log.body.tolist(), log.context.tolist(), log.level.tolist(), strict=True
    )
    for at, (function, body, context, level) in enumerate(columns):
        key = (threads[context] if context != NONE else None, function)
        call = latest.get(key) if function != NONE else None
        if call is not None and told[body] and call.status == NONE:
            call.status = at
        elif call is not None and (level > 0 or (level == NONE and complains[body])):
            call.messages += (at,)
        else:
            latest[key] = _Call(at)
            calls.append(latest[key])
    return calls


def _placed(times: Int, base_ns: int) -> Int:
    """Every record's time; one without stands where the last one before it does, else where the first one is."""
    known = np.flatnonzero(times != NONE)
    if not len(known):
        return np.full(len(times), base_ns, np.int64)
    before = np.maximum(np.searchsorted(known, np.arange(len(times)), "right") - 1, 0)
    return np.asarray(np.where(times != NONE, times, times[known[before]]), np.int64)


def _attrs(log: CudnnLog, build: TraceBuilder, calls: list[_Call], meanings: list[Meaning]) -> Int:
    """Codes of the attributes, each distinct combination written once."""
    codes: dict[tuple[Any, ...], int] = {}
    out = np.full(len(calls), NONE, np.int64)
    columns = (log.body, log.version, log.level, log.context, log.function)
    body, version, level, context, function = (c.tolist() for c in columns)
    whole = log.complete.tolist()
    for at, call in enumerate(calls):
        i = call.first
        place = log.contexts[context[i]] if context[i] != NONE else None
        key = (
            body[i], version[i], level[i], place and (place.handle, place.stream), function[i], whole[i],
            call.status != NONE and body[call.status], *(body[m] for m in call.messages),
        )  # fmt: skip
        code = codes.get(key)
        if code is None:
            code = codes[key] = build.attrs.code(compact(_described(log, call, meanings)))
        out[at] = code
    return out


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


def _candidates(log: CudnnLog, build: TraceBuilder, calls: list[_Call]) -> None:
    """Engine configs and algorithms of each problem: those executed, those planned and not executed, those refused.

    The log has no run times. Where several were executed for one problem, all but the last are taken for trials of an
    autotuner: the winner is then inferred.
    """
    seen: dict[tuple[str, str | None], dict[str, dict[str, Any]]] = {}
    last: dict[tuple[str, str | None], str] = {}
    decoded: dict[tuple[int, int], Meaning] = {}
    functions = log.functions
    for call in calls:
        function = functions[int(log.function[call.first])] if log.function[call.first] != NONE else ""
        executes = function in _EXECUTES
        if not executes and function not in ("cudnnBackendFinalize",) and "WorkspaceSize" not in function:
            continue
        key = (int(log.function[call.first]), int(log.body[call.first]))
        if key not in decoded:
            decoded[key] = meaning(function, log.arguments(key[1]))
        what = decoded[key]
        if what.problem is None or what.algorithm is None:
            continue
        ending = [_status(log, decoded, k) for k in (call.status, *call.messages) if k != NONE]
        status = next((m.status for m in ending if m.status), None)
        group = (compact(what.problem), what.device)
        fresh = {"what": what, "calls": 0, "status": None, "record": call.first}
        row = seen.setdefault(group, {}).setdefault(what.algorithm, fresh)
        if executes:
            row["calls"] += 1
            row["status"] = "ok" if status in _OK else "failed"
            if status in _OK:
                last[group] = what.algorithm
        elif row["status"] is None:
            planned = function == "cudnnBackendFinalize"
            row["status"] = ("ok" if planned else "not_tried") if status in _OK else "unsupported"
    for group, rows in seen.items():
        executed = [name for name, row in rows.items() if row["calls"]]
        for name, row in rows.items():
            what, chosen = row["what"], last.get(group) == name
            add_candidate(
                build, LIBRARY, what.problem, device=what.device,
                version=_release(log.versions[int(log.version[row["record"]])][0]),
                algorithm=name, engine=None if what.engine is None else str(what.engine),
                knobs=None if what.knobs is None else compact(what.knobs), calls=row["calls"],
                workspace_bytes=what.workspace_bytes, status=row["status"], chosen=chosen,
                source=_SOURCE, evidence="inferred" if chosen and len(executed) > 1 else "measured",
            )  # fmt: skip


def _status(log: CudnnLog, decoded: dict[tuple[int, int], Meaning], record: int) -> Meaning:
    key = (NONE, int(log.body[record]))
    if key not in decoded:
        decoded[key] = meaning(None, log.arguments(key[1]))
    return decoded[key]


def _devices(meanings: list[Meaning]) -> list[dict[str, Any]]:
    names = dict.fromkeys(m.device for m in meanings if m.device)
    return [{"name": name, "type": "GPU"} for name in names]


def _release(version: int) -> str:
    """7603 -> 7.6.3, 92800 -> 9.28.0."""
    base = 10_000 if version >= 90_000 else 1000
    return f"{version // base}.{version % base // 100}.{version % 100}"
