"""ITT records and the lines of ONEDNN_VERBOSE as events of the layers library and device, and the CPU's algorithms."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.agent import contract
from tftrace.correlate.clocks import Clock
from tftrace.correlate.ledger.algorithm_rows import add_candidate
from tftrace.correlate.ledger.execution_times import Times
from tftrace.correlate.ledger.repetitions import timing, total
from tftrace.correlate.libraries.library_calls import LibraryCalls, joined
from tftrace.correlate.libraries.native import NativeStack, NativeStacks, Trust
from tftrace.correlate.libraries.onednn_lines import Lines, OnednnLines
from tftrace.correlate.tables.attributes import Part
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact
from tftrace.ingest.agent_raw import RawProcess
from tftrace.ingest.onednn_verbose import parse_line, problem_of

LIBRARY = "oneDNN"
_NEVER: Final = np.iinfo(np.int64).max
_SURE_MS = 1.0  # above this the library's own time is worth carrying beside ours


class Primitives:
    """What the primitives of a process have in common: what their lines tell, and the candidates that they are."""

    def __init__(
        self, raw: RawProcess, lines: OnednnLines, build: TraceBuilder, stacks: NativeStacks
    ) -> None:
        self.lines, self.stacks = lines, stacks
        self.told = lines.whole > 0  # else oneDNN told of none
        described = [_describe(head) for head in lines.heads]
        self.described = described
        self.names = build.words.codes(d.get("primitive") or "primitive" for d in described)
        told = [compact({k: v for k, v in d.items() if v not in (None, "", [])})[1:-1] for d in described]
        self.texts = pa.array(told, pa.string())
        self.trust = Trust(raw, raw.itt)
        self._times, self._counted = Times(), 0
        self._first = np.full(len(described), _NEVER)

    def count(self, lines: Lines, clock: Clock) -> None:
        """These ran, too."""
        begun = clock.from_raw(lines.raw_end) - (lines.ms * 1e6).astype(np.int64)
        np.minimum.at(self._first, lines.head, begun)
        self._times.add(lines.head, 0, np.arange(self._counted, self._counted + len(lines)), lines.ms * 1000)
        self._counted += len(lines)

    def add_algorithms(self, build: TraceBuilder, common: dict[str, int]) -> None:
        """One row per problem and implementation that ran: oneDNN picks before it runs, so all rows are chosen."""
        device = build.words.values[common["device"]] if common["device"] != NONE else None
        rows: dict[tuple[str, str | None], dict[str, Any]] = {}
        heads: dict[tuple[str, str | None], list[int]] = {}
        for head, what in enumerate(self.described):
            problem = what.get("problem")
            if problem is None or self._first[head] == _NEVER:
                continue
            key = (compact(problem), what.get("implementation"))
            heads.setdefault(key, []).append(head)
            rows[key] = {"problem": problem, "algorithm": what.get("algorithm"), "implementation": key[1]}
        for key, row in rows.items():
            times = np.concatenate([self._times.of(head) for head in heads[key]])
            add_candidate(
                build, LIBRARY, row.pop("problem"), **row, **ran(times), device=device, version=self.lines.version,
                first_ns=int(self._first[heads[key]].min()), source="onednn_verbose", evidence="measured",
            )  # fmt: skip


def add_primitives(
    raw: RawProcess,
    lines: Lines,
    known: Primitives,
    clock: Clock,
    build: TraceBuilder,
    common: dict[str, int],
) -> LibraryCalls:
    """The events of `raw`'s tasks and of `lines`."""
    words, stacks = build.words, known.stacks
    written = np.flatnonzero(raw.itt["t0"] > 0)
    itt = raw.itt[written]
    n = len(itt)
    row_of = np.full(len(raw.itt) + 1, NONE, np.int64)
    row_of[written] = np.arange(n)
    kinds = [stacks.known.get(int(k)) for k in (np.unique(itt["stack"]) if n else [])]
    stack_keys, which = np.unique(itt["stack"], return_inverse=True)
    per_record: list[NativeStack | None] = [kinds[i] for i in which.tolist()]
    library_kind = np.array([s.is_library if s is not None else True for s in kinds], bool)
    is_library = library_kind[which] if n else np.empty(0, bool)
    # the line a primitive printed, by the id of the record it was printed under
    line_of = np.full(n, NONE, np.int64)
    own = (lines.itt >= 0) & (lines.itt < len(raw.itt))
    line_of[row_of[lines.itt[own]]] = np.flatnonzero(own)
    if n:
        # without names on the stack, who printed is the primitive, and who did not is a worker's share of one
        nameless = np.array([s is not None and s.nameless for s in kinds], bool)[which]
        is_library |= nameless & ((line_of >= 0) | (not known.told))
    outer = row_of[itt["parent"].astype(np.int64) - 1] if n else np.empty(0, np.int64)
    outer = np.where(itt["parent"] > 0, outer, NONE)
    is_library = is_library & ~((outer >= 0) & is_library[np.maximum(outer, 0)]) if n else is_library
    stack_ids = np.array(
        [
            build.stack((common["pid"], "native", int(k)), s.rows()) if s else NONE
            for k, s in zip(stack_keys, kinds, strict=True)
        ],
        np.int64,
    )
    fallback_end = int(raw.clocks["raw"].max())
    start = clock.from_raw(itt["t0"])
    end = np.maximum(
        clock.from_raw(np.where(itt["t1"] > 0, itt["t1"], np.maximum(fallback_end, itt["t0"]))), start
    )
    tid = itt["tid"].astype(np.int64)
    names = [raw.itt_names.get(int(c), f"task {int(c)}") for c in (np.unique(itt["name"]) if n else [])]
    _, name_of = np.unique(itt["name"], return_inverse=True)
    name = words.codes(names)[name_of] if n else np.empty(0, np.int64)
    at_line = ((itt["flags"] & contract.ITT_LINE) > 0) & (line_of >= 0)
    name[at_line] = known.names[lines.head[line_of[at_line]]]
    probe = np.where(at_line, words.code("onednn"), words.code("itt"))
    attrs = _attrs(build, known, lines, line_of)
    layer = np.where(is_library, words.code("library"), words.code("device"))
    ids = build.events(
        n, layer=layer, name=name, start_ns=start, dur_ns=end - start, tid=tid,
        stack_id=stack_ids[which] if n else NONE, probe=probe, attrs=attrs, **common,
    )  # fmt: skip
    # nested on its own thread: the calling thread's share of the primitive around it
    build.link(
        ids,
        np.where(~is_library & (outer >= 0), ids[np.maximum(outer, 0)] if n else NONE, NONE),
        "range id",
        "measured",
    )
    sure = (
        known.trust.verified(itt) & np.array([s is not None and s.complete for s in kinds], bool)[which]
        if n
        else np.empty(0, bool)
    )
    result = LibraryCalls(
        ids, start, end, tid, itt["call"].astype(np.int64) - 1, is_library, outer, sure, per_record,
        probe, np.ones(n, bool), np.full(n, NONE, np.int64), known.trust.own_ns(itt), np.zeros(n, bool),
        {"itt": n, "verbose": len(lines.ms), "verbose_other": lines.other, "unmatched_lines": int((~own).sum())},
    )  # fmt: skip
    # primitives that ITT did not report (XLA's own copy of the library, or the collector is off)
    unreported = np.flatnonzero(~own)
    if len(unreported):
        result = joined(result, _from_lines(lines, unreported, known, clock, build, common))
    known.count(lines, clock)
    return result


def _from_lines(
    lines: Lines,
    rows: Int,
    known: Primitives,
    clock: Clock,
    build: TraceBuilder,
    common: dict[str, int],
) -> LibraryCalls:
    """The lines alone make these library events: no stacks, no worker shares, no ids."""
    n = len(rows)
    end = clock.from_raw(lines.raw_end[rows])
    dur = (lines.ms[rows] * 1e6).astype(np.int64)
    words = build.words
    ids = build.events(
        n, layer=words.code("library"), name=known.names[lines.head[rows]], start_ns=end - dur, dur_ns=dur,
        tid=lines.tid[rows], probe=words.code("onednn"), attrs=_attrs(build, known, lines, rows), **common,
    )  # fmt: skip
    none = np.full(n, NONE, np.int64)
    return LibraryCalls(
        ids, end - dur, end, lines.tid[rows], none, np.ones(n, bool), none, np.zeros(n, bool), [None] * n,
        np.full(n, words.code("onednn"), np.int64), np.ones(n, bool), none, none, np.zeros(n, bool),
    )  # fmt: skip


def _describe(head: str) -> dict[str, Any]:
    line = parse_line(head + ",0")
    if line is None:
        return {"line": head}
    return {
        "primitive": line.primitive,
        "implementation": line.implementation,
        "algorithm": line.algorithm,
        "propagation": line.propagation,
        "problem": problem_of(line),
        "problem_descriptor": line.problem,
        "memory": list(line.memory),
        "post_ops": line.attributes,
    }


def _attrs(build: TraceBuilder, known: Primitives, lines: Lines, line_of: Int) -> Int:
    found = np.flatnonzero(line_of >= 0)
    form, time = np.full((2, len(line_of)), NONE, np.int64)
    form[found] = lines.head[line_of[found]]
    ms = lines.ms[line_of[found]]
    long = ms >= _SURE_MS
    values, time[found[long]] = np.unique(ms[long], return_inverse=True)
    times = [f'"verbose_ms":{value:g}' for value in values.tolist()]
    parts = [Part(form, known.texts), Part(time, pa.array(times, pa.string()))]
    return build.attrs.block(len(line_of), parts)


def ran(times_us: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Columns of what ran without having been tried: oneDNN picks before it runs."""
    return timing(times_us) | {
        "calls": len(times_us), "total_us": total(times_us), "status": "ok", "chosen": True, "picked_by": "library",
    }  # fmt: skip
