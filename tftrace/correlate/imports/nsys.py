"""An Nsight Systems export: CUDA calls, kernels and copies, NVTX ranges, joined by correlation id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from tftrace.correlate.imports.containment import Spans
from tftrace.correlate.imports.facts import EPOCH, RELATIVE, Facts, first_known
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.nsys import Activity, Nsys

LAYER: Final = {
    "kernel": "device", "memcpy": "device", "memset": "device", "runtime": "library", "driver": "library",
    "cudnn": "library", "cublas": "library", "nvtx": "runtime",
}  # fmt: skip
"""Where each kind of activity stands: a CUDA API call is a call of a vendor's library; who made an NVTX range is not
known, and it stands above."""
_LIBRARY: Final = {"runtime": "CUDA runtime", "driver": "CUDA driver", "cudnn": "cuDNN", "cublas": "cuBLAS"}


def dated(export: Nsys) -> bool:
    return export.absolute


def add(export: Nsys, build: TraceBuilder, base_ns: int) -> Facts:
    """One event for each activity. An export without the start of its session is placed at `base_ns`."""
    words = build.words
    host = words.code(export.hostname)
    shift = 0
    if not export.absolute:
        begins = [b for a in export.activities for b in [first_known(a.start_ns)] if b is not None]
        shift = base_ns - min(begins, default=0)
    added: dict[str, tuple[Activity, Int, Int, Int]] = {}
    spans = Spans(build.pages)
    for activity in export.activities:
        start = np.where(activity.start_ns != NONE, activity.start_ns + shift, base_ns)
        open_ = activity.end_ns == NONE
        end = np.where(open_, start, np.maximum(activity.end_ns + shift, start))
        gpus = [words.code(f"/device:GPU:{d}") for d in range(int(activity.device.max(initial=-1)) + 1)]
        device = np.array([*gpus, NONE], np.int64)[activity.device]
        ids = build.events(
            len(activity), layer=words.code(LAYER[activity.kind]), name=words.codes(activity.names)[activity.name],
            start_ns=start, dur_ns=np.where(open_, NONE, end - start), host=host, pid=activity.pid, tid=activity.tid,
            device=device, stream=np.where(activity.stream < 1 << 31, activity.stream, NONE),
            correlation_id=activity.correlation, probe=words.code("import:nsys"), attrs=_attrs(activity, build),
        )  # fmt: skip
        if LAYER[activity.kind] != "device":
            spans.add(ids, host, activity.pid, activity.tid, start, end)
        added[activity.kind] = (activity, ids, start, end)
    links = _launches(added, build)
    entries = sum(len(a) for a in export.activities)
    pids = sorted({int(p) for a in export.activities for p in np.unique(a.pid) if p != NONE})
    return Facts(
        entries=entries, events=entries, lost=0, reason=None, clock=EPOCH if export.absolute else RELATIVE,
        spans=spans,
        processes=[
            {
                "pid": p, "host": export.hostname, "executable": export.process_names.get(p),
                "threads": _threads(export, p),
            }
            for p in pids
        ],
        devices=_devices(export), versions=dict(export.versions),
        details={"activities": {a.kind: len(a) for a in export.activities}, "tables_not_read": export.unread} | links,
    )  # fmt: skip


def _threads(export: Nsys, pid: int) -> dict[str, str]:
    return {str(tid): name for (own, tid), name in export.thread_names.items() if own == pid and name}


def _devices(export: Nsys) -> list[dict[str, Any]]:
    told = {g["id"]: g for g in export.gpus}
    used = {int(d) for a in export.activities for d in np.unique(a.device) if d != NONE} | set(told)
    more = {d: {k: v for k, v in told.get(d, {}).items() if k != "id" and v is not None} for d in used}
    return [
        {"name": f"/device:GPU:{d}", "type": "GPU"}
        | {("model" if k == "name" else k): v for k, v in more[d].items()}
        for d in sorted(used)
    ]


def _attrs(activity: Activity, build: TraceBuilder) -> Int:
    """Codes of the attributes; each distinct combination is written once."""
    library = {"library": _LIBRARY[activity.kind]} if activity.kind in _LIBRARY else {}
    codes = np.empty(len(activity.values), np.int64)
    for at, row in enumerate(activity.values):
        known = {n: _plain(v) for n, v in zip(activity.attr_names, row, strict=True) if v is not None}
        codes[at] = build.attrs.code(compact(library | known)) if library or known else NONE
    return codes[activity.attrs]


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _launches(added: dict[str, tuple[Activity, Int, Int, Int]], build: TraceBuilder) -> dict[str, int]:
    """Links device work to the CUDA call that launched it, by process and correlation id.

        call                       work                      launch
        0  process 111, id 7       a  process 111, id 7      0
        1  process 112, id 7  ->   b  process 112, id 7  ->  1
        2  process 111, id 8       c  process 111, id 9      none

    The runtime's calls come first: one that the driver's call below it repeats has the same id. An id that two calls
    of one process bear on the same level (it wrapped around, or one process used two contexts) is not linked, and
    neither is one whose work lies on two devices.
    """
    calls = [added[kind] for kind in ("runtime", "driver") if kind in added]
    work = [added[kind] for kind in ("kernel", "memcpy", "memset") if kind in added]
    counts = {"work_without_id": 0, "work_without_launch": 0, "ids_ambiguous": 0}
    spread = _on_two_devices([activity for activity, *_ in work])
    for activity, ids, _, _ in work:
        parent = np.full(len(ids), NONE, np.int64)
        has = activity.correlation != NONE
        counts["work_without_id"] += int((~has).sum())
        unclear = np.zeros(len(ids), bool)
        of_two = next(spread)
        for call, call_ids, _, _ in calls:
            found, double = _match(activity, call)
            double |= of_two & (found != NONE)
            found = np.where(of_two, NONE, found)
            parent = np.where((parent == NONE) & (found != NONE), call_ids[found], parent)
            unclear |= double & (parent == NONE)
        counts["ids_ambiguous"] += int(unclear.sum())
        counts["work_without_launch"] += int((has & (parent == NONE) & ~unclear).sum())
        build.link(ids, parent, "correlation id", "measured")
    return counts


def _on_two_devices(work: list[Activity]) -> Iterator[np.ndarray]:
    """For each activity a mask of the rows whose process and id also stand on another device."""
    if not work:
        return
    columns = [np.concatenate([getattr(a, name) for a in work]) for name in ("pid", "correlation")]
    _, key = np.unique(np.stack(columns), axis=1, return_inverse=True)
    key = np.asarray(key, np.int64).reshape(-1)
    device = np.concatenate([a.device for a in work])
    low, high = (
        np.full(int(key.max(initial=-1)) + 1, np.iinfo(np.int64).max),
        np.full(int(key.max(initial=-1)) + 1, NONE),
    )
    np.minimum.at(low, key, device)
    np.maximum.at(high, key, device)
    mask = (low < high)[key] & (columns[1] != NONE)
    yield from np.split(mask, np.cumsum([len(a) for a in work])[:-1])


def _match(work: Activity, calls: Activity) -> tuple[Int, np.ndarray]:
    """(row of `calls` for each row of `work` or NONE, whether several would do)."""
    usable = np.flatnonzero(calls.correlation != NONE)
    pairs = np.stack(
        [
            np.concatenate([calls.pid[usable], work.pid]),
            np.concatenate([calls.correlation[usable], work.correlation]),
        ]
    )
    _, key = np.unique(pairs, axis=1, return_inverse=True)
    key = np.asarray(key).reshape(-1)
    size = int(key.max(initial=-1)) + 1
    row = np.full(size, NONE, np.int64)
    row[key[: len(usable)]] = usable
    several = np.bincount(key[: len(usable)], minlength=size) > 1
    own = key[len(usable) :]
    fits = work.correlation != NONE
    return np.where(fits & ~several[own], row[own], NONE), fits & several[own]
