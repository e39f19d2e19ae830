"""How well the layers of calls are linked: one grade for each call and layer, by the rule that made the link."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tftrace.analysis.columns import (
    Bools,
    Ints,
    Ranks,
    numbers,
    parts,
    positions_in,
    rows_of,
    rows_where,
    table,
    texts,
)
from tftrace.model.layers import EVIDENCE, LAYERS, Layer
from tftrace.model.trace import Trace

STACK_RULE = "python stack"
THREAD_RULE = "thread start"
NODE_RULE = "node name"
MEMBER_RULE = "same call"
"""An event that belongs to the call, but that no link leads into."""

_INFERRED = EVIDENCE.index("inferred")
_NO_LINK = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Members:
    """Events of the chosen calls: member i is the event in row `event[i]`, in layer `layer[i]` (index into LAYERS), of
    the chosen call number `call[i]`. `link[i]` is the code of the link from above (`Links`), -1 for none."""

    event: Ints
    layer: Ints
    call: Ints
    link: Ints


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

    def make(part: pa.Table, _: int) -> Ranks:
        layer = texts(part, "layer")
        rank = np.array([LAYERS.index(v) if v in LAYERS else -1 for v in layer.values] + [-1], np.int8)
        return rank[layer.codes]

    return np.concatenate([np.zeros(0, np.int8), *parts(trace, "events", ["layer"], make)])


def links_from_above(trace: Trace, ranks: Ranks, wanted: Ints) -> tuple[Links, Ints]:
    """For each of the `wanted` rows of events the code of the link into it from a layer above, -1 where there is none.

    Of several, one from the nearest layer counts, and of those the one with the strongest evidence: each of them proves
    the relation on its own. Links within a layer say nothing of the way between layers.

        child  parent (layer)  rule           evidence             event  link
        9      4 (runtime)     range id       measured     ->      9      native stack, measured, from kernel
        9      6 (kernel)      native stack   measured
    """
    ids = rows_of(table(trace, "events"), "event_id")
    place = np.full(len(ranks) + 1, -1, np.int32)  # the last is of what has no row
    place[wanted] = np.arange(len(wanted))
    rank = np.append(ranks, np.int8(-1))

    def make(part: pa.Table, _: int) -> tuple[Ints, Ints, Ints, list[str]]:
        """Of each link from above: the place of what it leads into, how good it is, its rule; and the rules."""
        into = place[positions_in(ids, numbers(part, "child_id"))]
        here = np.flatnonzero(into >= 0)
        into = into[here]
        upper = rank[positions_in(ids, numbers(part, "parent_id"))[here]]
        above = (upper >= 0) & (rank_of[into] > upper)
        here, into, upper = here[above], into[above], upper[above]
        rule, grade = texts(part, "rule"), texts(part, "evidence")
        known = [EVIDENCE.index(v) if v in EVIDENCE else _INFERRED for v in grade.values]
        strength = np.array([*known, _INFERRED], np.int64)[grade.codes[here]]
        # nearest layer first, then strength
        return (
            into.astype(np.int64),
            (len(LAYERS) - upper) * len(EVIDENCE) + strength,
            rule.codes[here],
            rule.values,
        )

    rank_of = rank[wanted]
    found = list(parts(trace, "links", ["child_id", "parent_id", "rule", "evidence"], make))
    links = Links(list(dict.fromkeys(rule for _, _, _, rules in found for rule in rules)))
    n_rules = len(links.rules)
    best = np.full(len(wanted), _NO_LINK, np.int64)
    for into, good, rule, rules in found:
        code_of = np.array([*map(links.rules.index, rules), links.rules.index(MEMBER_RULE)], np.int64)
        np.minimum.at(best, into, good * n_rules + code_of[rule])
    best = best[place[wanted]]
    linked = best != _NO_LINK
    rest, by_rule = np.divmod(best, n_rules)
    far, by_grade = np.divmod(rest, len(EVIDENCE))
    code = by_grade * links.span + (len(LAYERS) - far + 1) * n_rules + by_rule
    return links, np.where(linked, code, -1)


def members(trace: Trace, chosen: Ints, ranks: Ranks) -> tuple[Links, Members]:
    """The events of the calls in the rows `chosen` of the calls table, many to many by event_calls; and what the codes
    of their links mean."""
    calls = table(trace, "calls")
    number = np.full(calls.num_rows + 1, -1, np.int64)
    number[chosen] = np.arange(len(chosen))
    ids, events = rows_of(calls, "call_id"), rows_of(table(trace, "events"), "event_id")
    rank = np.append(ranks, np.int8(-1))

    def make(part: pa.Table, _: int) -> tuple[Ints, Ranks, Ints]:
        call = number[positions_in(ids, numbers(part, "call_id"))]
        here = np.flatnonzero(call >= 0)
        event = positions_in(events, numbers(part, "event_id"))[here]
        layer = rank[event]
        keep = layer >= 0
        return event[keep], layer[keep], call[here][keep]

    none = np.zeros(0, np.int64)
    found = [(none, none, none), *parts(trace, "event_calls", ["event_id", "call_id"], make)]
    event, layer, call = (np.concatenate(of).astype(np.int64) for of in zip(*found, strict=True))
    links, linked = links_from_above(trace, ranks, event)
    return links, Members(event, layer, call, linked)


def grades(m: Members, calls: int, links: Links, eager: Bools, has: dict[str, Bools], runs: Bools) -> Ints:
    """The code of the link into each layer of each call, shape (calls, 8); -1 where the layer was not observed.

    A call's layer is as good as its weakest linked event. What no event shows may still be known from the site: the
    line, the public function and the wrapper (`has`, a mask of calls a layer) that stood in one Python stack when the
    op, or the node, was made. From a node to the run of its graph (`runs`: there was one) only the node's name leads.
    """
    codes = np.full(calls * len(LAYERS), -1, np.int64)
    slot = m.call * len(LAYERS) + m.layer
    np.maximum.at(codes, slot, m.link)
    seen = np.zeros(len(codes), np.bool_)
    seen[slot] = True
    out = codes.reshape(calls, len(LAYERS))
    here = seen.reshape(calls, len(LAYERS))
    stack, node = links.code("measured", STACK_RULE), links.code("inferred", NODE_RULE)
    out[here & (out < 0)] = links.code("inferred", MEMBER_RULE)
    out[here[:, 0], 0] = stack  # nothing lies above the line: it is where the stack was taken
    for layer, known in has.items():
        at = LAYERS.index(layer)
        out[known & (out[:, at] < 0), at] = stack
    runtime = LAYERS.index("runtime")
    out[~eager & (runs | here[:, runtime]), runtime] = node
    return out


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
