"""Which executions `why` tells as one: of one site, on one device, of one problem, with the same library calls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tftrace.analysis import libraries
from tftrace.analysis.attributes import Attributes
from tftrace.analysis.columns import (
    Bools,
    Ints,
    Texts,
    combined,
    counted,
    distinct,
    numbers,
    positions,
    table,
)
from tftrace.analysis.evidence import Members
from tftrace.analysis.native_members import Places
from tftrace.analysis.picked import Picked
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace


@dataclass(frozen=True)
class Groups:
    """`of[i]` is the group of the chosen call i, the group with the most time first; `first[g]` is one call of group g.

    `kinds` are the kinds of library call; `library_members` the positions in the members that are library events,
    `kind` the kind of each of them.
    """

    of: Ints
    first: Ints
    count: int
    kinds: libraries.Kinds
    library_members: Ints

    @property
    def kind(self) -> Ints:
        return self.kinds.code


def group(
    trace: Trace, calls: Picked, members: Members, names: Texts, probes: Texts, said: Attributes
) -> Groups:
    """The groups of the chosen calls, of which `calls` holds the columns; `names` and `probes` are those of the
    members, `said` the attributes of the library events among them.

    Calls that only rearrange memory (a oneDNN reorder of the weights, made once) set no call apart from its
    neighbours, unless it made no other.
    """
    site = calls.numbers("site_id").values
    columns = [calls.texts(c).codes for c in ("device", "shapes", "dtypes", "op_attrs")]
    here = np.flatnonzero(members.layer == LAYERS.index("library"))
    kinds = libraries.told(trace, names.at(here), probes.at(here), said)
    calls_made = signatures(len(site), members.call[here], kinds)
    code, count = combined(site, *columns, calls_made)
    time = np.bincount(code, weights=calls.numbers("total_ns").values, minlength=count)
    place = np.empty(count, np.int64)
    place[np.argsort(-time, kind="stable")] = np.arange(count)
    of = place[code]
    first = np.zeros(count, np.int64)
    first[of[::-1]] = np.arange(len(of))[::-1]
    return Groups(of, first, count, kinds, here)


def telling(members: Members, groups: Groups, calls: int) -> Bools | None:
    """Mask of the members that tell how well a layer is known, None for all: without a call's launches on a device
    where the call also has calls into a library proper. Launches are what those ended in, or TensorFlow's own, and
    stand beside them."""
    launching = groups.kinds.launching
    if not len(groups.library_members) or not launching.any():
        return None
    launches = launching[groups.kind]
    call = members.call[groups.library_members]
    proper = np.zeros(calls, np.bool_)
    proper[call[~launches]] = True
    if not proper.any():
        return None
    keep = np.ones(len(members.call), np.bool_)
    keep[groups.library_members[launches & proper[call]]] = False
    return keep


def signatures(calls: int, call: Places, kinds: libraries.Kinds) -> Ints:
    """One code for each set of kinds of library call that a call made; -1 for none.

    call kind           call signature
    0    conv (0)       0    {conv}      0
    1    conv (0)  ->   1    {conv}      0
    1    reorder        2    {conv, sum} 1
    2    conv, sum      3    {}         -1
    """
    signature = np.full(calls, -1, np.int64)
    if not len(call):
        return signature
    auxiliary = kinds.auxiliary[kinds.code]
    telling = np.zeros(calls, np.bool_)
    telling[call[~auxiliary]] = True
    keep = ~auxiliary | ~telling[call]
    span = len(kinds.kinds)
    if span < 63:  # a bit for each kind
        kinds_of = np.zeros(calls, np.int64)
        np.bitwise_or.at(kinds_of, call[keep].astype(np.int64), np.int64(1) << kinds.code[keep])
        return np.where(kinds_of == 0, -1, distinct(kinds_of)[0])
    pairs, _ = counted(call[keep] * np.int64(span) + kinds.code[keep], calls * span)
    owner, kind = np.divmod(pairs, span)
    begins = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
    length = np.diff(np.append(begins, len(owner)))
    # fold the sorted kinds of each call into one code, a position a pass: as many passes as the largest set
    for at in range(int(length.max())):
        more = length > at
        rows = owner[begins[more]]
        signature[rows] = (signature[rows] + 1) * span + kind[begins[more] + at] + 1
        signature, _ = distinct(signature)
        if at == 0:
            empty = np.ones(calls, np.bool_)
            empty[owner] = False
    return np.where(empty, -1, signature)


@dataclass(frozen=True)
class LibraryCalls:
    """The library calls of each group by kind, in the order of the kinds: how many, how much time they took in ns, and
    the row of the first event."""

    begins: Ints
    kind: Ints
    calls: Ints
    time: npt.NDArray[np.float64]
    first: Ints

    def of(self, group: int) -> slice:
        return slice(int(self.begins[group]), int(self.begins[group + 1]))


def library_calls(groups: Groups, members: Members, durations: Ints) -> LibraryCalls:
    """`durations` are those of the members."""
    here, span = groups.library_members, max(len(groups.kinds.kinds), 1)
    key = groups.of[members.call[here]] * span + groups.kind
    code, count = distinct(key)
    keys = np.zeros(count, np.int64)
    keys[code] = key
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, code, members.event[here])  # rows stand in the order of start
    calls = np.bincount(code, weights=groups.kinds.calls, minlength=count).astype(np.int64)
    time = np.asarray(np.bincount(code, weights=durations[here], minlength=count), np.float64)
    order = np.argsort(keys)
    begins = np.searchsorted(keys[order], np.arange(groups.count + 1) * span)
    return LibraryCalls(begins, keys[order] % span, calls[order], time[order], first[order])


@dataclass(frozen=True)
class Runs:
    """The call that ran the graph: its row in the calls table for each chosen call, -1 in eager mode; and the row in
    the sites table of the outermost such call."""

    parent: Ints
    outer_site: Ints


def runs(trace: Trace, chosen: Ints) -> Runs:
    calls = table(trace, "calls")
    told = numbers(calls, "parent_call_id")
    if not told.valid.any():
        return Runs(*(np.full(len(chosen), -1, np.int64) for _ in range(2)))
    above = positions(calls, "call_id", told)
    parent = above[chosen]
    outer = parent.copy()
    for _ in range(64):
        further = np.append(above, -1)[outer]
        if not (further >= 0).any():
            break
        outer = np.where(further >= 0, further, outer)
    site = positions(table(trace, "sites"), "site_id", numbers(calls, "site_id"))
    return Runs(parent, np.append(site, -1)[outer])
