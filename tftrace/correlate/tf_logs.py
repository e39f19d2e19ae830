"""What TensorFlow logged of its GPU work: events of the layer stream_executor, and rows of the table algorithms.

A message is a moment, not a span: its event lasts 0 ns. One that the probe recorded carries the number of the
dispatch record that was running on its thread, which links it by id; one on another thread stays unlinked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.ledger.algorithm_rows import AUTOTUNER, add_candidate
from tftrace.correlate.ledger.repetitions import timing
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.agent_raw import LogMessage
from tftrace.ingest.proto_text import plain
from tftrace.ingest.tf_log import LogEntry, parse_message
from tftrace.ingest.tf_tuning import Tuning, tunings
from tftrace.model.problem import identity

LIBRARY: Final = "cuDNN"


def layer_of(kind: str) -> str:
    """XLA tunes while it compiles, in the runtime; everything else is StreamExecutor or calls it."""
    return "runtime" if kind.startswith(("xla_", "slow_")) or kind == "difference" else "stream_executor"


def name_of(entry: LogEntry) -> str:
    """Name of the event, e.g. `log: plan ConvFwd_eng2`."""
    fields = entry.fields
    what = next((fields[k] for k in ("tag", "op", "map", "kernel", "what") if fields.get(k)), None)
    return f"log: {entry.kind} {what}" if what else f"log: {entry.kind}"


def attributes(entry: LogEntry) -> dict[str, Any]:
    """Everything the message tells; its text only where nothing else holds it."""
    fields = {
        k: plain(v) if isinstance(v, dict) and k in ("log", "parameters", "config") else v
        for k, v in entry.fields.items()
    }
    told = {"file": entry.file, "line": entry.source_line, "severity": entry.severity, **fields}
    return told if "log" in fields else told | {"text": entry.text}


def add_tf_log(
    lines: Sequence[LogMessage],
    clock: Clock,
    build: TraceBuilder,
    common: dict[str, int],
    tuned_on: Callable[[int, int], str | None],
) -> tuple[Int, Int, dict[str, int]]:
    """Events of the messages that the probe recorded, and the rows of what was tuned; `tuned_on` names the device of
    the last trial on a thread before a time.

    Returns the events, the number of the dispatch record that each came under (NONE where none was running), and how
    many messages were known and not.
    """
    known = [(line, entry) for line in lines if (entry := parse_message(line.text)) is not None]
    words = build.words
    start = clock.from_raw(np.array([line.t for line, _ in known], np.int64))
    ids = build.events(
        len(known), layer=words.codes(layer_of(e.kind) for _, e in known),
        name=words.codes(name_of(e) for _, e in known),
        start_ns=start, dur_ns=0,
        tid=np.array([line.tid for line, _ in known], np.int64), probe=words.code("stream_executor"),
        attrs=build.attrs.codes(compact(attributes(e) | {"vlog": line.level}) for line, e in known), **common,
    )  # fmt: skip

    def device_of(tuning: Tuning) -> str | None:
        at = tuning.entry
        return None if at is None else tuned_on(known[at][0].tid, int(start[at]))

    add_tunings(tunings(entry for _, entry in known), build, device_of=device_of)
    records = np.array([line.call - 1 if line.call else NONE for line, _ in known], np.int64)
    return ids, records, {"messages": len(known), "other_messages": len(lines) - len(known)}


def add_tunings(
    found: Iterable[Tuning],
    build: TraceBuilder,
    *,
    counted: bool = True,
    device_of: Callable[[Tuning], str | None] | None = None,
) -> None:
    """One row a candidate of each tuning: a tuning of a problem that was tuned before in this log is a retune.

    `counted`: whether each was done in this run, and not only known to it; `device_of` names the device of a tuning, as
    TensorFlow does, where that is known.
    """
    seen: set[tuple[str, str | None]] = set()
    for tuning in found:
        device = device_of(tuning) if device_of is not None else None
        key = (identity(tuning.problem), device)
        again = key in seen
        seen.add(key)
        tried = counted and tuning.tried
        times = {"tunings": 1, "retunes": int(again)} if tried else {}
        for one in tuning.candidates:
            timed = {} if one.time_us is None else timing([one.time_us]) | {"time_of": AUTOTUNER, "trials": 1}
            add_candidate(
                build, LIBRARY, tuning.problem, device=device or tuning.device, device_model=tuning.device,
                version=tuning.version, algorithm=one.algorithm,
                engine=None if one.engine is None else str(one.engine), knobs=compact(one.knobs),
                workspace_bytes=one.workspace_bytes, status=one.status, reason=one.failure, chosen=one.chosen,
                picked_by=("autotuner" if tuning.tried or not counted else "heuristics") if one.chosen else None,
                tuning_us=one.time_us, source=tuning.source, evidence="measured", **times, **timed,
            )  # fmt: skip
