"""cudnn-frontend's log: what was built, in order, and the plans that were offered."""

from __future__ import annotations

import numpy as np

from tftrace.correlate.imports.facts import ORDER, STEP_NS, Facts
from tftrace.correlate.ledger.algorithm_rows import add_candidate
from tftrace.correlate.tables.columns import TraceBuilder, compact
from tftrace.ingest.cudnn.frontend_log import Entry, FrontendLog, problem_of

_SOURCE = "cudnn_frontend_log"


def dated(log: FrontendLog) -> bool:
    return False


def add(log: FrontendLog, build: TraceBuilder, base_ns: int) -> Facts:
    """One event of the layer library for each entry, one microsecond apart from `base_ns` on: the log has no times,
    threads or processes. `attrs.text` is the entry as written, `attrs.fields` what could be read of it."""
    n = len(log.entries)
    words = build.words
    ids = build.events(
        n, layer=words.code("library"), name=words.codes(f"cudnn_frontend {e.kind}" for e in log.entries),
        start_ns=base_ns + np.arange(n) * STEP_NS, dur_ns=0, probe=words.code(f"import:{_SOURCE}"),
        attrs=build.attrs.codes(
            compact({"library": "cudnn-frontend", **_described(e), "text": e.text, "fields": e.fields})
            for e in log.entries
        ),
    )  # fmt: skip
    _candidates(log, build)
    return Facts(
        entries=n, events=len(ids), lost=0, reason=log.cut, clock=ORDER,
        details={"entries": n, "other_lines": len(log.other)},
    )  # fmt: skip


def _described(entry: Entry) -> dict[str, object]:
    kept = ("algorithm", "engine", "knobs", "workspace_bytes")
    return {k: entry.fields[k] for k in kept if k in entry.fields} | (
        {"level": entry.level} if entry.level else {}
    )


def _candidates(log: FrontendLog, build: TraceBuilder) -> None:
    """Plans of each graph, by the descriptors logged before it. Which of them was run, this log does not tell."""
    tensors: dict[int, Entry] = {}
    convolution: Entry | None = None
    problem = None
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for entry in log.entries:
        known = entry.fields
        if entry.kind == "tensor" and isinstance(known.get("Id"), int):
            tensors[known["Id"]] = entry
        elif entry.kind == "convolution":
            convolution = entry
        elif entry.kind == "operationgraph":
            problem = problem_of(known.get("tag"), tensors, convolution)
        elif problem is not None and entry.kind in ("execution_plan", "verifying") and "algorithm" in known:
            key = (compact(problem), known["algorithm"])
            if key not in rows:
                rows[key] = add_candidate(
                    build, "cuDNN", problem, algorithm=known["algorithm"], engine=str(known["engine"]),
                    knobs=compact(known["knobs"]), status="ok", source=_SOURCE, evidence="measured",
                )  # fmt: skip
            if "workspace_bytes" in known:
                rows[key]["workspace_bytes"] = known["workspace_bytes"]
            if known.get("passed") is False:
                rows[key]["status"] = "unsupported"
