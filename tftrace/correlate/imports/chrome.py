"""A trace in Chrome's format, as TensorFlow, PyTorch and others write it."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.correlate.imports.facts import RELATIVE, Facts, Spans
from tftrace.correlate.profiles.host_plane import names_kernel
from tftrace.correlate.tables.attributes import Part
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.chrome import ChromeTrace

_DEVICE = re.compile(r"/device:(?!CPU)\w+:\d+.*")
_STREAM = re.compile(r"(?:Stream #?|stream )(\d{1,9})\b")
_OF_CATEGORY: Final = {
    "kernel": "device", "gpu_memcpy": "device", "gpu_memset": "device", "cuda_runtime": "library",
    "cuda_driver": "library", "python_function": "python",
}  # fmt: skip
SLICE: Final = 1 << 18
"""Events that are added at once."""


def dated(trace: ChromeTrace) -> bool:
    return False


def add(trace: ChromeTrace, build: TraceBuilder, base_ns: int) -> Facts:
    """One event for each interval or mark, from `base_ns` on.

    TensorFlow draws some lines of a device from others (`Steps`, `TensorFlow Ops`, ..): they repeat time that is there
    already, are counted and not added.
    """
    words = build.words
    layers, streams, derived = _lines(trace)
    kept = np.flatnonzero(~derived[trace.thread]) if len(trace) else np.empty(0, np.int64)
    layer = _layers(trace, layers, build)[kept]
    start = trace.start_ns[kept] - (int(trace.start_ns.min()) if len(trace) else 0) + base_ns
    on_device = layer == words.code("device")
    stream, process = streams[trace.thread[kept]], trace.process[kept]
    pid, tid = _numbers(trace.process_ids)[process], _numbers(trace.thread_ids)[trace.thread[kept]]
    device = words.codes(p if _DEVICE.fullmatch(p) else None for p in trace.processes)[process]
    names, correlation, dur = words.codes(trace.names), trace.correlation[kept], trace.dur_ns[kept]
    category = trace.category.astype(np.int64)
    category[trace.recategorized] = NONE  # said among the arguments
    told = pa.array([compact({"cat": c})[1:-1] for c in trace.categories], pa.string())
    added = [np.empty(0, np.int64)]
    for at in range(0, len(kept), SLICE):
        some, rows = slice(at, at + SLICE), kept[at : at + SLICE]
        args = trace.args.take(pa.array(rows)).combine_chunks().dictionary_encode()
        parts = (
            Part(args.indices.to_numpy().astype(np.int64), args.dictionary),
            Part(category[rows], told),
        )
        added.append(
            build.events(
                len(rows), layer=layer[some], name=names[trace.name[rows]], start_ns=start[some], dur_ns=dur[some],
                pid=np.where(device[some] == NONE, pid[some], NONE), tid=np.where(on_device[some], NONE, tid[some]),
                device=device[some], stream=np.where(on_device[some], stream[some], NONE),
                correlation_id=correlation[some], probe=words.code("import:chrome"),
                attrs=build.attrs.block(len(rows), parts),
            )
        )  # fmt: skip
    ids = np.concatenate(added)
    unlinked = _launches(build, ids, on_device, pid, correlation)
    host = np.flatnonzero(~on_device)
    end = start + np.maximum(dur, 0)
    process_names = dict(zip(trace.process_ids, trace.processes, strict=True))
    return Facts(
        entries=len(trace), events=len(kept), lost=trace.malformed,
        reason=trace.cut or (f"{trace.malformed} events are malformed" if trace.malformed else None),
        clock=RELATIVE,
        spans=Spans(ids[host], np.full(len(host), NONE), pid[host], tid[host], start[host], end[host]),
        processes=[
            {"pid": int(i) if i.isdecimal() else None, "executable": n}
            for i, n in process_names.items()
            if not _DEVICE.fullmatch(n)
        ],
        devices=[{"name": n} for n in process_names.values() if _DEVICE.fullmatch(n)],
        details={
            "derived": len(trace) - len(kept), "passed_over": trace.passed_over, "work_without_launch": unlinked,
        },
    )  # fmt: skip


def _lines(trace: ChromeTrace) -> tuple[list[str], Int, npt.NDArray[np.bool_]]:
    """For each thread its layer, its stream (NONE for none), and whether it repeats other lines."""
    layers, streams, derived = [], [], []
    for thread, name in enumerate(trace.threads):
        device = _DEVICE.fullmatch(trace.processes[trace.process_of[thread]]) is not None
        stream = _STREAM.match(name)
        layers.append("device" if device else "runtime")
        own = trace.thread_ids[thread]
        streams.append(
            int(stream[1]) if stream else int(own) if own.isdecimal() and int(own) < 1 << 31 else NONE
        )
        derived.append(device and stream is None)
    return layers, np.array(streams, np.int64), np.array(derived, np.bool_)


def _layers(trace: ChromeTrace, of_thread: list[str], build: TraceBuilder) -> Int:
    """The layer of each event: as its category says, else as its thread does, but for kernels of the host."""
    words = build.words
    if not len(trace):
        return np.empty(0, np.int64)
    by_thread = words.codes(of_thread)[trace.thread]
    kernel = np.array([names_kernel(name) for name in trace.names], np.bool_)[trace.name]
    by_name = np.where(kernel & (by_thread != words.code("device")), words.code("kernel"), by_thread)
    by_category = np.append(words.codes(_OF_CATEGORY.get(c) for c in trace.categories), NONE)[trace.category]
    return np.where(by_category != NONE, by_category, by_name)


def _numbers(ids: list[str]) -> Int:
    return np.array([int(i) if i.isdecimal() and int(i) < 1 << 31 else NONE for i in ids], np.int64)


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
