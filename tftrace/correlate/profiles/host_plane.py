"""Host events of a TensorFlow profile: runtime, OpKernels, and the driver calls that hand work to a device."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.correlate.profiles.hlo_nodes import Instructions, add_instructions
from tftrace.correlate.profiles.ranks import Ranks, ranked
from tftrace.correlate.profiles.stat_attrs import stat_parts, stat_words
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.xplane.device import HOST, lines_of
from tftrace.ingest.xplane.space import XSpace

Bools = npt.NDArray[np.bool_]

LAUNCH: Final = "cuLaunchKernel"
"""TensorFlow names a launch after the kernel it launches, and does not say which of the `cuLaunchKernel*` it was."""

_KERNEL = re.compile(r"^[^\s#]*[^\s#:]:_?[A-Za-z]\w*$")
_DRIVER_CALL = re.compile(r"^(?:cu|cuda|hip|hsa|nccl)_?[A-Z]")
_COPY = re.compile(r"^(?:Memcpy|Memset|Copy)")
_SHOWN = (  # statistics worth carrying; ids of producers and consumers become links instead
    "eager_op", "is_func", "tf_function_call", "tracing_count", "iter_num", "shape", "hlo_op", "hlo_module",
    "step_name", "group_id", "program_id", "tf_op", "device", "bytes", "element_id", "long_name",
)  # fmt: skip


@dataclass(frozen=True)
class HostEvents:
    """Host events of one profile: parallel arrays."""

    row: Int  # of the XSpace
    ids: Int
    start: Int
    end: Int
    tid: Int
    name: Int  # codes of the builder's words
    is_kernel: Bools
    is_launch: Bools  # driver calls with a correlation id, those that wait for a device included
    producer: Int  # hashed (type, id); NONE where absent
    consumer: Int
    run: Int  # TensorFlow's id of a run of the executor, dense; NONE where absent
    eager_op: Int  # op type of an `EagerExecute` that runs a single op; NONE elsewhere
    made: Instructions  # of all events of the XSpace


def add_host_events(
    space: XSpace, build: TraceBuilder, common: dict[str, int], start: Int, line_tid: Int, window: int,
    runs: dict[tuple[int, int], int], order: Ranks | None = None, trials: Collection[str] | None = None,
) -> HostEvents:  # fmt: skip
    """Adds the events of the planes `/host:CPU*`.

    `start` holds the times of all events of the profile on the trace's time line, `line_tid` the thread of each line;
    `window` sets ids of one profile apart from those of another, and `runs` numbers the runs of executors. Of a slice
    of a profile, `order` tells where its events lie and `trials` what `add_instructions` wants to know of the others.
    """
    on_host = lines_of(space, HOST)
    rows = np.flatnonzero(on_host[space.line]) if len(space) else np.empty(0, np.int64)
    words = build.words
    ids, valid = space.stat_ids("id")
    run = np.full(len(space), NONE, np.int64)
    found = pa.array(ids[valid]).dictionary_encode()
    dense = [runs.setdefault((window, v), len(runs)) for v in found.dictionary.to_pylist()]
    run[valid] = np.array(dense, np.int64)[found.indices.to_numpy()]
    correlation, is_launch = space.stat_ids("correlation_id")
    frames = _named(space, lambda n: n.startswith("$"))
    is_kernel = _named(space, names_kernel) & ~is_launch
    name, attrs = _names_and_attrs(space, build, rows, is_launch)
    layer = np.where(is_kernel, words.code("kernel"), words.code("runtime"))
    layer = np.where(frames, words.code("python"), np.where(is_launch, words.code("library"), layer))
    tid = line_tid[space.line[rows]]
    events = build.events(
        len(rows), layer=layer[rows], name=name[rows], start_ns=start[rows], dur_ns=space.dur_ns[rows], tid=tid,
        probe=words.code("tf_profiler"), attrs=attrs[rows],
        correlation_id=np.where(is_launch, correlation, NONE)[rows], **common, **ranked(order, "host", rows),
    )  # fmt: skip
    return HostEvents(
        rows, events, start[rows], (start + space.dur_ns)[rows], tid, name[rows], is_kernel[rows], is_launch[rows],
        _key_pairs(space, "_pt", "_p", window)[rows], _key_pairs(space, "_ct", "_c", window)[rows], run[rows],
        _eager_ops(space, build)[rows], add_instructions(space, build, trials),
    )  # fmt: skip


def names_kernel(name: str) -> bool:
    """`node:Kernel`; but a function that XLA compiled is run as a kernel of its own name, and is no OpKernel's work."""
    node, _, kind = name.rpartition(":")
    return bool(_KERNEL.match(name)) and "::" not in name and not (node == kind and node.startswith("__"))


def fold(line_id: int) -> int:
    """A stand-in thread number for a line that none of our own records saw: above any real thread id."""
    return (1 << 32) + (line_id & 0xFFFFFFFF)


def _named(space: XSpace, accepts: Any) -> Bools:
    """Mask of the events whose name is accepted; each distinct name is asked for once."""
    mask = np.array([accepts(n) for n in space.names], bool)
    return np.asarray(mask[space.name_code], bool) if len(space) else np.empty(0, bool)


def _names_and_attrs(space: XSpace, build: TraceBuilder, rows: Int, is_launch: Bools) -> tuple[Int, Int]:
    """Codes of names and of attributes; a launch that bears its kernel's name is called what it is."""
    n = len(space)
    if n == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    name = build.words.codes(space.names)[space.name_code]
    attrs = np.full(n, NONE, np.int64)
    attrs[rows] = build.attrs.block(len(rows), stat_parts(space, rows, _SHOWN))
    copies = _named(space, lambda t: bool(_COPY.match(t)))
    for stat in ("memcpy_details", "memset_details", "Memset_details"):
        if stat in space.stats:
            copies[space.stats[stat].event] = True
    calls = _named(space, lambda t: bool(_DRIVER_CALL.match(t)))
    launches = is_launch & ~copies & ~calls
    amd = any(plane.stats.get("device_vendor") == "AMD" for plane in space.planes)
    library = "HIP" if amd else "CUDA"
    plain = build.attrs.code(compact({"library": library}))
    of_kernel = build.attrs.codes(compact({"library": library, "kernel": t}) for t in space.names)
    attrs = np.where(launches, of_kernel[space.name_code], np.where(is_launch, plain, attrs))
    return np.where(launches, build.words.code(LAUNCH), name), attrs


def _key_pairs(space: XSpace, kind: str, ident: str, window: int) -> Int:
    """One non-negative number for each (type, id) pair of a window; NONE where an event has none."""
    ids, valid = space.stat_ids(ident)
    types, _ = space.stat_ids(kind)
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed += types.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F) + np.uint64(window)
    mixed ^= mixed >> np.uint64(29)
    return np.where(valid, (mixed >> np.uint64(1)).astype(np.int64), NONE)


def _eager_ops(space: XSpace, build: TraceBuilder) -> Int:
    out = stat_words(space, build.words, "eager_op")
    function, valid = space.stat_ids("is_func")
    out[valid & (function != 0)] = NONE
    return out
