"""Work of devices in a TensorFlow profile, and the driver calls that launched it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tftrace.correlate.profiles.host_plane import HostEvents
from tftrace.correlate.profiles.launches import Counts, Launches
from tftrace.correlate.profiles.ranks import Ranks, ranked
from tftrace.correlate.profiles.stat_attrs import interned, stat_codes, stat_parts
from tftrace.correlate.tables.attributes import Part, part_of
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder
from tftrace.ingest.xplane import device as lines
from tftrace.ingest.xplane.space import XSpace

_DETAILS: Final = ("kernel_details", "memcpy_details", "memset_details", "Memset_details")
_PLAIN: Final = (
    "annotation", "tf_op", "scope_range_id", "theoretical_occupancy_pct", "occupancy_min_grid_size",
    "occupancy_suggested_block_size", "hlo_op", "hlo_module", "program_id", "group_id", "context_id", "edge_name",
    "from", "to", "shape", "device_duration_ps", "name", "is_eager",
)  # fmt: skip
TUNING: Final = "cudnn_autotuning"
"""What TensorFlow annotates the autotuner's trials with, where the op has no annotation of its own."""
_SHARED: Final = (
    "hlo_category",
    "tf_op",
    "flops",
    "bytes_accessed",
    "source",
)  # of all events of one kind (TPU)


@dataclass(frozen=True)
class DeviceWork:
    """Kernels and copies of one profile or several: parallel arrays."""

    ids: Int
    start: Int
    end: Int
    device: Int  # codes of the builder's words
    label: Int  # `name:Type` of the op, as TensorFlow annotated the work; NONE where it did not
    hlo: Int  # the HLO instruction it belongs to; NONE outside XLA, and in trials of XLA's autotuner
    node: Int  # the graph's node that this instruction was made of, as far as XLA kept it; NONE elsewhere
    scope: Int  # TensorFlow's id of the annotation it ran under; NONE where absent (before 2.17)
    step: Int
    launch: Int  # position in the host events, or NONE
    name: Int
    attrs: Int  # codes of the builder's attributes
    trial: Int  # 1 for what an autotuner ran, as far as its annotation or its module says so
    others: Int  # further nodes that the instruction computes (JSON array), as far as its program tells
    node_rule: Int  # how `node` was told, where it was not by the profile itself


def add_device_work(
    space: XSpace, build: TraceBuilder, common: dict[str, int], start: Int, host: HostEvents, launches: Launches,
    first: int = 0, order: Ranks | None = None,
) -> tuple[DeviceWork, Counts]:  # fmt: skip
    """Adds the events of the device planes and links each to its launch.

    `start` holds the times of all events of the profile on the trace's time line; `first` is the position of the
    profile's first host event among those of all profiles.
    """
    is_work, is_program = (
        lines.lines_of(space, lines.STREAM, lines.UNIT),
        lines.lines_of(space, lines.PROGRAM),
    )
    rows = np.flatnonzero(is_work[space.line]) if len(space) else np.empty(0, np.int64)
    ids, device, name, attrs = _events(
        space, build, common, start, rows, "device", ranked(order, "work", rows)
    )
    if is_program.any():
        programs = np.flatnonzero(is_program[space.line])
        _events(space, build, common, start, programs, "runtime", ranked(order, "programs", programs))

    words = build.words
    launch = np.full(len(space) + 1, NONE, np.int64)  # the last element stands for no launch
    launch[host.row] = np.arange(len(host.row))
    launch = launch[launches.row[rows]]
    build.link(ids, np.where(launch >= 0, _at(host.ids, launch), NONE), "correlation id", "measured")
    which, labels = lines.op_labels(space)
    label = interned(words, which[rows], labels)
    made = host.made
    trial = made.trial[rows] | (label == words.code(TUNING))
    work = DeviceWork(
        ids, start[rows], (start + space.dur_ns)[rows], device, label, made.op[rows], made.node[rows],
        _stat(space, "scope_range_id")[rows], _stat(space, "group_id")[rows],
        np.where(launch >= 0, launch + first, NONE), name, attrs, trial.astype(np.int64),
        made.others[rows], made.rule[rows],
    )  # fmt: skip
    return work, launches.counts


def joined(parts: list[DeviceWork]) -> DeviceWork:
    names = ("ids", "start", "end", "device", "label", "hlo", "node", "scope", "step", "launch", "name", "attrs",
             "trial", "others", "node_rule")  # fmt: skip
    none = [np.empty(0, np.int64)]
    return DeviceWork(*(np.concatenate([getattr(p, n) for p in parts] or none) for n in names))


def _stat(space: XSpace, name: str) -> Int:
    values, valid = space.stat_ids(name)
    return np.where(valid, values, NONE)


def _at(values: Int, at: Int) -> Int:
    return values[np.maximum(at, 0)] if len(values) else np.full(len(at), NONE, np.int64)


def _events(
    space: XSpace,
    build: TraceBuilder,
    common: dict[str, int],
    start: Int,
    rows: Int,
    layer: str,
    rank: dict[str, Int],
) -> tuple[Int, Int, Int, Int]:
    """(event numbers, and codes of their devices, names and attributes)."""
    words = build.words
    line = space.line[rows]
    device = words.codes(info.plane_name for info in space.lines)[line]
    stream = np.array([lines.stream_number(info) for info in space.lines], np.int64)[line]
    stream = np.where((stream >= 0) & (stream < 1 << 31), stream, NONE)
    correlation = _stat(space, "correlation_id")[rows]
    # on a TPU the name is the whole HLO instruction, and the short name what a profile viewer shows
    short = words.codes(meta.display_name or meta.name for meta in space.metas)[space.meta[rows]]
    unit = ~lines.lines_of(space, lines.STREAM)[line]
    name = np.where(unit, short, words.codes(space.names)[space.name_code[rows]])
    attrs = _attrs(space, build, rows)
    ids = build.events(
        len(rows), layer=words.code(layer), name=name, start_ns=start[rows], dur_ns=space.dur_ns[rows],
        stream=stream, correlation_id=correlation, probe=words.code("tf_profiler"),
        attrs=attrs, **(common | {"device": device}), **rank,
    )  # fmt: skip
    return ids, device, name, attrs


def _attrs(space: XSpace, build: TraceBuilder, rows: Int) -> Int:
    """Codes of the attributes of the events in `rows`. What their kind says of them yields to what they say."""
    shared: list[dict[str, Any]] = [{k: m.stats[k] for k in _SHARED if k in m.stats} for m in space.metas]
    meta = space.meta[rows].astype(np.int64)
    parts: list[Part] = []
    if any(shared):
        op = space.stats.coded("tf_op")
        told = np.zeros(len(space), bool)
        if op is not None:
            told[op.event[np.array([v != "" for v in op.values], bool)[op.code]]] = True
        without = [{k: v for k, v in kind.items() if k != "tf_op"} for kind in shared]
        texts = pa.array([part_of(kind) for kind in (*shared, *without)], pa.string())
        parts.append(Part(meta + len(shared) * told[rows], texts))
    parts += stat_parts(space, rows, _PLAIN)
    for _, code, values in stat_codes(space, rows, _DETAILS):
        texts = pa.array([part_of(lines.details(str(v))) for v in values], pa.string())
        parts.append(Part(code, texts))
    return build.attrs.block(len(rows), parts)
