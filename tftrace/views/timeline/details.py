"""What a click on an event shows: its call, site, links and native stack, as compact columns for the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from tftrace.errors import InputError
from tftrace.model.trace import Trace
from tftrace.views.page import legible
from tftrace.views.timeline import pack
from tftrace.views.timeline.columns import Ints, column, combine, ints, narrow, table, texts
from tftrace.views.timeline.events import Events, Strings

STACK_FRAMES = 100
"""Frames of one stack that the page carries, innermost first."""


@dataclass(frozen=True)
class Calls:
    """Executions of sites. Arrays with one entry a call, in the order of `call_id`."""

    call_id: Ints
    parent: Ints
    """Position of the call that ran the graph, -1 for none."""
    kind: Ints
    step: Ints
    start: Ints
    total: Ints
    kinds: dict[str, list[int]]
    """Columns of the distinct kinds of call: site, shapes, dtypes, op_attrs, device, status, warm_up."""
    event_id: Ints
    call: Ints
    """`event_id[i]` belongs to `call[i]` (a position); the call with the largest share comes first."""

    def kind_of(self, event_id: Ints) -> Ints:
        """Kind of the call that each event mainly belongs to, -1 where it belongs to none."""
        ids, call = self.event_id, self.call
        first = np.ones(len(ids), bool)
        first[1:] = ids[1:] != ids[:-1]
        if not first.all():
            ids, call = ids[first], call[first]
        at = positions(ids, event_id)
        if not len(ids):
            return at
        kind = np.append(self.kind, -1).astype(np.int32)
        return np.where(at >= 0, kind[call[at]], kind[-1])


def read_calls(trace: Trace, strings: Strings) -> Calls:
    """The calls of the trace and their events. Raises InputError where an event is given to a call that is
    not there."""

    def read(name: str) -> pa.ChunkedArray:
        return column(trace, "calls", name)

    call_id = narrow(ints(read("call_id")))
    order = np.argsort(call_id, kind="stable")
    columns: dict[str, Ints] = {"site": ints(read("site_id"))}
    for name in ("shapes", "dtypes", "op_attrs", "device", "status"):
        index, values = texts(read(name))
        columns[name] = np.array([strings(v) for v in values] + [-1], np.int32)[index]
    warm = read("warm_up").combine_chunks()
    columns["warm_up"] = ints(warm.fill_null(False).cast(pa.int32()))
    kind, sample = combine(*columns.values())
    kinds = {name: values[sample].tolist() for name, values in columns.items()}
    del columns
    event_id, call = _belongings(trace, call_id[order])
    return Calls(
        call_id[order],
        positions(call_id[order], ints(read("parent_call_id"))[order]),
        kind[order],
        ints(read("step"))[order],
        ints(read("start_ns"), 0)[order],
        ints(read("total_ns"))[order],
        kinds,
        event_id,
        call,
    )


def _belongings(trace: Trace, calls: Ints) -> tuple[Ints, Ints]:
    """(event_id, position of its call in the ascending `calls`) by event, then share, then call."""
    event_id = narrow(ints(column(trace, "event_calls", "event_id")))
    of_call = narrow(ints(column(trace, "event_calls", "call_id")))
    call = positions(calls, of_call)
    if (call < 0).any():
        raise InputError(
            f"{trace.name}: event_calls names call {of_call[call < 0][0]}, which calls does not hold; "
            "rebuild the tables from raw/"
        )
    del of_call
    if (event_id[1:] > event_id[:-1]).all():
        return event_id, call
    n = len(event_id)
    if event_id.min() >= 0 and event_id.max() < 4 * n:
        row = np.full(int(event_id.max()) + 1, -1, np.int32)
        row[event_id] = np.arange(n, dtype=np.int32)
        row = row[row >= 0]
        if len(row) == n:  # every event belongs to one call
            return event_id[row], call[row]
    share = np.asarray(column(trace, "event_calls", "share").to_numpy(), np.float64)
    order = np.lexsort((call, -np.nan_to_num(share, nan=1.0), event_id))
    return event_id[order], call[order]


def positions(ids: Ints, wanted: Ints) -> Ints:
    """Where each of `wanted` stands in the ascending `ids`, -1 where it does not."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    if np.array_equal(ids, np.arange(len(ids))):
        return np.where((wanted >= 0) & (wanted < len(ids)), wanted, -1)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[at] == wanted, at, -1)


def sites(trace: Trace, strings: Strings) -> dict[str, list[Any]]:
    """Columns of the sites, all as numbers: of a string, of a line, or of a time in us."""
    rows = table(trace, "sites")
    out: dict[str, list[Any]] = {"site_id": ints(rows["site_id"]).tolist()}
    for name in ("op", "api", "gen_op", "gen_op_file", "python_file", "python_code", "mode", "graph", "node"):
        index, values = texts(rows[name])
        out[name] = np.array([strings(v) for v in values] + [-1], np.int64)[index].tolist()
    for name in ("gen_op_line", "python_line", "stack_id", "executions"):
        out[name] = ints(rows[name]).tolist()
    trace_us = np.nan_to_num(
        np.asarray(rows["trace_us"].to_numpy(), np.float64), nan=-1.0, posinf=-1.0, neginf=-1.0
    )
    out["trace_us"] = [round(v, 1) for v in trace_us.tolist()]
    index, values = texts(rows["callers"], limit=4000)
    callers = [_callers(v, strings) for v in values] + [[]]
    out["callers"] = [callers[i] for i in index.tolist()]
    return out


def _callers(raw: str, strings: Strings) -> list[list[int]]:
    try:
        frames = orjson.loads(raw)
    except orjson.JSONDecodeError:  # cut to the limit, or not ours: shown as it stands
        return [[strings(raw), -1, -1]]
    if not isinstance(frames, list):
        return []
    found = [f for f in frames[:12] if isinstance(f, dict)]
    return [
        [
            strings(legible(str(f.get("file")))),
            line if isinstance(line := f.get("line"), int) else -1,
            strings(legible(str(f["code"]))) if f.get("code") else -1,
        ]
        for f in found
    ]


def stacks(trace: Trace, used: set[int], strings: Strings) -> dict[str, Any]:
    """`frames` as [function, place, 1 if native] and `stacks` as {stack_id: frames, innermost first}, of
    `used` ones."""
    rows = table(trace, "stacks")
    keep = np.flatnonzero(np.isin(ints(rows["stack_id"]), list(used)))
    rows = rows.take(pa.array(keep))
    lists = rows["frames"].combine_chunks()
    flat = lists.flatten()
    length = ints(lists.value_lengths(), 0)
    numbers = np.zeros(0, np.int64)
    frames: list[list[int]] = []
    if len(flat):
        kind, kinds = texts(flat.field("kind"))
        function, functions = texts(flat.field("function"), 4000)
        file, files = texts(flat.field("file"))
        module, modules = texts(flat.field("module"))
        numbers, sample = combine(kind, function, file, ints(flat.field("line")), module)
        line = ints(flat.field("line"))
        for i in sample.tolist():
            native = kind[i] >= 0 and kinds[kind[i]] == "native"
            name = functions[function[i]] if function[i] >= 0 else "?"
            place = files[file[i]] if file[i] >= 0 else ""
            place += f":{line[i]}" if place and line[i] >= 0 else ""
            if native:
                name = short_function(name)
                place = place or (modules[module[i]].rsplit("/", 1)[-1] if module[i] >= 0 else "")
            frames.append([strings(legible(name)), strings(place or None), int(native)])
    ends = np.cumsum(length)
    return {
        "frames": frames,
        "stacks": {
            str(key): numbers[end - size : min(end, end - size + STACK_FRAMES)].tolist()
            for key, size, end in zip(
                ints(rows["stack_id"]).tolist(), length.tolist(), ends.tolist(), strict=True
            )
        },
    }


_INNERMOST = re.compile(r"<[^<>()]*>|\([^<>()]*\)")
_OPERATOR = re.compile(r"operator(<<=|>>=|<=>|<<|>>|<=|>=|->\*|->|<|>|\(\))")


def short_function(name: str) -> str:
    """A C++ function's qualified name without arguments, template arguments and return type.

    `void tensorflow::MklConvOp<Eigen::ThreadPoolDevice, float>::Compute(OpKernelContext*)` becomes
    `tensorflow::MklConvOp::Compute`. A lambda's `{lambda(..)#1}` keeps its number.
    """
    kept: list[str] = []

    def hide(match: re.Match[str]) -> str:
        kept.append(match.group())
        return f"\x00{len(kept) - 1}\x01"

    text = _OPERATOR.sub(hide, name.replace("(anonymous namespace)", "{anonymous}"))
    before = ""
    while before != text:
        before, text = text, _INNERMOST.sub("", text)
    text = re.sub(r"\s+(const|volatile|&+)(?=$|[:\s{}])|\[clone [^\]]*\]", "", text).strip()
    if " " in text and "\x00" not in text and "'" not in text:
        text = text.rsplit(" ", 1)[-1]  # what is left before a blank is the return type
    text = re.sub(r"\x00(\d+)\x01", lambda m: kept[int(m.group(1))], text)
    return text or name


@dataclass(frozen=True)
class Packed:
    """Details of the events that are embedded exactly, ready for the page."""

    links: str
    calls: str
    link_count: int
    call_count: int
    belongings: int
    rules: list[list[int]]
    """[rule, evidence] of each kind of link, as strings."""
    links_lost: int
    """Links not embedded, because one end is drawn only as part of a block, or is not in the trace."""


def links(trace: Trace, events: Events, strings: Strings) -> tuple[Ints, Ints, Ints, list[list[int]], int]:
    """(rank of the parent, rank of the child, kind of link, kinds, links that name events the trace
    lacks)."""
    parent = events.rank(narrow(ints(column(trace, "links", "parent_id"))))
    child = events.rank(narrow(ints(column(trace, "links", "child_id"))))
    rule, rules = texts(column(trace, "links", "rule"), 80)
    evidence, grades = texts(column(trace, "links", "evidence"), 80)
    kind, sample = combine(rule, evidence)
    named = [
        [
            strings(rules[rule[i]] if rule[i] >= 0 else None),
            strings(grades[evidence[i]] if evidence[i] >= 0 else None),
        ]
        for i in sample.tolist()
    ]
    there = (parent >= 0) & (child >= 0)
    if there.all():
        return parent, child, kind, named, 0
    return parent[there], child[there], kind[there], named, int((~there).sum())


def by_parent(parent: Ints, child: Ints) -> Ints:
    """Order by parent, then child, both below 2^31."""
    key = parent.astype(np.int64)
    key <<= 31
    key |= child
    return np.argsort(key)


def pack_details(
    embedded: npt.NDArray[np.bool_],
    events: Events,
    calls: Calls,
    link: tuple[Ints, Ints, Ints, list[list[int]], int],
) -> Packed:
    """Links between embedded events, their calls, and which event belongs to which call.

    `embedded` is true (one entry an event, by rank) for the events that the page holds exactly.
    """
    parent, child, rule, rules, lost = link
    keep = embedded[parent] & embedded[child]
    p, c, kind = (values[keep].astype(np.int64) for values in (parent, child, rule))
    order = by_parent(p, c)
    p, c, kind = p[order], c[order], kind[order]
    rank = events.rank(calls.event_id)
    mine = (rank >= 0) & embedded[rank]
    needed = np.zeros(len(calls.call_id), bool)
    needed[calls.call[mine]] = True
    above = calls.parent[needed]
    while len(above := above[above >= 0]) and not needed[above].all():
        needed[above] = True
        above = calls.parent[above]
    number = np.cumsum(needed) - 1
    up = calls.parent[needed]
    of_event, of_call = rank[mine].astype(np.int64), number[calls.call[mine]]
    if (np.diff(of_event) < 0).any():
        # A stable order by rank keeps the call with the largest share first.
        order = np.argsort(of_event, kind="stable")
        of_event, of_call = of_event[order], of_call[order]
    called = np.clip(calls.start[needed] - events.t0, 0, None)
    return Packed(
        pack.text(np.diff(p, prepend=0), pack.zigzag(c - p), kind),
        pack.text(
            calls.kind[needed],
            np.where(up >= 0, number[up] + 1, 0),
            calls.step[needed] + 1,
            np.where(calls.start[needed] > 0, called, 0),
            calls.total[needed] + 1,
            np.diff(of_event, prepend=0),
            pack.zigzag(np.diff(of_call, prepend=0)),
        ),
        len(p),
        int(needed.sum()),
        len(of_event),
        rules,
        lost + int((~keep).sum()),
    )


def unobserved(trace: Trace, seen: set[int]) -> dict[str, str]:
    """Why a layer has no event in this trace or may lack one, from what the manifest says of its probes."""
    probes = {str(p.get("name")): p for p in trace.manifest.get("probes") or [] if isinstance(p, dict)}
    reasons = {}
    for number, (layer, sources) in enumerate(_SOURCES.items()):
        said = []
        for name in sources:
            probe = probes.get(name)
            if probe is None:
                continue
            why = probe.get("reason")
            lost = probe.get("lost")
            if probe.get("status") != "ok":
                said.append(f"probe {name} {probe.get('status')}" + (f": {why}" if why else ""))
            elif lost:
                said.append(f"probe {name} lost {lost} events" + (f": {why}" if why else ""))
        if number in seen:
            text = "no event of this layer is linked to this one"
        elif layer == "stream_executor":
            text = "not observed in this run; an op on the CPU does not pass through StreamExecutor"
        else:
            text = "no probe observed this layer in this run"
        reasons[layer] = legible("; ".join([text, *said]), 600)
    return reasons


_SOURCES: dict[str, tuple[str, ...]] = {
    "python": ("dispatch", "graph"),
    "api": ("dispatch", "graph"),
    "gen_op": ("dispatch", "graph"),
    "runtime": ("dispatch", "tf_profiler"),
    "kernel": ("tf_profiler", "itt"),
    "stream_executor": ("stream_executor", "cudnn"),
    "library": ("itt", "onednn", "cudnn"),
    "device": ("tf_profiler", "itt"),
}
"""The probes that can see each layer, in the order of the layers."""
