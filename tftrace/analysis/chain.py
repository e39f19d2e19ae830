"""`why`: the way of every matching op from the user's line down to the device, told once for each group of calls."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import orjson

from tftrace.analysis import evidence, fates, observed
from tftrace.analysis.chain_arrays import NAMES, Arrays
from tftrace.analysis.chain_parts import Entry, Group, Place
from tftrace.analysis.columns import Ints, numbers, positions, sorting, table, texts, whole
from tftrace.analysis.hops import hops
from tftrace.analysis.libraries import Library
from tftrace.analysis.pattern import by_site, match
from tftrace.model.layers import EVIDENCE, LAYERS, MODES, Layer
from tftrace.model.trace import Trace

__all__ = ["Entry", "Group", "Place", "document", "why"]

_SHARED = "one run of the graph serves all of its nodes, so it has no time of this op's own"

_COMPUTATION = "computation "  # how the invocation of one of TensorFlow Federated's is called
_NO_CLIENT = "which client it served is not observed: neither TFF's requests nor its executors' log name one"


def why(trace: Trace, pattern: str) -> list[Group]:
    """The chains of the executions that `pattern` means, the group with the most time first.

    From the tables calls, sites, event_calls, events, links and stacks. Raises UsageError for a pattern that means
    nothing and InputError where nothing matches (see `tftrace.analysis.pattern`).
    """
    chosen = np.flatnonzero(match(trace, pattern).calls)
    return _Reader(trace, chosen).groups()


def document(trace: Trace, pattern: str) -> dict[str, Any]:
    """The document of `tftrace why --json`; `not_run` are matching ops that did not run by themselves, and why."""
    elsewhere = fates.matching(trace, pattern)
    return {
        "pattern": pattern,
        "trace": trace.name,
        "synthetic": trace.synthetic,
        "groups": [asdict(g) for g in why(trace, pattern)] if not elsewhere or _ran(trace, pattern) else [],
        "not_run": [f.document() for f in elsewhere],
    }


def _ran(trace: Trace, pattern: str) -> bool:
    mask, sites = by_site(trace, pattern), table(trace, "sites")
    site = positions(sites, "site_id", numbers(table(trace, "calls"), "site_id"))
    return mask is None or bool(np.append(mask, False)[site].any())


class _Reader(Arrays):
    """Tells the groups one by one."""

    def groups(self) -> list[Group]:
        return [self._group(g) for g in range(self.grouped.count)]

    def _group(self, g: int) -> Group:
        first = int(self.grouped.first[g])
        site = int(self.site[first])
        mode = (self.text["mode"].of(site) if site >= 0 else None) or "native"
        mode = mode if mode in MODES else "native"
        library_calls, library, stacks = self._library(g)
        chain = [self._entry(g, at, site, mode, library, stacks) for at in range(len(LAYERS))]
        counts = dict.fromkeys(EVIDENCE, 0)
        for entry in chain:
            for grade, n in entry.evidence_counts.items():
                counts[grade] += n  # type: ignore[index]
        caller, callers = self._callers(g, site, mode)
        frames = self._frames(stacks[0]) if stacks else []

        def read(column: str) -> str | None:
            return self.of_calls.texts(column).of(first)

        return Group(
            count=int(self.counts[g]),
            op=(self.text["op"].of(site) if site >= 0 else None) or "(op not known)",
            mode=mode,
            device=read("device"),
            python=self._python(site),
            caller=caller,
            callers=callers,
            chain=chain,
            library=library,
            library_calls=library_calls,
            device_work=self.device_work[g],
            native_stack=frames,
            native_stacks=len(stacks),
            hops=hops(frames, library.call if library else None, chain[LAYERS.index("runtime")].names),
            total_us=self.times["total"][g] or 0.0,
            cpu_us=self.times["cpu"][g],
            warm_up=self.warm[g],
            evidence_counts={k: n for k, n in counts.items() if n},
            shapes=_decoded(read("shapes")),
            dtypes=_decoded(read("dtypes")),
            op_attrs=_decoded(read("op_attrs")),
            graph=self.text["graph"].of(site) if site >= 0 else None,
            made_in=self.graphs.graph(self._graph_id(site)),
            sessions=[
                {**told, "count": n}
                for number, n in self.sessions_of.get(g, {}).items()
                if (told := self.graphs.session(number)) is not None
            ],
            node=self.text["node"].of(site) if site >= 0 else None,
            site_id=self._site_id(site),
            synthetic=self.trace.synthetic,
            fused=self._fused(site),
        )

    def _fused(self, site: int) -> list[dict[str, Any]]:
        if not hasattr(self, "_fused_with"):
            self._fused_with = fates.fused_with(self.trace)
        return [f.document() for f in self._fused_with.get(self._site_id(site), [])]

    def _site_id(self, site: int) -> int:
        return int(self.lines["site_id"].values[site]) if site >= 0 else -1

    def _graph_id(self, site: int) -> int | None:
        graph = self.lines["graph_id"]
        return int(graph.values[site]) if site >= 0 and graph.valid[site] else None

    def _python(self, site: int) -> Place | None:
        file = self.text["python_file"].of(site) if site >= 0 else None
        line = self.lines["python_line"]
        if file is None or not line.valid[site]:
            return None
        return Place(file, int(line.values[site]), self.text["python_code"].of(site))

    def _callers(self, g: int, site: int, mode: str) -> tuple[Place | None, list[Place]]:
        """(line that ran the graph, all lines further out), the most frequent line that ran the graph first."""
        if mode == "eager" or site < 0:
            return None, self._listed(site)
        ran = self._outer(g)
        rows, counts = np.unique(ran[ran >= 0], return_counts=True)
        if not len(rows):
            # a line that runs a graph is its own caller
            own = self._python(site) if self.text["node"].of(site) is None else None
            return own, self._listed(site)
        order = np.argsort(-counts, kind="stable")
        merged: dict[tuple[str, int, str | None], int] = {}
        for i in order.tolist():
            place = self._python(int(rows[i]))
            if place is not None:
                key = (place.file, place.line, place.code)
                merged[key] = merged.get(key, 0) + int(counts[i])
        lines = [Place(*key, count=n) for key, n in merged.items()]
        further = self._listed(int(rows[order[0]]))
        return (Place(lines[0].file, lines[0].line, lines[0].code) if lines else None), [*lines, *further]

    def _outer(self, g: int) -> Ints:
        if not hasattr(self, "_outer_order"):
            self._outer_order = sorting(self.group_of, self.grouped.count)
            self._outer_starts = np.searchsorted(
                self.group_of[self._outer_order], np.arange(self.grouped.count + 1)
            )
        rows = self._outer_order[self._outer_starts[g] : self._outer_starts[g + 1]]
        return np.asarray(self.runs.outer_site[rows], np.int64)

    def _listed(self, site: int) -> list[Place]:
        rows = _decoded(self.text["callers"].of(site)) if site >= 0 else None
        if not isinstance(rows, list):
            return []
        return [
            Place(str(r["file"]), r["line"], None if r.get("code") is None else str(r["code"]))
            for r in rows
            if isinstance(r, dict) and "file" in r and isinstance(r.get("line"), int)
        ]

    def _entry(
        self, g: int, at: int, site: int, mode: str, library: Library | None, stacks: list[int]
    ) -> Entry:
        layer = LAYERS[at]
        codes = self.cells.get((g, at), {})
        names, where = self._names_of(g, layer, site, library, stacks)
        total, own = self.times[f"{layer}_total"][g], self.times[f"{layer}_self"][g]
        if not codes or not names:
            without = mode if mode != "native" or self._python(site) is None else "function"
            why_not = observed.reason(self.trace.manifest, layer, without)
            return Entry(layer, None, [], None, total, own, None, None, why_not)
        weakest = max(codes)
        # among calls of the weakest grade, the rule that most of them have
        grade = self.links.grade(weakest)
        same = {c: n for c, n in codes.items() if self.links.grade(c) == grade}
        shown = max(same, key=lambda c: same[c])
        counts: dict[str, int] = {}
        for code in sorted(codes):
            counts[self.links.grade(code)] = counts.get(self.links.grade(code), 0) + codes[code]
        seen, count = sum(codes.values()), int(self.counts[g])
        reason = None
        if seen < count:
            missed = observed.shortfall(self.trace.manifest, layer)
            reason = f"seen in {seen:,} of {count:,} executions" + (f"; {missed}" if missed else "")
        elif layer == "runtime" and total is None and mode != "eager":
            reason = f"{_SHARED}; {_NO_CLIENT}" if any(n.startswith(_COMPUTATION) for n in names) else _SHARED
        rule: str | None = self.links.rule(shown)
        if layer == "python":  # nothing leads into it, but the thread that it started
            rule = evidence.THREAD_RULE if self._started_thread(site) else None
        return Entry(
            layer, names[0], names, where, total, own, grade, rule, reason, self.links.parent(shown), seen, counts,
        )  # fmt: skip

    def _names_of(
        self, g: int, layer: Layer, site: int, library: Library | None, stacks: list[int]
    ) -> tuple[list[str], str | None]:
        names = self.layer_names.get((g, LAYERS.index(layer)), [])
        if layer == "python":
            place = self._python(site)
            if place is not None:
                return [
                    f"{place.file.replace(chr(92), '/').rsplit('/', 1)[-1]}:{place.line}"
                ], f"{place.file}:{place.line}"
        elif layer in ("api", "gen_op"):
            stated = self.text[layer].of(site) if site >= 0 else None
            file, line = (
                (self.text["gen_op_file"].of(site), self.lines["gen_op_line"]) if site >= 0 else (None, None)
            )
            place_of = (
                f"{file}:{line.values[site]}"
                if layer == "gen_op" and file and line and line.valid[site]
                else None
            )
            return ([stated] if stated else names), place_of
        elif layer == "runtime":
            return self._runtime(g, names), None
        elif layer == "device":
            ran = list(dict.fromkeys(str(work["name"]) for work in self.device_work[g]))
            return sorted(names, key=lambda n: ran.index(n) if n in ran else len(ran)), None
        elif layer == "library" and library is not None and library.call is not None:
            others = [n for n in names if n != library.call]
            return [library.call, *others], self._module(stacks)
        return names, None

    def _runtime(self, g: int, names: list[str]) -> list[str]:
        """From the entry into the runtime inwards, of the call that shows the most."""
        call = self.sample[g]
        rank = LAYERS.index("runtime")
        mine = self.by_call[self.call_starts[call] : self.call_starts[call + 1]]
        events = [int(e) for e in self.members.event[mine[self.members.layer[mine] == rank]]][: 4 * NAMES]
        if self.runs.parent[call] >= 0:
            events = (
                self._within_runtime().climb(events)
                if events
                else self._parent_entry(int(self.runs.parent[call]))
            )
        else:
            events.sort()  # rows stand in the order of start
        known = {int(self.members.event[at]): self.names.of(int(at)) for at in mine}
        listed = [
            n
            for n in dict.fromkeys(
                known[e] if e in known else texts(self.events, "name").of(e) for e in events
            )
            if n is not None
        ]
        head = [n for n in names[:1] if n in listed and self.runs.parent[call] < 0]
        return list(dict.fromkeys([*head, *listed, *([] if listed else names)]))[:NAMES]

    def _within_runtime(self) -> evidence.Within:
        if not hasattr(self, "_within"):
            self._within = evidence.Within(self.trace, self.ranks, "runtime")
        return self._within

    def _parent_entry(self, parent: int) -> list[int]:
        """The first runtime event of the call that ran the graph, where none is known to have run this node."""
        if not hasattr(self, "_entries"):
            rows = table(self.trace, "event_calls")
            call = positions(self.calls, "call_id", numbers(rows, "call_id"))
            event = positions(self.events, "event_id", numbers(rows, "event_id"))
            runtime = (call >= 0) & (np.append(self.ranks, np.int8(-1))[event] == LAYERS.index("runtime"))
            self._entries = np.full(self.calls.num_rows, np.iinfo(np.int64).max)
            np.minimum.at(self._entries, call[runtime], event[runtime])
        found = int(self._entries[parent])
        return [found] if found < self.events.num_rows else []

    def _library(self, g: int) -> tuple[list[dict[str, Any]], Library | None, list[int]]:
        """(library calls by kind in the order they were first made, the main one, its stacks by frequency)."""
        made = self.library_calls
        mine = made.of(g)
        if mine.start == mine.stop:
            return [], None, []
        kinds = self.grouped.kinds
        used, count, time = made.kind[mine], made.calls[mine], made.time[mine]
        rows = [
            {
                **kinds.kinds[k].document(),
                "count": int(count[i]),
                "total_us": round(float(time[i]) / 1000, 3),
            }
            for i, k in enumerate(used.tolist())
        ]
        order = np.argsort(made.first[mine], kind="stable").tolist()
        auxiliary = kinds.auxiliary[used]
        launch = ["Launch" in str(kinds.kinds[k].call) for k in used.tolist()]
        main = min(range(len(used)), key=lambda i: (bool(auxiliary[i]), not launch[i], -float(time[i])))
        return [rows[i] for i in order], kinds.kinds[int(used[main])], self._stacks(g, int(used[main]))

    def _stacks(self, g: int, kind: int) -> list[int]:
        """Stacks of the library calls of a kind, the most frequent first."""
        if not self.stack_of.valid.any():
            return []
        mine = self.library_order[self.library_starts[g] : self.library_starts[g + 1]]
        member = self.grouped.library_members[mine[self.grouped.kind[mine] == kind]]
        stacks = self.stack_of.values[member][self.stack_of.valid[member]]
        found, times = np.unique(stacks, return_counts=True)
        return [int(stack) for stack in found[np.argsort(-times, kind="stable")]]

    def _stack(self, stack: int) -> list[dict[str, Any]]:
        rows = whole(self.trace, "stacks")
        at = int(positions(rows, "stack_id", np.array([stack]))[0])
        return (rows.slice(at, 1).column("frames").to_pylist()[0] if at >= 0 else None) or []

    def _started_thread(self, site: int) -> bool:
        """Whether the line of a site did not run the op itself but started the thread that did."""
        place, stack = self._python(site), self.lines["stack_id"]
        if place is None or not stack.valid[site]:
            return False
        for frame in self._stack(int(stack.values[site])):
            if (frame["file"], frame["line"]) == (place.file, place.line):
                return False
            if frame["module"] == "threading" and str(frame["function"]).endswith("_bootstrap"):
                return True
        return False

    def _frames(self, stack: int) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for frame in self._stack(stack):
            if frame["kind"] == "python":
                break
            out.append({**frame, "kind": "native", "function": frame["function"] or "(no symbol)"})
        return out

    def _module(self, stacks: list[int]) -> str | None:
        frames = self._frames(stacks[0]) if stacks else []
        return next((str(f["module"]) for f in frames if f["module"]), None)


def _decoded(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
