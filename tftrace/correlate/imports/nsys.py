"""An Nsight Systems export: CUDA calls, kernels and copies, NVTX ranges, joined by correlation id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.correlate.imports.containment import Spans, link_each
from tftrace.correlate.imports.facts import EPOCH, RELATIVE, Facts, first_known
from tftrace.correlate.profiles.matching import Sides
from tftrace.correlate.tables.attributes import Part, numbers_part
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact, numbered
from tftrace.ingest.nsys import Nsys
from tftrace.ingest.nsys_activities import NUMBER, Activity

LAYER: Final = {
    "kernel": "device", "memcpy": "device", "memset": "device", "runtime": "library", "driver": "library",
    "cudnn": "library", "cublas": "library", "nvtx": "runtime",
}  # fmt: skip
"""Where each kind of activity stands: a CUDA API call is a call of a vendor's library; who made an NVTX range is not
known, and it stands above."""
_CALLS: Final = ("runtime", "driver")
_WORK: Final = ("kernel", "memcpy", "memset")
SLICE: Final = 1 << 18
"""Activities that are added at once."""
_LIBRARY: Final = {"runtime": "CUDA runtime", "driver": "CUDA driver", "cudnn": "cuDNN", "cublas": "cuBLAS"}


def dated(export: Nsys) -> bool:
    return export.absolute


def add(export: Nsys, build: TraceBuilder, base_ns: int) -> Facts:
    """One event for each activity. An export without the start of its session is placed at `base_ns`."""
    host = build.words.code(export.hostname)
    shift = 0 if export.absolute else base_ns - _first_start(export)
    first = build.event_count
    spans, launches = Spans(build.pages), _Launches(export, build)
    pids: set[int] = set()
    devices: set[int] = set()
    for activity in export.activities:
        described = _Described(activity, build)
        layer = LAYER[activity.kind]
        names = build.words.codes(activity.names)
        for some in _slices(activity):
            begun, ended = activity.start_ns[some], activity.end_ns[some]
            start = np.where(begun != NONE, begun + shift, base_ns)
            open_ = ended == NONE
            end = np.where(open_, start, np.maximum(ended + shift, start))
            pid, tid, stream = (
                getattr(activity, name)[some].astype(np.int64) for name in ("pid", "tid", "stream")
            )
            used, number = np.unique(activity.device[some], return_inverse=True)
            gpus = build.words.codes(_gpu(d) if d >= 0 else None for d in used.tolist())
            ids = build.events(
                len(start), layer=build.words.code(layer), name=names[activity.name[some]], start_ns=start,
                dur_ns=np.where(open_, NONE, end - start), host=host, pid=pid, tid=tid, device=gpus[number],
                stream=np.where(stream < 1 << 31, stream, NONE), correlation_id=activity.correlation[some],
                probe=build.words.code("import:nsys"), attrs=described.codes(some),
            )  # fmt: skip
            pids.update(np.unique(pid).tolist())
            devices.update(used.tolist())
            launches.add(activity, some, ids)
            if layer != "device":
                spans.add(ids, host, pid, tid, start, end)
            export.pages.give_back()
    entries = sum(len(a) for a in export.activities)
    return Facts(
        entries=entries, events=entries, lost=0, reason=None, clock=EPOCH if export.absolute else RELATIVE,
        spans=spans,
        processes=[
            {
                "pid": p, "host": export.hostname, "executable": export.process_names.get(p),
                "threads": _threads(export, p),
            }
            for p in sorted(pids - {NONE})
        ],
        devices=_devices(export, {d for d in devices if d >= 0}), versions=dict(export.versions),
        details={"activities": {a.kind: len(a) for a in export.activities}, "tables_not_read": export.unread}
        | launches.link(first, entries),
    )  # fmt: skip


def _slices(activity: Activity) -> Iterator[slice]:
    for first in range(0, len(activity), SLICE):
        yield slice(first, min(first + SLICE, len(activity)))


def _first_start(export: Nsys) -> int:
    known = [
        begun
        for activity in export.activities
        for some in _slices(activity)
        for begun in [first_known(activity.start_ns[some])]
        if begun is not None
    ]
    export.pages.give_back()
    return min(known, default=0)


def _gpu(number: int) -> str:
    return f"/device:GPU:{number}"


def _threads(export: Nsys, pid: int) -> dict[str, str]:
    return {str(tid): name for (own, tid), name in export.thread_names.items() if own == pid and name}


def _devices(export: Nsys, seen: set[int]) -> list[dict[str, Any]]:
    told = {g["id"]: g for g in export.gpus}
    used = seen | set(told)
    more = {d: {k: v for k, v in told.get(d, {}).items() if k != "id" and v is not None} for d in used}
    return [
        {"name": _gpu(d), "type": "GPU"} | {("model" if k == "name" else k): v for k, v in more[d].items()}
        for d in sorted(used)
    ]


class _Described:
    """The attributes of the rows of a table."""

    def __init__(self, activity: Activity, build: TraceBuilder) -> None:
        self._activity, self._build = activity, build
        library = _LIBRARY.get(activity.kind)
        self._library = [] if library is None else [_text({"library": library})]
        self._texts = [
            pa.array([_text(dict(zip(some.names, row, strict=True))) for row in some.values], pa.string())
            for some in activity.further
        ]

    def codes(self, rows: slice) -> Int:
        count = rows.stop - rows.start
        parts = [Part(np.zeros(count, np.int64), pa.array([text])) for text in self._library]
        for some, texts in zip(self._activity.further, self._texts, strict=True):
            code = some.code[rows].astype(np.int64)
            if some.number is None:
                parts.append(Part(code, texts))
                continue
            own = np.flatnonzero(code == NUMBER)
            told = numbers_part(some.names[0], some.number[rows][own])
            number = np.where(code >= 0, code + len(told.texts), NONE)
            number[own] = told.code
            parts.append(Part(number, pa.concat_arrays([told.texts, texts])))
        return self._build.attrs.block(count, parts)


def _text(values: dict[str, Any]) -> str:
    known = {name: v.hex() if isinstance(v, bytes) else v for name, v in values.items() if v is not None}
    return compact(known)[1:-1]


class _Launches:
    """Links device work to the CUDA call that launched it, by process and correlation id.

        call                       work                      launch
        0  process 111, id 7       a  process 111, id 7      0
        1  process 112, id 7  ->   b  process 112, id 7  ->  1
        2  process 111, id 8       c  process 111, id 9      none

    The runtime's calls come first: one that the driver's call below it repeats has the same id. An id that two calls
    of one process bear on the same level (it wrapped around, or one process used two contexts) is not linked, and
    neither is one whose work lies on two devices.
    """

    def __init__(self, export: Nsys, build: TraceBuilder) -> None:
        self._build = build
        known = sum(
            int((activity.correlation[some] != NONE).sum())
            for activity in export.activities
            if activity.kind in (*_CALLS, *_WORK)
            for some in _slices(activity)
        )
        export.pages.give_back()
        self._sides = Sides(build.pages, known, ("event", "pid", "id", "more"))
        self._without_id = 0

    def add(self, activity: Activity, rows: slice, events: Int) -> None:
        if activity.kind not in (*_CALLS, *_WORK):
            return
        ids = activity.correlation[rows]
        some = np.flatnonzero(ids != NONE)
        is_call = activity.kind in _CALLS
        self._without_id += 0 if is_call else len(ids) - len(some)
        more = np.full(len(ids), _CALLS.index(activity.kind)) if is_call else activity.device[rows]
        pid, ids = activity.pid[rows][some].astype(np.int64), ids[some]
        self._sides.add(
            0 if is_call else 1, ids + (pid << 40), event=events[some], pid=pid, id=ids, more=more[some]
        )

    def link(self, first: int, events: int) -> dict[str, int]:
        """Links all of them, the events that are numbered from `first` on; returns what found no launch, and why."""
        launch = self._build.pages.filled(np.int64, events, NONE)
        ambiguous = missing = 0
        for calls, work in self._sides.parts():
            parent, unclear = _matched(calls, work)
            launch[work["event"] - first] = parent
            ambiguous += int(unclear.sum())
            missing += int(((parent == NONE) & ~unclear).sum())
        link_each(self._build, first, launch, "correlation id", "measured")
        return {
            "work_without_id": self._without_id, "work_without_launch": missing, "ids_ambiguous": ambiguous,
        }  # fmt: skip


def _matched(calls: dict[str, Int], work: dict[str, Int]) -> tuple[Int, npt.NDArray[np.bool_]]:
    """(call of each row of work or NONE, whether it is not told which). `more` is of calls their level, of work its
    device."""
    n = len(calls["id"])
    key = numbered(*(np.concatenate([calls[name], work[name]]) for name in ("pid", "id")))
    key, own, size = key[:n], key[n:], int(key.max(initial=-1)) + 1
    bounds = np.iinfo(np.int64)
    low, high = np.full(size, bounds.max), np.full(size, bounds.min)
    np.minimum.at(low, own, work["more"])
    np.maximum.at(high, own, work["more"])
    of_two = (low < high)[own]
    parent, unclear = np.full(len(own), NONE, np.int64), np.zeros(len(own), np.bool_)
    for level in range(len(_CALLS)):
        rows = np.flatnonzero(calls["more"] == level)
        one = np.full(size, NONE, np.int64)
        one[key[rows]] = calls["event"][rows]
        several = (np.bincount(key[rows], minlength=size) > 1)[own]
        found = np.where(several, NONE, one[own])
        several |= of_two & (found != NONE)
        parent = np.where((parent == NONE) & ~of_two, found, parent)
        unclear |= several & (parent == NONE)
    return parent, unclear
