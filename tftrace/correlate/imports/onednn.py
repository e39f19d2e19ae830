"""oneDNN's verbose log: primitives of the layer library, and which implementation solved which problem."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tftrace.correlate.imports.facts import EPOCH, RELATIVE, Facts
from tftrace.correlate.ledger.algorithm_rows import add_candidate
from tftrace.correlate.libraries.primitives import ran
from tftrace.correlate.tables.attributes import Part
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.onednn_log import Float, OneDnnLog
from tftrace.ingest.onednn_verbose import VerboseLine, problem_of

LIBRARY: Final = "oneDNN"
_SOURCE: Final = "onednn_verbose"
SLICE: Final = 1 << 19
"""Lines that become events at once."""
_LONGEST_NS: Final = float(1 << 62)


def dated(log: OneDnnLog) -> bool:
    """Whether any line tells when it began."""
    return bool((log.timestamp_ns != NONE).any()) or any(
        line.timestamp_ns is not None for _, line in log.information
    )


def add(log: OneDnnLog, build: TraceBuilder, base_ns: int) -> Facts:
    """One event for each line that stands for work: executions, creations, checks. The lines of the header say what the
    library is and what it found, and become facts of the manifest.

    A log without timestamps is laid out end to end from `base_ns` on: order and durations are measured, starts are not.
    """
    has_times = dated(log)
    words = build.words
    used, first, of = np.unique(log.form, return_index=True, return_inverse=True)
    order = np.argsort(first)  # words are numbered as they come
    forms = [log.forms[int(used[n])] for n in order]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    names = words.codes(_name(line) for line in forms)
    devices = words.codes(
        "/device:GPU:0" if (line.engine or "").startswith("gpu") else "/device:CPU:0" for line in forms
    )
    texts = [_described(line) for line in forms]
    heads, tails = (pa.array([text[side] for text in texts], pa.string()) for side in (0, 1))
    start = _starts(log, base_ns, has_times)
    for at in range(0, len(log), SLICE):
        some = slice(at, at + SLICE)
        ms = log.ms[some]
        code = place[of[some]]
        lengths, number = np.unique(ms, return_inverse=True)
        told = ~np.isnan(ms)
        parts = (
            Part(code, heads),
            Part(np.where(told, number, NONE), _durations(lengths[~np.isnan(lengths)])),
            Part(code, tails),
        )
        build.events(
            len(code), layer=words.code("library"), name=names[code], start_ns=start[some],
            dur_ns=np.where(told & (ms * 1e6 < _LONGEST_NS), _ns(ms), NONE), device=devices[code],
            probe=words.code("import:onednn_log"), attrs=build.attrs.block(len(code), parts),
        )  # fmt: skip
    _rows(log, build)
    header = [line for _, line in log.information]
    releases = list(dict.fromkeys(line.library_version for line in header if line.library_version))
    return Facts(
        entries=len(log) + len(header), events=len(log), lost=0, reason=log.cut,
        clock=EPOCH if has_times else RELATIVE, versions={"onednn": f"v{releases[0]}"} if releases else {},
        details={
            "lines": len(log) + len(header), "other_lines": log.other,
            "information": [line.text() for line in header], "library_versions": releases,
        },
    )  # fmt: skip


def _ns(ms: Float) -> Int:
    length = np.rint(np.nan_to_num(ms) * 1e6)
    return np.asarray(np.where(length < _LONGEST_NS, length, 0), np.int64)


def _starts(log: OneDnnLog, base_ns: int, has_times: bool) -> Int:
    """When each line began; one without a time where the last one before it did."""
    told = log.timestamp_ns
    if not has_times:
        return base_ns + np.concatenate(([0], np.cumsum(_ns(log.ms))[:-1])) if len(log) else told
    known = np.flatnonzero(told != NONE)
    if len(known) == len(told):
        return told
    if not len(known):
        return np.full(len(told), base_ns, np.int64)
    at = np.maximum(np.searchsorted(known, np.arange(len(told)), "right") - 1, 0)
    return np.where(told != NONE, told, told[known[at]])


def _durations(ms: Float) -> pa.StringArray:
    numbers = json.dumps(ms.tolist(), separators=(",", ":"))[1:-1]
    return pa.array(
        [f'"verbose_ms":{number}' for number in numbers.split(",")] if numbers else [], pa.string()
    )


def _name(line: VerboseLine) -> str:
    what = line.primitive or "line"
    return what if line.kind == "exec" else f"{line.operation or 'cut'} {what}"


def _described(line: VerboseLine) -> tuple[str, str]:
    """The attributes of all lines of a form: those before their duration, and those behind it."""
    before: dict[str, Any] = {
        "library": LIBRARY, "operation": line.operation, "implementation": line.implementation,
        "algorithm": line.algorithm, "propagation": line.propagation, "problem": problem_of(line),
        "problem_descriptor": line.problem, "memory": list(line.memory), "post_ops": line.attributes,
        "engine": line.engine,
    }  # fmt: skip
    behind: dict[str, Any] = {"aux": line.aux_text, "rest": list(line.rest), "format": line.version or None}
    before, behind = ({k: v for k, v in row.items() if v not in (None, "", [])} for row in (before, behind))
    return compact(before)[1:-1], compact(behind)[1:-1]


def _rows(log: OneDnnLog, build: TraceBuilder) -> None:
    """One row a problem and implementation that ran: oneDNN picks before it runs, so all are chosen. What the header
    says of the version holds from there on."""
    changes = [(at, f"v{line.library_version}") for at, line in log.information if line.library_version]
    versions = [None, *(version for _, version in changes)]
    version = np.searchsorted([at for at, _ in changes], np.arange(len(log)), "right") if changes else 0
    problems = [problem_of(line) if line.kind == "exec" else None for line in log.forms]
    solved = np.array([problem is not None for problem in problems], np.bool_)
    rows = np.flatnonzero(solved[log.form] & ~np.isnan(log.ms)) if len(log) else np.empty(0, np.int64)
    key = (np.zeros(len(log), np.int64) + version)[rows] * len(log.forms) + log.form[rows]
    order = rows[np.argsort(key, kind="stable")]
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    runs = np.split(order, np.cumsum(counts)[:-1])
    merged: dict[tuple[str, str | None, str | None], tuple[VerboseLine, dict[str, Any], list[Int]]] = {}
    for n in np.argsort(first).tolist():
        form = int(log.form[rows[first[n]]])
        line, problem = log.forms[form], problems[form]
        assert problem is not None
        released = versions[int(np.asarray(version).reshape(-1)[rows[first[n]]])] if changes else None
        merged.setdefault((compact(problem), line.implementation, released), (line, problem, []))[2].append(
            runs[n]
        )
    for (_, implementation, released), (line, problem, parts) in merged.items():
        times = log.ms[np.sort(np.concatenate(parts))] * 1000
        add_candidate(
            build, LIBRARY, problem,
            device="/device:CPU:0" if (line.engine or "cpu").startswith("cpu") else line.engine,
            version=released, algorithm=line.algorithm, implementation=implementation,
            **ran(times), source=_SOURCE, evidence="measured",
        )  # fmt: skip
