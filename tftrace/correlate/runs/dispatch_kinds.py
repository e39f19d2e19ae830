"""What dispatch records have in common, told once: their stacks, their descriptions, and the sites they ran at.

record   stack   description        kind   stack   description   first   count   site
0        s1      Conv2D [1,8,8,8]   0      s1      Conv2D ..     0       2       A
1        s1      Conv2D [1,8,8,8]   1      s1      Conv2D ..     2       1       A
2        s1      Conv2D [4,8,8,8]
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from tftrace.agent import contract
from tftrace.correlate.graphs.graphs import Graphs
from tftrace.correlate.pystacks import Origin, Origins
from tftrace.correlate.tables.columns import NONE, Array, Int, TraceBuilder, compact
from tftrace.ingest.agent_raw import RawProcess, Records

_FALLBACK: Final = contract.STATUS.index("fallback")
_SESSION: Final = contract.ENTRIES.index("TF_SessionRun")


class DispatchKinds:
    """The kinds of calls among a process' dispatch records: each a Python stack and a description.

    `of` is the kind of each record, NONE for fallbacks and unwritten ones. Parallel to the kinds, in the order of their
    first records: `stack` (row of `origins`), `meta` (row of `described`), `first` (number of that record), `graph`
    (number of the graph that it runs, or NONE), `session` and `site`. Of each stack `stack_ids`, of each description
    codes of words or attributes.
    """

    def __init__(
        self, raw: RawProcess, build: TraceBuilder, origins: Origins, graphs: Graphs, pid: int
    ) -> None:
        stack_keys, meta_keys = _Numbers(), _Numbers()
        kinds = _Numbers()
        numbers = build.pages.column(np.int32)
        self.fallbacks = 0
        first: list[Int] = [np.empty(0, np.int64)]
        counts = np.empty(0, np.int64)
        for at, records in raw.pieces(raw.dispatch):
            written = records["t0"] > 0
            known = np.flatnonzero(written & (records["status"] != _FALLBACK))
            self.fallbacks += int(written.sum()) - len(known)
            stacks, metas = stack_keys.of(records["stack"][known]), meta_keys.of(records["meta"][known])
            before = len(kinds)
            found = kinds.of((stacks << 32) + metas)
            new = np.flatnonzero(found >= before)[::-1]
            firsts = np.empty(len(kinds) - before, np.int64)
            firsts[found[new] - before] = known[new] + at  # the last one written is the first one there
            first.append(firsts)
            counts = np.bincount(found, minlength=len(kinds)) + np.append(counts, np.zeros_like(firsts))
            of = np.full(len(records), NONE, np.int32)
            of[known] = found
            numbers.add(of)
        self.of: Array = numbers.array()
        pairs, firsts = np.array(list(kinds), np.int64), np.concatenate(first)

        keys = [origins.canonical(int(key)) for key in stack_keys]
        every, of_key = np.unique(np.array(keys, np.uint64), return_inverse=True)
        self.origins: list[Origin] = [origins.of(int(key)) for key in every.tolist()]
        self.stack_ids = np.array(
            [python_stack(build, pid, int(k), o) for k, o in zip(every.tolist(), self.origins, strict=True)],
            np.int64,
        )
        self.stack: Int = of_key[pairs >> 32] if len(pairs) else pairs
        self.meta: Int = pairs & 0xFFFFFFFF
        # kinds that differ in stacks which are the same to a reader have their first record in common
        _, one = np.unique(np.stack([self.stack, self.meta]), axis=1, return_inverse=True)
        one = np.asarray(one).reshape(-1)
        self.first = np.full(len(pairs), np.iinfo(np.int64).max)
        np.minimum.at(self.first, one, firsts)
        self.first = self.first[one]
        self._describe(raw, build, graphs, list(meta_keys))
        self._sites(raw, build, graphs, firsts, counts)

    def _describe(self, raw: RawProcess, build: TraceBuilder, graphs: Graphs, keys: list[int]) -> None:
        words = build.words
        described = [_description(raw, key) for key in keys]
        self.described = described
        self.ops: list[str] = [m["op"] for m in described]
        graph_of = np.array([_graph(m, graphs) for m in described], np.int64)
        session_of = np.array(
            [NONE if m["run_by"] is None else graphs.session_id(int(m["run_by"])) for m in described],
            np.int64,
        )
        self.graph: Int = graph_of[self.meta] if len(described) else graph_of
        self.session: Int = session_of[self.meta] if len(described) else session_of
        self.shapes = words.codes(m["shapes"] for m in described)
        self.dtypes = words.codes(m["dtypes"] for m in described)
        self.op_attrs = words.codes(m["attrs"] for m in described)
        self.event_attrs = build.attrs.codes(
            None
            if m["shapes"] is None
            else f'{{"op":{compact(m["op"])},"shapes":{m["shapes"]},"dtypes":{m["dtypes"]},'
            f'"op_attrs":{m["attrs"] or "{}"}}}'
            for m in described
        )

    def _sites(self, raw: RawProcess, build: TraceBuilder, graphs: Graphs, first: Int, count: Int) -> None:
        """A site for each line that runs an op; for each graph, where a line runs several."""
        ops = build.words.codes(self.ops)
        keys = np.stack([self.stack, ops[self.meta] if len(ops) else ops, self.graph])
        unique, examples, which = np.unique(keys, axis=1, return_index=True, return_inverse=True)
        which = np.asarray(which).reshape(-1)
        numbers = np.empty(unique.shape[1], np.int64)
        executions = np.bincount(which, weights=count, minlength=len(numbers)).astype(np.int64)
        for i, kind in enumerate(examples.tolist()):
            meta, graph = self.described[self.meta[kind]], int(self.graph[kind])
            # an unknown description of a Session.run still is one
            is_session = raw.dispatch["kind"][first[kind]] == _SESSION
            mode = "session" if is_session else ("function" if meta["is_function"] else "eager")
            numbers[i] = build.site(
                op=meta["op"],
                mode="native" if raw.without_python else mode,
                graph=graphs.label(graph) if graph != NONE else None,
                graph_id=graphs.id(graph) if graph != NONE else None,
                node=None,
                trace_us=None,
                stack_id=int(self.stack_ids[self.stack[kind]]),
                executions=int(executions[i]),
                **origin_fields(self.origins[self.stack[kind]]),
            )
        self.site: Int = numbers[which]

    def first_runs(self, raw: RawProcess) -> dict[int, int]:
        """When each graph was first run, by its number, in ns of the records."""
        graphs = np.unique(self.graph[self.graph != NONE])
        begun = raw.dispatch["t0"]
        return {int(g): int(begun[self.first[self.graph == g].min()]) for g in graphs.tolist()}

    def compiled(self, build: TraceBuilder, graphs: set[int]) -> None:
        """These graphs turned out to be run by XLA."""
        for site in np.unique(self.site[np.isin(self.graph, list(graphs))]).tolist():
            build.sites[site]["mode"] = "xla"


class _Numbers:
    """Numbers for keys, in the order in which they come."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Any:
        return iter(self._known)

    def of(self, keys: Records | Int) -> Int:
        coded = pa.array(np.ascontiguousarray(keys)).dictionary_encode()
        numbers = [self._known.setdefault(key, len(self._known)) for key in coded.dictionary.to_pylist()]
        return np.asarray(np.array(numbers, np.int64)[coded.indices.to_numpy()], np.int64)


def origin_fields(origin: Origin) -> dict[str, Any]:
    """The columns of `sites` that a stack fills."""
    return {
        "api": origin.api,
        "gen_op": origin.gen_op,
        "gen_op_file": origin.gen_file,
        "gen_op_line": origin.gen_line,
        "python_file": origin.python.file if origin.python else None,
        "python_line": origin.python.line if origin.python else None,
        "python_code": origin.python.code if origin.python else None,
        "callers": compact([{"file": c.file, "line": c.line, "code": c.code} for c in origin.callers]),
    }


def python_stack(build: TraceBuilder, pid: int, key: int, origin: Origin) -> int:
    return build.stack(
        (pid, "python", key),
        [
            {"kind": "python", "function": f.function, "file": f.file, "line": f.line, "module": f.module}
            for f in origin.frames
        ],
    )


def _description(raw: RawProcess, key: int) -> dict[str, Any]:
    meta = raw.metas.get(key)
    if meta is not None:
        inputs = meta["inputs"]
        return {
            "op": str(meta["op"]),
            "is_function": bool(meta["is_function"]),
            "session": None,
            "run_by": None,
            "shapes": compact([_part(v, 1) for v in inputs]),
            "dtypes": compact([_part(v, 0) for v in inputs]),
            "attrs": compact(meta["attrs"]) if meta["attrs"] else None,
        }
    session = raw.sessions.get(key)
    if session is not None:
        return {
            "op": "Session.run", "is_function": False, "session": session.get("graph"),
            "run_by": session.get("session"), "shapes": None, "dtypes": None,
            "attrs": compact({"fetches": session.get("fetches", [])}),
        }  # fmt: skip
    return {
        "op": "(not described)",
        "is_function": False,
        "session": None,
        "run_by": None,
        "shapes": None,
        "dtypes": None,
        "attrs": None,
    }


def _part(value: Any, which: int) -> Any:
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return value[which]
    if isinstance(value, list):
        return [_part(v, which) for v in value]
    return None


def _graph(meta: dict[str, Any], graphs: Graphs) -> int:
    if meta["session"] is not None:
        return int(meta["session"])
    graph = graphs.by_function.get(meta["op"]) if meta["is_function"] else None
    return graph.number if graph is not None else NONE
