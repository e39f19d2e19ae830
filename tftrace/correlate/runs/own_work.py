"""What tftrace itself took in a process: as events where it was long, and in sums."""

from __future__ import annotations

from typing import Final

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.libraries.native import Trust
from tftrace.correlate.tables.columns import Int, TraceBuilder
from tftrace.ingest.agent_raw import RawProcess, Records

_LONG_NS: Final = 10_000
"""Of tftrace's own time beside a library call, below which it makes no event: it stays in the sums."""


def add_own_work(
    raw: RawProcess, trust: Trust, clock: Clock, build: TraceBuilder, host: dict[str, int]
) -> None:
    closing = [(int(w["close"]), int(w["closed"])) for w in raw.windows if w.get("closed")]
    start, end = np.array(closing, np.int64).reshape(-1, 2).T
    _add(build, clock, "tftrace: writes a profile window", start, end, host, host["pid"])
    itt = raw.itt[(raw.itt["t0"] > 0) & (raw.itt["t1"] > 0)]
    tid, t0, t1, after = (itt[name].astype(np.int64) for name in ("tid", "t0", "t1", "after_ns"))
    begin = t0 - (trust.own_ns(itt) - after)
    long = t0 - begin >= _LONG_NS
    _add(build, clock, "tftrace: native stack", begin[long], t0[long], host, tid[long])
    long = after >= _LONG_NS
    _add(build, clock, "tftrace: oneDNN's line", t1[long], (t1 + after)[long], host, tid[long])


def _add(
    build: TraceBuilder, clock: Clock, name: str, start: Int, end: Int, host: dict[str, int], tid: Int | int
) -> None:
    if len(start):
        begun = clock.from_raw(start)
        build.events(
            len(start), name=build.words.code(name), start_ns=begun, dur_ns=clock.from_raw(end) - begun, tid=tid,
            probe=build.words.code("tftrace"), **host,
        )  # fmt: skip


def own_cost(raw: RawProcess, cudnn: Records) -> dict[str, float | None]:
    """What the probes spent in the process, in us: the sum where each record was timed, else from those that were (one
    in 61, the first left out)."""
    cost: dict[str, float | None] = {}
    for name, records in (("dispatch", raw.dispatch), ("itt", raw.itt), ("cudnn", cudnn)):
        cost[name] = _sum(raw, records)
    closing = raw.status.get("probes", [])
    cost["tf_profiler"] = next((p.get("closing_us") for p in closing if p["name"] == "tf_profiler"), None)
    return cost


def _sum(raw: RawProcess, records: Records) -> float | None:
    count, timed, spent, first = 0, 0, 0, 0
    for _, some in raw.pieces(records):
        own = some["own_ns"][some["t0"] > 0].astype(np.int64)
        first = first if count or not len(own) else int(own[0])
        count, timed, spent = count + len(own), timed + int((own > 0).sum()), spent + int(own.sum())
    if timed < count:  # the first one is left out
        timed, spent = timed - (first > 0), spent - first
    return round(spent / timed * count / 1000, 1) if timed else None
