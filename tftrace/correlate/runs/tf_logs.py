"""What TensorFlow logged of its GPU work: events of the layer stream_executor, and rows of the table algorithms.

A message is a moment, not a span: its event lasts 0 ns. One that the probe recorded carries the number of the
dispatch record that was running on its thread, which links it by id; one on another thread stays unlinked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np

from tftrace.correlate.clocks import Clock
from tftrace.correlate.ledger.algorithm_rows import AUTOTUNER, add_candidate
from tftrace.correlate.ledger.repetitions import timing
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.agent_tf_log import LogMessages
from tftrace.ingest.proto_text import plain
from tftrace.ingest.tf_log import LogEntry, parse_message
from tftrace.ingest.tf_tuning import KINDS as TELLING
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
    messages: Iterable[LogMessages],
    clock: Clock,
    build: TraceBuilder,
    common: dict[str, int],
    tuned_on: Callable[[int, int], str | None],
    under: Callable[[Int, Int], None],
) -> dict[str, int]:
    """Events of the messages that the probe recorded, and the rows of what was tuned; `tuned_on` names the device of
    the last trial on a thread before a time, `under` is told the events, and the number of the dispatch record that
    each came under (NONE where none was running).

    Returns how many messages were known and not.
    """
    known, words = _Known(build), build.words
    told: list[LogEntry] = []
    told_at: list[tuple[int, int]] = []  # thread and time of each
    count = total = 0
    for some in messages:
        rows, layer, name, attrs, telling = known.of(some)
        start, tid = clock.from_raw(some.t[rows]), some.tid[rows]
        ids = build.events(
            len(rows), layer=layer, name=name, start_ns=start, dur_ns=0, tid=tid, probe=words.code("stream_executor"),
            attrs=attrs, **common,
        )  # fmt: skip
        under(ids, np.where(some.call[rows] > 0, some.call[rows].astype(np.int64) - 1, NONE))
        for at in telling.tolist():
            entry = parse_message(some.text(int(rows[at])))
            assert entry is not None  # its form is known
            told.append(entry)
            told_at.append((int(tid[at]), int(start[at])))
        count, total = count + len(rows), total + len(some)

    def device_of(tuning: Tuning) -> str | None:
        if tuning.entry is None:
            return None
        return tuned_on(*told_at[tuning.entry])

    add_tunings(tunings(told), build, device_of=device_of)
    return {"messages": count, "other_messages": total - count}


class _Known:
    """The messages of a known kind, as columns: each form of message is read once a piece."""

    def __init__(self, build: TraceBuilder) -> None:
        self._build = build

    def of(self, some: LogMessages) -> tuple[Int, Int, Int, Int, Int]:
        """Which messages are known, and of these layer, name and attributes, and the places of those that tell of
        tuning: each has to be read by itself, as what it means depends on its thread."""
        entries = [parse_message(some.text(at)) for at in some.forms]
        codes = np.array(
            [self._codes(entry, int(some.level[at])) for entry, at in zip(entries, some.forms, strict=True)],
            np.int64,
        ).reshape(-1, 3)
        layer, name, attrs = codes[some.form].T
        rows = np.flatnonzero(layer != NONE)
        telling = np.array([entry is not None and entry.kind in TELLING for entry in entries], np.bool_)
        return rows, layer[rows], name[rows], attrs[rows], np.flatnonzero(telling[some.form[rows]])

    def _codes(self, entry: LogEntry | None, level: int) -> tuple[int, int, int]:
        if entry is None:
            return NONE, NONE, NONE
        words, text = self._build.words, compact(attributes(entry) | {"vlog": level})
        return words.code(layer_of(entry.kind)), words.code(name_of(entry)), self._build.attrs.code(text)


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
