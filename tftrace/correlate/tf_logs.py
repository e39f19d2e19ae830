"""What TensorFlow logged of its GPU work: events of the layer stream_executor, and rows of the table algorithms.

A message is a moment, not a span: its event has no duration. One that the probe recorded carries the number of the
dispatch record that was running on its thread, which links it by id; one on another thread stays unlinked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.columns import NONE, Int, TraceBuilder, compact
from tftrace.correlate.imports.algorithm_rows import add_candidate
from tftrace.ingest.agent_raw import LogMessage
from tftrace.ingest.proto_text import plain
from tftrace.ingest.tf_log import LogEntry, parse_message
from tftrace.ingest.tf_tuning import Candidate, Tuning, tunings

LIBRARY: Final = "cuDNN"
AUTOTUNER: Final = "TensorFlow's autotuner"
_HOST_TIME: Final = "call on the host"
_SAME: Final = (
    "direction",
    "input",
    "filter",
    "output",
    "strides",
    "dilations",
    "padding",
    "groups",
    "layout",
    "dtype",
)


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
    lines: Sequence[LogMessage], clock: Clock, build: TraceBuilder, common: dict[str, int]
) -> tuple[Int, Int, dict[str, int]]:
    """Events of the messages that the probe recorded, and the rows of what was tuned.

    Returns the events, the number of the dispatch record that each came under (NONE where none was running), and how
    many messages were known and not.
    """
    known = [(line, entry) for line in lines if (entry := parse_message(line.text)) is not None]
    words = build.words
    ids = build.events(
        len(known), layer=words.codes(layer_of(e.kind) for _, e in known),
        name=words.codes(name_of(e) for _, e in known),
        start_ns=clock.from_raw(np.array([line.t for line, _ in known], np.int64)),
        tid=np.array([line.tid for line, _ in known], np.int64), probe=words.code("stream_executor"),
        attrs=build.attrs.codes(compact(attributes(e) | {"vlog": line.level}) for line, e in known), **common,
    )  # fmt: skip
    add_tunings(tunings(entry for _, entry in known), build)
    records = np.array([line.call - 1 if line.call else NONE for line, _ in known], np.int64)
    return ids, records, {"messages": len(known), "other_messages": len(lines) - len(known)}


def add_tunings(found: Iterable[Tuning], build: TraceBuilder) -> None:
    """One row a candidate. Where the table holds the same algorithm for the same problem already, from the calls into
    cuDNN, that row gains the autotuner's time in place of the host's, which is a launch only:

        source       algorithm  time_us  time_of                   time_us  time_of     source
        cudnn_probe  eng2       4576     call on the host
        tf_log       eng2       200      autotuner            ->   200      autotuner   cudnn_probe + tf_log
    """
    for tuning in found:
        rows = [r for r in build.algorithms if r["library"] == LIBRARY and _same(r, tuning.problem)]
        problem = _problem(rows) or tuning.problem
        for candidate in tuning.candidates:
            row = next((r for r in rows if r.get("algorithm") == candidate.algorithm), None)
            if row is None:
                rows.append(_new(build, problem, tuning, candidate))
                continue
            if candidate.time_us is not None and row.get("time_of") in (None, _HOST_TIME):
                row["time_us"], row["time_of"] = candidate.time_us, AUTOTUNER
            if row.get("workspace_bytes") is None:
                row["workspace_bytes"] = candidate.workspace_bytes
            if candidate.status != "ok" and not row["chosen"]:
                row["status"] = candidate.status
            if tuning.source not in str(row["source"]):
                row["source"] = f"{row['source']} + {tuning.source}"
                row["chosen"] = row["chosen"] or candidate.chosen


def _new(
    build: TraceBuilder, problem: dict[str, Any], tuning: Tuning, candidate: Candidate
) -> dict[str, Any]:
    return add_candidate(
        build, LIBRARY, problem, device=tuning.device, version=tuning.version, algorithm=candidate.algorithm,
        engine=None if candidate.engine is None else str(candidate.engine), knobs=compact(candidate.knobs),
        time_us=candidate.time_us, time_of=AUTOTUNER if candidate.time_us is not None else None, trials=None,
        calls=None, workspace_bytes=candidate.workspace_bytes, status=candidate.status, chosen=candidate.chosen,
        source=tuning.source, evidence="measured",
    )  # fmt: skip


def _same(row: dict[str, Any], problem: dict[str, Any]) -> bool:
    known = _read(row)
    return all(known.get(k) == problem.get(k) for k in _SAME) and bool(known.get("fused")) == bool(
        problem.get("fused")
    )


def _problem(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return _read(rows[0]) if rows else None


def _read(row: dict[str, Any]) -> dict[str, Any]:
    value = json.loads(row["problem"])
    return value if isinstance(value, dict) else {}
