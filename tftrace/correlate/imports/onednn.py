"""oneDNN's verbose log: primitives of the layer library, and which implementation solved which problem."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tftrace.correlate.imports.facts import EPOCH, RELATIVE, Facts
from tftrace.correlate.ledger.algorithm_rows import add_candidate
from tftrace.correlate.ledger.execution_times import Times
from tftrace.correlate.libraries.primitives import ran
from tftrace.correlate.tables.attributes import Part
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.onednn_log import Float, OneDnnLog
from tftrace.ingest.onednn_verbose import VerboseLine, problem_of

LIBRARY: Final = "oneDNN"
_SOURCE: Final = "onednn_verbose"
_LONGEST_NS: Final = float(1 << 62)


def dated(log: OneDnnLog) -> bool:
    """Whether any line tells when it began."""
    return any(line.timestamp_ns is not None for _, line in log.information) or any(
        (log.timestamp_ns[some] != NONE).any() for some in log.slices()
    )


def add(log: OneDnnLog, build: TraceBuilder, base_ns: int) -> Facts:
    """One event for each line that stands for work: executions, creations, checks. The lines of the header say what the
    library is and what it found, and become facts of the manifest.

    A log without timestamps is laid out end to end from `base_ns` on: order and durations are measured, starts are not.
    """
    has_times = dated(log)
    words = build.words
    place = _places(log)
    forms = [log.forms[number] for number in place]  # words are numbered as they come
    of = np.full(len(log.forms), NONE, np.int64)
    of[list(place)] = np.arange(len(place))
    names = words.codes(_name(line) for line in forms)
    devices = words.codes(
        "/device:GPU:0" if (line.engine or "").startswith("gpu") else "/device:CPU:0" for line in forms
    )
    texts = [_described(line) for line in forms]
    heads, tails = (pa.array([text[side] for text in texts], pa.string()) for side in (0, 1))
    for some, start in zip(log.slices(), _starts(log, base_ns, has_times), strict=True):
        ms, code = log.ms[some], of[log.form[some]]
        lengths, number = np.unique(ms, return_inverse=True)
        told = ~np.isnan(ms)
        parts = (
            Part(code, heads),
            Part(np.where(told, number, NONE), _durations(lengths[~np.isnan(lengths)])),
            Part(code, tails),
        )
        build.events(
            len(code), layer=words.code("library"), name=names[code], start_ns=start,
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


def _places(log: OneDnnLog) -> dict[int, None]:
    """The forms that lines have, in the order in which they come."""
    found: dict[int, None] = {}
    for some in log.slices():
        used, first = np.unique(log.form[some], return_index=True)
        found.update(dict.fromkeys(used[np.argsort(first)].tolist()))
    return found


def _starts(log: OneDnnLog, base_ns: int, has_times: bool) -> Iterator[Int]:
    """When each line began, slice by slice; one without a time where the last one before it did."""
    now = base_ns
    if has_times:
        told = (times[times != NONE] for some in log.slices() for times in [log.timestamp_ns[some]])
        now = next((int(times[0]) for times in told if len(times)), base_ns)
    for some in log.slices():
        if has_times:
            times = np.append(now, log.timestamp_ns[some])
            times = times[np.maximum.accumulate(np.where(times != NONE, np.arange(len(times)), 0))]
            yield times[1:]
        else:
            times = now + np.append(0, np.cumsum(_ns(log.ms[some])))
            yield times[:-1]
        now = int(times[-1])


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
    edges = [at for at, _ in changes]
    problems = [problem_of(line) if line.kind == "exec" else None for line in log.forms]
    solved = np.array([problem is not None for problem in problems], np.bool_)
    numbers: dict[tuple[str, str | None, str | None], int] = {}
    lines: list[tuple[VerboseLine, dict[str, Any]]] = []
    times = Times()
    for some in log.slices():
        form, ms = log.form[some].astype(np.int64), log.ms[some]
        rows = np.flatnonzero(solved[form] & ~np.isnan(ms))
        version = np.searchsorted(edges, rows + some.start, "right")
        _, first, of = np.unique(
            version * len(log.forms) + form[rows], return_index=True, return_inverse=True
        )
        candidate = np.empty(len(first), np.int64)
        for n in np.argsort(first).tolist():
            line, problem = log.forms[form[rows[first[n]]]], problems[form[rows[first[n]]]]
            assert problem is not None
            key = (compact(problem), line.implementation, versions[version[first[n]]])
            candidate[n] = numbers.setdefault(key, len(numbers))
            if candidate[n] == len(lines):
                lines.append((line, problem))
        times.add(candidate[of], 0, rows + some.start, ms[rows] * 1000)
    for ((_, implementation, released), number), (line, problem) in zip(numbers.items(), lines, strict=True):
        add_candidate(
            build, LIBRARY, problem,
            device="/device:CPU:0" if (line.engine or "cpu").startswith("cpu") else line.engine,
            version=released, algorithm=line.algorithm, implementation=implementation,
            **ran(times.of(number)), source=_SOURCE, evidence="measured",
        )  # fmt: skip
