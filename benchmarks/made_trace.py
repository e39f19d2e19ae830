"""A trace of any size, made as tables: calls of 200 sites on four threads, each through seven layers.

    python benchmarks/made_trace.py DIR EVENTS

A call is eight events: line, public function, generated wrapper, two of the runtime, kernel and library call inside
one another on its thread, and what the device ran a little later on that thread's stream; with the links between them,
and the call that they belong to. Durations are log-normal, from some hundred nanoseconds to milliseconds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tftrace.model.schemas import TABLES
from tftrace.store.directory import write_manifest, write_tables

LAYERS = ("python", "api", "gen_op", "runtime", "runtime", "kernel", "library", "device")
EACH = len(LAYERS)
THREADS, SITES = 4, 200
EPOCH = 1_760_000_000_000_000_000


def made_trace(folder: Path, events: int) -> None:
    """Writes a trace of `events` events (rounded down to whole calls) to the new directory `folder`."""
    random = np.random.default_rng(6)
    calls = events // EACH
    n = calls * EACH
    thread = np.arange(calls) % THREADS
    site = random.zipf(1.3, calls) % SITES
    dur = random.lognormal(9.0, 1.3, calls).astype(np.int64) + 800
    begin = np.zeros(calls, np.int64)
    for t in range(THREADS):
        mine = thread == t
        begin[mine] = np.cumsum(dur[mine] + random.integers(100, 4000, int(mine.sum()))) - dur[mine]
    depth = np.arange(EACH)
    start = begin[:, None] + (dur[:, None] * depth) // 20  # each inside the one above
    length = dur[:, None] - 2 * ((dur[:, None] * depth) // 20)
    ready = begin + dur // 2
    work = np.maximum(dur // 3, 50)
    for t in range(THREADS):  # a stream runs one after another
        mine = np.flatnonzero(thread == t)
        free = np.cumsum(work[mine]) - work[mine]
        start[mine, -1] = np.maximum.accumulate(ready[mine] - free) + free
    length[:, -1] = work
    flat = start.ravel()
    order = np.argsort(flat, kind="stable")
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    place = place.reshape(calls, EACH)
    of, at = order // EACH, order % EACH

    def named(values: list[str], codes: Any) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(values))

    kinds = sorted(set(LAYERS), key=LAYERS.index)
    words = ("train.py:{}", "tf.op_{}", "gen_ops.op_{}", "TFE_Execute {}", "KernelAndDeviceFunc::Run {}",
             "node_{}:Kernel", "primitive_{}", "kernel_{}<float>")  # fmt: skip
    device = at == EACH - 1
    columns = {
        "event_id": pa.array(np.arange(n)),
        "layer": named(list(kinds), np.array([kinds.index(layer) for layer in LAYERS])[at]),
        "name": named([word.format(i) for word in words for i in range(SITES)], at * SITES + site[of]),
        "start_ns": pa.array(EPOCH + flat[order]),
        "dur_ns": pa.array(length.ravel()[order]),
        "pid": pa.array(np.full(n, 10, np.int32)),
        "tid": pa.array(10 + thread[of], mask=device),
        "device": pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(n, np.int32), mask=~device), pa.array(["/device:GPU:0"])
        ),
        "stream": pa.array((7 + thread[of]).astype(np.int32), mask=~device),
    }
    parents, children = place[:, :-1].ravel(), place[:, 1:].ravel()
    rule = np.tile(np.minimum(np.arange(EACH - 1) // 3, 2), calls)
    links = {
        "child_id": pa.array(children),
        "parent_id": pa.array(parents),
        "rule": named(["python stack", "containment", "correlation id"], rule),
        "evidence": named(["measured", "joined", "measured"], rule),
    }
    sites = {
        "site_id": pa.array(np.arange(SITES, dtype=np.int32)),
        "op": named([f"Op{i}" for i in range(SITES)], np.arange(SITES)),
        "api": named([f"tf.op_{i}" for i in range(SITES)], np.arange(SITES)),
        "python_file": named(["train.py"], np.zeros(SITES)),
        "python_line": pa.array(np.arange(SITES, dtype=np.int32)),
        "mode": named(["eager"], np.zeros(SITES)),
    }
    made = {
        "call_id": pa.array(np.arange(calls)),
        "site_id": pa.array(site.astype(np.int32)),
        "step": pa.array(np.arange(calls) // 400),
        "warm_up": pa.array(np.arange(calls) < SITES),
        "shapes": named(["[[32,56,56,64]]", "[[32,28,28,128]]"], site % 2),
        "device": named(["/device:GPU:0"], np.zeros(calls)),
        "pid": pa.array(np.full(calls, 10, np.int32)),
        "tid": pa.array(10 + thread),
        "start_ns": pa.array(EPOCH + begin),
        "total_ns": pa.array(dur),
        "self_ns": pa.array(dur),
        **{f"{layer}_total_ns": pa.array(length[:, LAYERS.index(layer)]) for layer in kinds},
    }
    belongs = {
        "event_id": pa.array(place.ravel()),
        "call_id": pa.array(np.repeat(np.arange(calls), EACH)),
        "share": pa.array(np.ones(n, np.float32)),
    }
    given = {"events": columns, "links": links, "sites": sites, "calls": made, "event_calls": belongs}
    tables = {}
    for name, schema in TABLES.items():
        some = given.get(name, {})
        rows = len(next(iter(some.values()), []))
        arrays = [some[f.name].cast(f.type) if f.name in some else pa.nulls(rows, f.type) for f in schema]
        tables[name] = pa.table(arrays, schema=schema)
    folder.mkdir()
    write_tables(folder, tables)
    manifest = {"argv": ["made"], "exit_status": 0, "processes": [], "probes": [], "versions": {}}
    write_manifest(folder, {"format_version": 1, **manifest})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("events", type=int)
    options = parser.parse_args()
    made_trace(options.folder, options.events)
