"""How well the layers of calls are linked: one grade for each call and layer, by the rule that made the link."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from tftrace.analysis import native_members
from tftrace.analysis.columns import (
    Bools,
    Ints,
    Positions,
    Ranks,
    numbers,
    parts,
    positions_in,
    rows_of,
    rows_where,
    table,
    texts,
)
from tftrace.analysis.native_members import Above, Best, Places
from tftrace.model.layers import EVIDENCE, LAYERS, Layer
from tftrace.model.trace import Trace

STACK_RULE = "python stack"
THREAD_RULE = "thread start"
NODE_RULE = "node name"
MEMBER_RULE = "same call"
"""An event that belongs to the call, but that no link leads into."""

IN_C: Final = 1 << 19
"""Rows from which on C, which may have to be compiled first, is worth it."""
_ROWS: Final = 1 << 16
"""Rows that are looked at together: they then stay in the processor's caches."""
_INFERRED = EVIDENCE.index("inferred")


@dataclass(frozen=True)
class Members:
    """Events of the chosen calls: member i is the event in row `event[i]`, in layer `layer[i]` (index into LAYERS), of
    the chosen call number `call[i]`."""

    event: Ints
    layer: Ranks
    call: Places


class Links:
    """Codes of links: evidence, then the layer of the parent, then the rule, so that a larger code is weaker."""

    def __init__(self, rules: list[str]) -> None:
        self.rules = [*rules, STACK_RULE, NODE_RULE, MEMBER_RULE]
        self._rule = {rule: i for i, rule in enumerate(self.rules)}

    def code(self, grade: str, rule: str) -> int:
        return EVIDENCE.index(grade) * self.span + self._rule[rule]

    @property
    def span(self) -> int:
        """Codes of one grade: nine parents (eight layers, or none known) by rule."""
        return 9 * len(self.rules)

    def grade(self, code: int) -> str:
        return EVIDENCE[code // self.span]

    def rule(self, code: int) -> str:
        return self.rules[code % len(self.rules)]

    def parent(self, code: int) -> str | None:
        """Layer that the link comes from, None where that is the layer above by construction."""
        rank = code % self.span // len(self.rules)
        return LAYERS[rank - 1] if rank else None


def layer_ranks(trace: Trace) -> Ranks:
    """Index into LAYERS of each event; -1 for tftrace's own."""
    fast, none = _in_c(trace), np.zeros(0, np.int8)

    def make(part: pa.Table, _: int) -> Ranks:
        if fast is not None and native_members.known(part, "events"):
            return np.concatenate([none, *(fast.ranks(batch, _rank) for batch in part.to_batches())])
        layer = texts(part, "layer")
        return np.array([*map(_rank, layer.values), -1], np.int8)[layer.codes]

    return np.concatenate([none, *parts(trace, "events", ["layer"], make, rows=_ROWS)])


def _rank(layer: object) -> int:
    return LAYERS.index(layer) if layer in LAYERS else -1


def _in_c(trace: Trace) -> native_members.Functions | None:
    rows = table(trace, "events").num_rows
    return native_members.functions(rows) if rows >= IN_C else None


def links_from_above(trace: Trace, ranks: Ranks, wanted: Ints) -> tuple[Links, Ints]:
    """For each of the `wanted` rows of events the code of the link into it from a layer above, -1 where there is none.

    Of several, one from the nearest layer counts, and of those the one with the strongest evidence: each of them proves
    the relation on its own. Links within a layer say nothing of the way between layers.

        child  parent (layer)  rule           evidence             event  link
        9      4 (runtime)     range id       measured     ->      9      native stack, measured, from kernel
        9      6 (kernel)      native stack   measured
    """
    fast = _in_c(trace)
    ids = rows_of(table(trace, "events"), "event_id")
    rank = np.append(ranks, np.int8(-1))  # the last is of what has no row
    place = np.full(len(rank), -1, np.int32)
    place[wanted] = np.arange(len(wanted), dtype=np.int32)

    def make(part: pa.Table, _: int) -> list[Above]:
        if fast is not None and native_members.known(part, "links"):
            return [fast.above(batch, ids, ranks, place) for batch in part.to_batches()]
        return [_above(part, ids, rank, place)]

    best = Best(len(wanted), fast)
    for found in parts(trace, "links", ["child_id", "parent_id", "rule", "evidence"], make, rows=_ROWS):
        for some in found:
            best.add(some)
    links = Links(best.rules)
    return links, best.codes(place[wanted], len(links.rules), links.rules.index(MEMBER_RULE))


def _above(part: pa.Table, ids: Positions, rank: Ranks, place: Places) -> Above:
    """The links of a part of the table that lead from a layer above into an event with a place, without C."""
    child, parent = (positions_in(ids, numbers(part, c)) for c in ("child_id", "parent_id"))
    here = np.flatnonzero(place[child] >= 0)
    upper = rank[parent[here]]
    above = (upper >= 0) & (rank[child[here]] > upper)
    here, upper = here[above], upper[above]
    rule, grade = texts(part, "rule"), texts(part, "evidence")
    known = [EVIDENCE.index(v) if v in EVIDENCE else _INFERRED for v in grade.values]
    strength = np.array([*known, _INFERRED], np.int16)[grade.codes[here]]
    # nearest layer first, then strength
    good = (len(LAYERS) - upper.astype(np.int16)) * len(EVIDENCE) + strength
    return Above(place[child[here]], good, rule.codes[here].astype(np.int32), rule.values)


def members(trace: Trace, chosen: Ints, ranks: Ranks) -> Members:
    """The events of the calls in the rows `chosen` of the calls table, many to many by event_calls."""
    calls = table(trace, "calls")
    number, rank = np.full(calls.num_rows + 1, -1, np.int32), np.append(ranks, np.int8(-1))
    number[chosen] = np.arange(len(chosen), dtype=np.int32)
    ids = rows_of(table(trace, "events"), "event_id"), rows_of(calls, "call_id")
    fast = _in_c(trace)

    def make(part: pa.Table, _: int) -> Members:
        if fast is not None and native_members.known(part, "event_calls"):
            some = [fast.members(batch, ids, ranks, number[:-1]) for batch in part.to_batches()]
            return _joined([Members(*one) for one in some])
        call = number[positions_in(ids[1], numbers(part, "call_id"))]
        here = np.flatnonzero(call >= 0)
        event = positions_in(ids[0], numbers(part, "event_id"))[here]
        layer = rank[event]
        keep = layer >= 0
        return Members(event[keep], layer[keep], call[here][keep])

    return _joined(parts(trace, "event_calls", ["event_id", "call_id"], make, rows=_ROWS))


def _joined(found: Iterable[Members]) -> Members:
    some = [Members(np.zeros(0, np.int64), np.zeros(0, np.int8), np.zeros(0, np.int32)), *found]
    return Members(*(np.concatenate([getattr(one, of) for one in some]) for of in ("event", "layer", "call")))


def of_members(m: Members) -> native_members.Functions | None:
    """What goes over many members by C."""
    return native_members.functions(len(m.event)) if len(m.event) >= IN_C else None


def grades(
    m: Members,
    link: Ints,
    telling: Bools | None,
    links: Links,
    eager: Bools,
    has: dict[str, Bools],
    runs: Bools,
) -> Places:
    """The code of the link into each layer of each call, shape (8, calls); -1 where the layer was not observed.

    A call's layer is as good as its weakest linked event; `link` has the codes of the members, -1 for none, and
    `telling` is a mask of those that count, or None. What no event shows may still be known from the site: the line,
    the public function and the wrapper (`has`, a mask of calls a layer) that stood in one Python stack when the op, or
    the node, was made. From a node to the run of its graph (`runs`: there was one) only the node's name leads.
    """
    unseen = -2
    codes = np.full((len(LAYERS), len(eager)), unseen, np.int32)
    fast = of_members(m)
    if fast is not None:
        fast.weakest(m.call, m.layer, link, telling, codes)
    else:
        kept = slice(None) if telling is None else telling
        np.maximum.at(codes, (m.layer[kept], m.call[kept]), link[kept].astype(np.int32))
    here = codes > unseen
    stack, node = links.code("measured", STACK_RULE), links.code("inferred", NODE_RULE)
    codes[codes == -1] = links.code("inferred", MEMBER_RULE)
    codes[~here] = -1
    codes[0, here[0]] = stack  # nothing lies above the line: it is where the stack was taken
    for layer, known in has.items():
        at = LAYERS.index(layer)
        codes[at, known & (codes[at] < 0)] = stack
    runtime = LAYERS.index("runtime")
    codes[runtime, ~eager & (runs | here[runtime])] = node
    return codes


class Within:
    """The links between events of one layer."""

    def __init__(self, trace: Trace, ranks: Ranks, layer: Layer) -> None:
        ids = rows_of(table(trace, "events"), "event_id")
        here = np.append(ranks == LAYERS.index(layer), False)

        def both(part: pa.Table) -> Bools:
            child, parent = (here[positions_in(ids, numbers(part, c))] for c in ("child_id", "parent_id"))
            picked: Bools = child & parent
            return picked

        rows = rows_where(trace, "links", ["child_id", "parent_id"], both)
        child, parent = (positions_in(ids, numbers(rows, c)) for c in ("child_id", "parent_id"))
        self._link = np.argsort(child, kind="stable")
        self._child, self._parent = child[self._link], parent[self._link]

    def climb(self, events: list[int]) -> list[int]:
        """The rows of `events` and of what leads into them within their layer, outermost first: from a run of the
        executor to `FunctionRun` and to the entry into the runtime. Meant for the few events of one call."""
        found, wanted = list(events), list(events)
        for _ in range(64):
            if not wanted:
                break
            begin, end = (np.searchsorted(self._child, np.unique(wanted), side=s) for s in ("left", "right"))
            at = np.concatenate([np.arange(b, e) for b, e in zip(begin, end, strict=True)])
            at = at[np.argsort(self._link[at])]  # as the table has them
            fresh = [p for p in dict.fromkeys(self._parent[at].tolist()) if p not in found]
            found, wanted = [*fresh, *found], fresh
        return found
