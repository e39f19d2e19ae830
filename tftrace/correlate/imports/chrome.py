"""A trace in Chrome's format, as TensorFlow, PyTorch and others write it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.correlate.imports.containment import Spans, link_each
from tftrace.correlate.imports.facts import RELATIVE, Facts
from tftrace.correlate.profiles.handovers import by_key
from tftrace.correlate.profiles.host_plane import names_kernel
from tftrace.correlate.profiles.matching import Sides
from tftrace.correlate.tables.attributes import Part
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact, taken
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
    spans, launches = Spans(build.pages), _Launches(trace, build)
    lines = _Lines(trace, build)
    shift = base_ns - _first_start(trace)
    before = build.event_count
    for rows in _slices(trace):
        kept = rows[~lines.derived[trace.thread[rows]]]
        thread = trace.thread[kept]
        process = trace.process_of[thread]
        layer, pid, tid, device = (
            lines.layers(kept),
            lines.pid[process],
            lines.tid[thread],
            lines.device[process],
        )
        start, dur, correlation = trace.start_ns[kept] + shift, trace.dur_ns[kept], trace.correlation[kept]
        on_device = layer == build.words.code("device")
        ids = build.events(
            len(kept), layer=layer, name=lines.names[trace.name[kept]], start_ns=start, dur_ns=dur,
            pid=np.where(device == NONE, pid, NONE), tid=np.where(on_device, NONE, tid), device=device,
            stream=np.where(on_device, lines.stream[thread], NONE), correlation_id=correlation,
            probe=build.words.code("import:chrome"), attrs=_attrs(trace, build, kept, lines.categories),
        )  # fmt: skip
        launches.add(ids, on_device, correlation)
        host = np.flatnonzero(~on_device)
        spans.add(ids[host], NONE, pid[host], tid[host], start[host], (start + np.maximum(dur, 0))[host])
        trace.pages.give_back()
    events = build.event_count - before
    process_names = dict(zip(trace.process_ids, trace.processes, strict=True))
    return Facts(
        entries=len(trace), events=events, lost=trace.malformed,
        reason=trace.cut or (f"{trace.malformed} events are malformed" if trace.malformed else None),
        clock=RELATIVE, spans=spans,
        processes=[
            {"pid": int(i) if i.isdecimal() else None, "executable": n}
            for i, n in process_names.items()
            if not _DEVICE.fullmatch(n)
        ],
        devices=[{"name": n} for n in process_names.values() if _DEVICE.fullmatch(n)],
        details={
            "derived": len(trace) - events, "passed_over": trace.passed_over,
            "work_without_launch": launches.link(before, events),
        },
    )  # fmt: skip


def _slices(trace: ChromeTrace) -> Iterator[Int]:
    for first in range(0, len(trace), SLICE):
        yield np.arange(first, min(first + SLICE, len(trace)))


def _first_start(trace: ChromeTrace) -> int:
    found = [int(trace.start_ns[first : first + SLICE].min()) for first in range(0, len(trace), SLICE)]
    trace.pages.give_back()
    return min(found, default=0)


def _attrs(trace: ChromeTrace, build: TraceBuilder, rows: Int, told: pa.Array) -> Int:
    """Codes of the attributes of these events, which are in their order: arguments and category, which `told` says."""
    if not len(rows):
        return rows
    first = int(rows[0])
    # of the rest nothing is looked at: arguments are in as many arrays as they were read in
    args = trace.args.slice(first, int(rows[-1]) + 1 - first).take(pa.array(rows - first))
    texts = args.combine_chunks().dictionary_encode()
    category = trace.category[rows].astype(np.int64)
    begin, end = np.searchsorted(trace.recategorized, (first, rows[-1] + 1)).tolist()
    category[np.isin(rows, trace.recategorized[begin:end])] = NONE  # said among the arguments
    parts = Part(texts.indices.to_numpy().astype(np.int64), texts.dictionary), Part(category, told)
    return build.attrs.block(len(rows), parts)


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


def _numbers(ids: list[str]) -> Int:
    return np.array([int(i) if i.isdecimal() and int(i) < 1 << 31 else NONE for i in ids], np.int64)


class _Lines:
    """What the threads, processes, names and categories of a trace are in the tables, by their numbers there."""

    def __init__(self, trace: ChromeTrace, build: TraceBuilder) -> None:
        words = build.words
        of_thread, self.stream, self.derived = _lines(trace)
        self._trace = trace
        self._layer, self._kernel, self._device = (
            words.codes(of_thread),
            words.code("kernel"),
            words.code("device"),
        )
        self._names_kernel = np.array([names_kernel(name) for name in trace.names], np.bool_)
        self._of_category = np.append(words.codes(_OF_CATEGORY.get(c) for c in trace.categories), NONE)
        self.device = words.codes(p if _DEVICE.fullmatch(p) else None for p in trace.processes)
        self.pid, self.tid = _numbers(trace.process_ids), _numbers(trace.thread_ids)
        self.names = words.codes(trace.names)
        self.categories = pa.array([compact({"cat": c})[1:-1] for c in trace.categories], pa.string())

    def layers(self, rows: Int) -> Int:
        """The layer of each event: as its category says, else as its thread does, but for kernels of the host."""
        by_thread = self._layer[self._trace.thread[rows]]
        kernel = self._names_kernel[self._trace.name[rows]] & (by_thread != self._device)
        by_category = self._of_category[self._trace.category[rows]]
        return np.where(by_category != NONE, by_category, np.where(kernel, self._kernel, by_thread))


class _Launches:
    """Device work to the one host event with its correlation id."""

    def __init__(self, trace: ChromeTrace, build: TraceBuilder) -> None:
        self._build = build
        ids = sum(
            int((trace.correlation[first : first + SLICE] != NONE).sum())
            for first in range(0, len(trace), SLICE)
        )
        self._sides = Sides(build.pages, ids, ("event", "id"))
        self._work = 0

    def add(self, events: Int, on_device: npt.NDArray[np.bool_], correlation: Int) -> None:
        self._work += int(on_device.sum())
        for side, mask in enumerate((~on_device, on_device)):
            some = np.flatnonzero(mask & (correlation != NONE))
            self._sides.add(side, correlation[some], event=events[some], id=correlation[some])

    def link(self, first: int, events: int) -> int:
        """Links all of them, the events that are numbered from `first` on; returns how much work found no launch."""
        launch = self._build.pages.filled(np.int64, events, NONE)
        found = 0
        for host, work in self._sides.parts():
            values, at, counts = np.unique(host["id"], return_index=True, return_counts=True)
            once, at = values[counts == 1], host["event"][at[counts == 1]]
            launched = by_key(work["id"], once)
            launch[work["event"] - first] = taken(at, launched)
            found += int((launched != NONE).sum())
        link_each(self._build, first, launch, "correlation id", "measured")
        return self._work - found
