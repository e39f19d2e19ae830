"""TensorFlow profiler windows as events on the same threads and the same time line as our own records."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.columns import NONE, Int, TraceBuilder, compact
from tftrace.correlate.dispatches import Dispatches
from tftrace.ingest.agent_raw import RawProcess
from tftrace.ingest.thread_keys import thread_key_candidates
from tftrace.ingest.xplane import XSpace, read_xspace

_KERNEL = re.compile(r"^[^\s#]*[^\s#:]:_?[A-Za-z]\w*$")
_SHOWN = (  # statistics worth carrying; ids of producers and consumers become links instead
    "eager_op", "is_func", "tf_function_call", "tracing_count", "iter_num", "shape", "hlo_op", "hlo_module",
    "step_name", "group_id", "program_id", "tf_op", "device", "bytes", "element_id", "long_name",
)  # fmt: skip


@dataclass(frozen=True)
class ProfileEvents:
    """Host events of all windows of a process: parallel arrays."""

    ids: Int
    start: Int
    end: Int
    tid: Int
    name: Int  # codes of the builder's words
    is_kernel: np.ndarray
    producer: Int  # hashed (type, id); NONE where absent
    consumer: Int
    step: Int  # TensorFlow's step id, dense; NONE where absent
    eager_op: Int  # op type of an `EagerExecute` that runs a single op; NONE elsewhere
    options: list[dict[str, Any]]


def _key_pairs(space: XSpace, kind: str, ident: str, window: int) -> Int:
    """One non-negative number for each (type, id) pair of a window; NONE where an event has none."""
    ids, valid = space.stat_ids(ident)
    types, _ = space.stat_ids(kind)
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed += types.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F) + np.uint64(window)
    mixed ^= mixed >> np.uint64(29)
    return np.where(valid, (mixed >> np.uint64(1)).astype(np.int64), NONE)


def read_windows(
    raw: RawProcess, clock: Clock, build: TraceBuilder, common: dict[str, int], known: Dispatches
) -> ProfileEvents:
    """Adds the windows' host events. Raises InputError where a profile cannot be read."""
    parts: dict[str, list[Any]] = {
        k: [] for k in ("ids", "start", "end", "tid", "name", "kernel", "p", "c", "step", "op")
    }
    options: list[dict[str, Any]] = []
    keys: dict[int, int] = {}
    for row in raw.threads:
        for key in thread_key_candidates(int(row["pthread"]), int(row["tid"])):
            keys[key] = int(row["tid"])
    steps: dict[tuple[int, int], int] = {}
    for number, (window, path) in enumerate(raw.profiles):
        space = read_xspace(path)
        options.append(dict(space.options))
        line_tid = np.array([keys.get(line.line_id, _fold(line.line_id)) for line in space.lines], np.int64)
        host_line = np.array([line.plane_name.startswith("/host:CPU") for line in space.lines], bool)
        host = host_line[space.line] if len(space.line) else np.empty(0, bool)
        n_all = len(space.start_ns)
        producer = _key_pairs(space, "_pt", "_p", number)
        consumer = _key_pairs(space, "_ct", "_c", number)
        values, valid = space.stat_ids("id")
        step = np.full(n_all, NONE, np.int64)
        distinct, which = np.unique(values[valid], return_inverse=True)
        step[valid] = np.array([steps.setdefault((number, int(v)), len(steps)) for v in distinct], np.int64)[
            which
        ]
        eager_op = _eager_ops(space, n_all, build)
        attrs = _attrs(space, n_all, build)
        kernel_name = np.array([_names_kernel(n) for n in space.names], bool)
        name = build.words.codes(space.names)[space.name_code] if n_all else np.empty(0, np.int64)
        is_kernel = kernel_name[space.name_code] if n_all else np.empty(0, bool)
        start = _placed(space, window, clock, line_tid, known)
        layer = np.where(is_kernel, build.words.code("kernel"), build.words.code("runtime"))
        keep = np.flatnonzero(host)
        tid = line_tid[space.line]
        ids = build.events(
            len(keep), layer=layer[keep], name=name[keep], start_ns=start[keep], dur_ns=space.dur_ns[keep],
            tid=tid[keep], probe=build.words.code("tf_profiler"), attrs=attrs[keep], **common,
        )  # fmt: skip
        for part, value in (
            ("ids", ids), ("start", start[keep]), ("end", (start + space.dur_ns)[keep]), ("tid", tid[keep]),
            ("name", name[keep]), ("kernel", is_kernel[keep]), ("p", producer[keep]), ("c", consumer[keep]),
            ("step", step[keep]), ("op", eager_op[keep]),
        ):  # fmt: skip
            parts[part].append(value)
    cat = {k: np.concatenate(v) if v else np.empty(0, np.int64) for k, v in parts.items()}
    return ProfileEvents(
        cat["ids"], cat["start"], cat["end"], cat["tid"], cat["name"], cat["kernel"].astype(bool), cat["p"], cat["c"],
        cat["step"], cat["op"], options,
    )  # fmt: skip


def _placed(space: XSpace, window: dict[str, Any], clock: Clock, line_tid: Int, known: Dispatches) -> Int:
    """Start times on our time line.

    A profile that does not tell when it began (TensorFlow up to 2.15) is placed by what both recorded: it began
    between `asked` and `open`, and the offset in there is taken under which most of its own entries into the runtime
    lie inside a call of ours on the same thread.
    """
    if space.absolute:
        return clock.from_wall(space.start_ns, int(window["open"]))
    low, high = clock.from_raw(
        np.array([window.get("asked", window["open"]), window["open"]], np.int64)
    ).tolist()
    entry = np.array([n.startswith("TFE_Py_") for n in space.names], bool)
    rows = np.flatnonzero(entry[space.name_code])[:400] if len(space) else np.empty(0, np.int64)
    mine = np.flatnonzero((known.start >= low) & (known.start < low + 600_000_000_000))[:400]
    best, most = high, -1
    if len(rows) and len(mine):
        tid, at = line_tid[space.line[rows]], space.start_ns[rows]
        gaps = (known.start[mine][:, None] - at[None, :]).ravel()
        gaps = np.unique(gaps[(gaps >= low - 1_000_000) & (gaps <= high + 1_000_000)])[
            :: max(1, len(gaps) // 2000)
        ]
        for gap in gaps.tolist():
            # an entry of TensorFlow's begins some hundred ns after ours
            place = np.searchsorted(known.start[mine], at + gap + 300, "right") - 1
            call = mine[np.maximum(place, 0)]
            inside = (place >= 0) & (known.tid[call] == tid) & (at + gap + 300 < known.end[call])
            if int(inside.sum()) > most:
                best, most = gap + 300, int(inside.sum())
    return np.asarray(space.start_ns + best, np.int64)


def _names_kernel(name: str) -> bool:
    """`node:Kernel`; but a function that XLA compiled is run as a kernel of its own name, and is no OpKernel's work."""
    node, _, kind = name.rpartition(":")
    return bool(_KERNEL.match(name)) and "::" not in name and not (node == kind and node.startswith("__"))


def _fold(line_id: int) -> int:
    """A stand-in thread number for a line that none of our own records saw: above any real thread id."""
    return (1 << 32) + (line_id & 0xFFFFFFFF)


def _eager_ops(space: XSpace, n: int, build: TraceBuilder) -> Int:
    out = np.full(n, NONE, np.int64)
    column = space.stats.get("eager_op")
    if column is not None:
        out[column.event] = build.words.codes(str(v) for v in column.values.tolist())
        function, valid = space.stat_ids("is_func")
        out[valid & (function != 0)] = NONE
    return out


def _attrs(space: XSpace, n: int, build: TraceBuilder) -> Int:
    out = np.full(n, NONE, np.int64)
    rows: dict[int, dict[str, Any]] = {}
    for name in _SHOWN:
        column = space.stats.get(name)
        if column is None:
            continue
        for at, value in zip(column.event.tolist(), column.values.tolist(), strict=True):
            rows.setdefault(at, {})[name] = value
    for at, row in rows.items():
        out[at] = build.attrs.code(compact(row))
    return out
