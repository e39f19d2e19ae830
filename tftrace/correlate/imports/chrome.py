"""A trace in Chrome's format, as TensorFlow, PyTorch and others write it."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np

from tftrace.correlate.imports.facts import RELATIVE, Facts, Spans
from tftrace.correlate.profiles.host_plane import names_kernel
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.chrome import ChromeTrace

_DEVICE = re.compile(r"/device:(?!CPU)\w+:\d+.*")
_STREAM = re.compile(r"(?:Stream #?|stream )(\d{1,9})\b")
_OF_CATEGORY: Final = {
    "kernel": "device", "gpu_memcpy": "device", "gpu_memset": "device", "cuda_runtime": "library",
    "cuda_driver": "library", "python_function": "python",
}  # fmt: skip
_CORRELATION: Final = ("correlation_id", "correlation")


def dated(trace: ChromeTrace) -> bool:
    return False


def add(trace: ChromeTrace, build: TraceBuilder, base_ns: int) -> Facts:
    """One event for each interval or mark, from `base_ns` on.

    TensorFlow draws some lines of a device from others (`Steps`, `TensorFlow Ops`, ..): they repeat time that is there
    already, are counted and not added.
    """
    words = build.words
    layers, streams, derived = _lines(trace)
    kind = np.array(layers, object)[trace.thread] if len(trace) else np.empty(0, object)
    kept = np.flatnonzero(~np.array(derived, bool)[trace.thread]) if len(trace) else np.empty(0, np.int64)
    categories = [_OF_CATEGORY.get(c or "") for c in trace.categories]
    kernel = [names_kernel(n) for n in trace.names]
    layer = np.array(
        [
            words.code(
                categories[i] or (kind[i] if kind[i] == "device" or not kernel[trace.name[i]] else "kernel")
            )
            for i in kept.tolist()
        ],
        np.int64,
    )
    start = trace.start_ns[kept] - (int(trace.start_ns.min()) if len(trace) else 0) + base_ns
    on_device = layer == words.code("device")
    correlation = np.array([_correlation(trace.args[i]) for i in kept.tolist()], np.int64)
    stream = np.array(streams, np.int64)[trace.thread[kept]] if len(kept) else np.empty(0, np.int64)
    pid, tid = (
        _numbers(trace.process_ids)[trace.process[kept]],
        _numbers(trace.thread_ids)[trace.thread[kept]],
    )
    device = words.codes(p if _DEVICE.fullmatch(p) else None for p in trace.processes)[trace.process[kept]]
    ids = build.events(
        len(kept), layer=layer, name=words.codes(trace.names)[trace.name[kept]], start_ns=start,
        dur_ns=trace.dur_ns[kept], pid=np.where(device == NONE, pid, NONE), tid=np.where(on_device, NONE, tid),
        device=device, stream=np.where(on_device, stream, NONE), correlation_id=correlation,
        probe=words.code("import:chrome"),
        attrs=build.attrs.codes(_attrs(trace, i) for i in kept.tolist()),
    )  # fmt: skip
    unlinked = _launches(build, ids, on_device, pid, correlation)
    host = np.flatnonzero(~on_device)
    end = start + np.maximum(trace.dur_ns[kept], 0)
    names = dict(zip(trace.process_ids, trace.processes, strict=True))
    return Facts(
        entries=len(trace), events=len(kept), lost=trace.malformed,
        reason=trace.cut or (f"{trace.malformed} events are malformed" if trace.malformed else None),
        clock=RELATIVE,
        spans=Spans(ids[host], np.full(len(host), NONE), pid[host], tid[host], start[host], end[host]),
        processes=[
            {"pid": int(i) if i.isdecimal() else None, "executable": n}
            for i, n in names.items()
            if not _DEVICE.fullmatch(n)
        ],
        devices=[{"name": n} for n in names.values() if _DEVICE.fullmatch(n)],
        details={
            "derived": len(trace) - len(kept), "passed_over": trace.passed_over, "work_without_launch": unlinked,
        },
    )  # fmt: skip


def _lines(trace: ChromeTrace) -> tuple[list[str], list[int], list[bool]]:
    """For each thread its layer, its stream (NONE for none), and whether it repeats other lines."""
    of_thread: dict[int, int] = dict(zip(trace.thread.tolist(), trace.process.tolist(), strict=True))
    layers, streams, derived = [], [], []
    for thread, name in enumerate(trace.threads):
        device = _DEVICE.fullmatch(trace.processes[of_thread[thread]]) is not None
        stream = _STREAM.match(name)
        layers.append("device" if device else "runtime")
        own = trace.thread_ids[thread]
        streams.append(
            int(stream[1]) if stream else int(own) if own.isdecimal() and int(own) < 1 << 31 else NONE
        )
        derived.append(device and stream is None)
    return layers, streams, derived


def _numbers(ids: list[str]) -> Int:
    return np.array([int(i) if i.isdecimal() and int(i) < 1 << 31 else NONE for i in ids], np.int64)


def _correlation(args: dict[str, Any] | None) -> int:
    for key in _CORRELATION:
        value = str((args or {}).get(key, ""))
        if value.isdecimal() and int(value) < 1 << 62:
            return int(value)
    return NONE


def _attrs(trace: ChromeTrace, at: int) -> str | None:
    row = dict(trace.args[at] or {})
    if trace.categories[at] is not None:
        row["cat"] = trace.categories[at]
    return compact(row) if row else None


def _launches(build: TraceBuilder, ids: Int, on_device: np.ndarray, pid: Int, correlation: Int) -> int:
    """Device work to the one host event with its correlation id; returns how much found none."""
    host = np.flatnonzero(~on_device & (correlation != NONE))
    work = np.flatnonzero(on_device & (correlation != NONE))
    values, first, counts = np.unique(correlation[host], return_index=True, return_counts=True)
    if not len(values) or not len(work):
        return int(on_device.sum())
    at = np.minimum(np.searchsorted(values, correlation[work]), len(values) - 1)
    found = (values[at] == correlation[work]) & (counts[at] == 1)
    build.link(ids[work[found]], ids[host[first[at[found]]]], "correlation id", "measured")
    return int(on_device.sum() - found.sum())
