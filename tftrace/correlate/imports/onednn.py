"""oneDNN's verbose log: primitives of the layer library, and which implementation solved which problem."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tftrace.correlate.imports.facts import EPOCH, RELATIVE, Facts
from tftrace.correlate.ledger.algorithm_rows import add_candidate
from tftrace.correlate.libraries.primitives import ran
from tftrace.correlate.tables.columns import NONE, TraceBuilder, compact
from tftrace.ingest.onednn_log import OneDnnLog
from tftrace.ingest.onednn_verbose import VerboseLine, problem_of

LIBRARY: Final = "oneDNN"
_SOURCE: Final = "onednn_verbose"


def dated(log: OneDnnLog) -> bool:
    """Whether any line tells when it began."""
    return any(line.timestamp_ns is not None for line in log.lines)


def add(log: OneDnnLog, build: TraceBuilder, base_ns: int) -> Facts:
    """One event for each line that stands for work: executions, creations, checks. The lines of the header say what the
    library is and what it found, and become facts of the manifest.

    A log without timestamps is laid out end to end from `base_ns` on: order and durations are measured, starts are not.
    """
    work = [line for line in log.lines if line.kind != "info"]
    has_times = dated(log)
    length = np.array([round((line.ms or 0.0) * 1e6) for line in work], np.int64)
    told = np.array([NONE if line.timestamp_ns is None else line.timestamp_ns for line in work], np.int64)
    if has_times:
        known = np.flatnonzero(told != NONE)
        at = np.maximum(np.searchsorted(known, np.arange(len(work)), "right") - 1, 0)
        start = np.where(told != NONE, told, told[known[at]])
    else:
        start = base_ns + np.concatenate(([0], np.cumsum(length)[:-1])) if len(work) else told
    words = build.words
    devices = [
        words.code("/device:GPU:0" if (ln.engine or "").startswith("gpu") else "/device:CPU:0") for ln in work
    ]
    build.events(
        len(work), layer=words.code("library"), name=words.codes(_name(line) for line in work), start_ns=start,
        dur_ns=np.where(np.array([line.ms is not None for line in work], bool), length, NONE),
        device=np.array(devices, np.int64), probe=words.code("import:onednn_log"),
        attrs=build.attrs.codes(compact(_described(line)) for line in work),
    )  # fmt: skip
    _rows(log, build)
    releases = list(dict.fromkeys(line.library_version for line in log.lines if line.library_version))
    return Facts(
        entries=len(log.lines), events=len(work), lost=0, reason=log.cut, clock=EPOCH if has_times else RELATIVE,
        versions={"onednn": f"v{releases[0]}"} if releases else {},
        details={
            "lines": len(log.lines), "other_lines": len(log.other),
            "information": [line.text() for line in log.lines if line.kind == "info"], "library_versions": releases,
        },
    )  # fmt: skip


def _name(line: VerboseLine) -> str:
    what = line.primitive or "line"
    return what if line.kind == "exec" else f"{line.operation or 'cut'} {what}"


def _described(line: VerboseLine) -> dict[str, Any]:
    row: dict[str, Any] = {
        "library": LIBRARY, "operation": line.operation, "implementation": line.implementation,
        "algorithm": line.algorithm, "propagation": line.propagation, "problem": problem_of(line),
        "problem_descriptor": line.problem, "memory": list(line.memory), "post_ops": line.attributes,
        "engine": line.engine, "verbose_ms": line.ms, "aux": line.aux_text, "rest": list(line.rest),
        "format": line.version or None,
    }  # fmt: skip
    return {k: v for k, v in row.items() if v not in (None, "", [])}


def _rows(log: OneDnnLog, build: TraceBuilder) -> None:
    """One row a problem and implementation that ran: oneDNN picks before it runs, so all are chosen."""
    times: dict[tuple[str, str | None, str | None], list[float]] = {}
    known: dict[tuple[str, str | None, str | None], tuple[VerboseLine, dict[str, Any]]] = {}
    version = None
    for line in log.lines:
        if line.library_version:
            version = f"v{line.library_version}"
        problem = problem_of(line) if line.kind == "exec" and line.ms is not None else None
        if problem is None or line.ms is None:
            continue
        key = (compact(problem), line.implementation, version)
        known.setdefault(key, (line, problem))
        times.setdefault(key, []).append(line.ms)
    for key, (line, problem) in known.items():
        add_candidate(
            build, LIBRARY, problem,
            device="/device:CPU:0" if (line.engine or "cpu").startswith("cpu") else line.engine,
            version=key[2], algorithm=line.algorithm, implementation=line.implementation,
            **ran([ms * 1000 for ms in times[key]]), source=_SOURCE, evidence="measured",
        )  # fmt: skip
