"""TensorFlow's own log: the messages that tell of GPU work, and what its autotuners tried and chose."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tftrace.correlate.imports.facts import EPOCH, ORDER, STEP_NS, UTC_ASSUMED, Facts
from tftrace.correlate.runs.tf_logs import add_tunings, attributes, layer_of, name_of
from tftrace.correlate.tables.columns import NONE, TraceBuilder, compact
from tftrace.ingest.tf_log import TfLog
from tftrace.ingest.tf_tuning import tunings


def dated(log: TfLog) -> bool:
    """Whether any message that is known tells its time."""
    return any(entry.start_ns is not None for entry in log.entries)


def add(log: TfLog, build: TraceBuilder, base_ns: int) -> Facts:
    """One event, a moment, for each known message. One without a time stands where the one before it does."""
    n = len(log.entries)
    words = build.words
    told = np.array([NONE if e.start_ns is None else e.start_ns for e in log.entries], np.int64)
    if dated(log):
        known = np.flatnonzero(told != NONE)
        start = np.where(
            told != NONE, told, told[known[np.maximum(np.searchsorted(known, np.arange(n), "right") - 1, 0)]]
        )
    else:
        start = base_ns + np.arange(n) * STEP_NS
    build.events(
        n, layer=words.codes(layer_of(e.kind) for e in log.entries), name=words.codes(name_of(e) for e in log.entries),
        start_ns=start, dur_ns=0, tid=np.array([NONE if e.tid is None else e.tid for e in log.entries], np.int64),
        probe=words.code("import:tf_log"), attrs=build.attrs.codes(compact(attributes(e)) for e in log.entries),
    )  # fmt: skip
    add_tunings(tunings(log.entries), build)
    kinds = Counter(entry.kind for entry in log.entries)
    names = dict.fromkeys(str(e.fields["device"]) for e in log.entries if e.kind == "device")
    cut = f"{log.incomplete} of its messages are cut" if log.incomplete else None
    reasons = [reason for reason in (log.cut, cut) if reason]
    return Facts(
        entries=n + log.others, events=n, lost=log.incomplete, reason="; ".join(reasons) or None,
        clock=(UTC_ASSUMED if log.local_time else EPOCH) if dated(log) else ORDER,
        devices=[{"name": name, "type": "GPU"} for name in names],
        details={
            "lines": log.lines, "messages": dict(sorted(kinds.items())), "other_messages": log.others,
            "lines_before_the_first": log.foreign,
        },
    )  # fmt: skip
