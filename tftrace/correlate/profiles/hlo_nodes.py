"""Which nodes of the graph an HLO instruction computes.

XLA writes the name of the node that an instruction was made of into its metadata, and gives a fusion that of its root:

    instruction                metadata   leads to   and computes beside it
    Conv2D.1 = convolution     Conv2D     Conv2D
    broadcast_maximum_fusion   Relu       Relu       BiasAdd
    convolution.2              none       Conv2DBackpropFilter: its result goes to a transpose of that name

Passes that make an instruction anew, layout assignment above all, leave the name out. Such an instruction works for
those that use its result: it leads to the first ones that have a name, within fusions too. Where no user has one, it
leads to the nearest that it is computed from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, compact, numbered
from tftrace.ingest import wire
from tftrace.ingest.hlo import HloInstruction, HloModule, read_hlo
from tftrace.ingest.xplane.space import XSpace
from tftrace.ingest.xplane.stats import StatColumns

Bools = npt.NDArray[np.bool_]

NAMED: Final = "name in the HLO program"
USERS: Final = "what uses its result in the HLO program"
SOURCES: Final = "what it is computed from in the HLO program"
_CONTAINERS: Final = ("while", "conditional", "call")
_NO_WORK: Final = ("parameter", "constant", "tuple", "get-tuple-element")
_ARGUMENTS: Final = "XLA_"  # XLA_Args, XLA_Retvals: TensorFlow's names for what stands for no node


@dataclass(frozen=True)
class HloWork:
    """`node` is what the instruction was made of, None where nothing tells; `others` it computes besides."""

    opcode: str
    node: str | None
    others: tuple[str, ...]
    rule: str | None


class HloNodes:
    """The instructions of one module by name."""

    def __init__(self, module: HloModule) -> None:
        self.module = module
        self._work: dict[str, HloWork | None] = {}

    def of(self, instruction: str) -> HloWork | None:
        """What `instruction` computes; None where the module has none of this name."""
        if instruction not in self._work:
            at = self._by_name.get(instruction)
            self._work[instruction] = None if at is None else self._find(at)
        return self._work[instruction]

    @cached_property
    def _by_name(self) -> dict[str, int]:
        return {row.name: at for at, row in enumerate(self.module.instructions)}

    @cached_property
    def _users(self) -> list[list[int]]:
        users: list[list[int]] = [[] for _ in self.module.instructions]
        for at, row in enumerate(self.module.instructions):
            for operand in row.operands:
                users[operand].append(at)
        return users

    @cached_property
    def _inside(self) -> dict[int, list[int]]:
        inside: dict[int, list[int]] = {}
        for at, row in enumerate(self.module.instructions):
            inside.setdefault(row.computation, []).append(at)
        return inside

    def _find(self, at: int) -> HloWork:
        row = self.module.instructions[at]
        computed = self._computed(row)
        own = _name(row)
        if own is not None:
            return HloWork(row.opcode, own, tuple(n for n in computed if n != own), NAMED)
        if computed:  # a fusion whose root has no name; the last of its instructions is nearest to it
            return HloWork(row.opcode, computed[-1], tuple(computed[:-1]), NAMED)
        for step, rule in ((self._onward, USERS), (self._back, SOURCES)):
            found = self._nearest(at, step)
            if found:
                return HloWork(row.opcode, found[0], tuple(found[1:]), rule)
        return HloWork(row.opcode, None, (), None)

    def _computed(self, row: HloInstruction) -> list[str]:
        """Names within a fusion, without what only carries values."""
        if row.opcode != "fusion":
            return []
        names: dict[str, None] = {}
        for computation in row.calls:
            for at in self._inside.get(computation, []):
                inner = self.module.instructions[at]
                name = _name(inner)
                if name is not None and inner.opcode not in _NO_WORK:
                    names.setdefault(name)
        return list(names)

    def _nearest(self, at: int, step: Callable[[int], list[int]]) -> list[str]:
        """Names of the nearest instructions that have one, by breadth-first search."""
        seen, level = {at}, [at]
        while level:
            following = [n for here in level for n in step(here) if n not in seen]
            names = dict.fromkeys(
                name
                for n in following
                if (name := _name(self.module.instructions[n])) is not None
                and self.module.instructions[n].opcode not in _NO_WORK
            )
            if names:
                return list(names)
            seen.update(following)
            level = list(dict.fromkeys(following))
        return []

    def _onward(self, at: int) -> list[int]:
        """What uses the result of an instruction: of a fusion the inside, through the parameter that takes it."""
        out: list[int] = []
        for user in self._users[at]:
            row = self.module.instructions[user]
            if row.opcode == "fusion":
                numbers = {k for k, operand in enumerate(row.operands) if operand == at}
                taking = [
                    p
                    for c in row.calls
                    for p in self._inside.get(c, [])
                    if self.module.instructions[p].parameter in numbers
                ]
                inner = [u for p in taking for u in self._users[p]]
                out += inner or [user]
                # a fusion without any name passes the value on
                if not self._computed(row):
                    out.append(user)
            else:
                out.append(user)
        return out

    def _back(self, at: int) -> list[int]:
        return list(self.module.instructions[at].operands)


def _name(row: HloInstruction) -> str | None:
    return row.op_name if row.op_name and not row.op_name.startswith(_ARGUMENTS) else None


@dataclass(frozen=True)
class Instructions:
    """What the events of a profile say of XLA: parallel arrays of codes of the builder's words, NONE elsewhere."""

    op: Int  # the HLO instruction
    node: Int  # the node of the graph that it was made of
    others: Int  # JSON array of further nodes that it computes
    rule: Int  # how XLA's program tells that
    trial: Bools  # run by XLA's autotuner
    container: Bools  # an instruction that runs others: a loop, a branch, a call


def add_instructions(
    space: XSpace, build: TraceBuilder, trials: Collection[str] | None = None
) -> Instructions:
    """Reads the programs that stand in a profile, and tells for each event what its instruction was made of.

    XLA's autotuner runs an instruction in a module of its own, which bears the instruction's name: what it runs there
    is a trial. On a GPU the profile itself tells a node of an instruction (`name`), which is XLA's own name of a fusion
    where XLA made one; it counts where the program tells nothing. `trials` are these modules, where `space` is a part.
    """
    n, words = len(space), build.words
    column = space.stats.coded("hlo_op")
    if column is None:
        none, no = np.broadcast_to(np.int64(NONE), n), np.broadcast_to(np.bool_(False), n)
        return Instructions(none, none, none, none, no, no)
    programs = _Programs(space)
    trials = tuned_modules(space.stats, len(space)) if trials is None else trials
    number, numbered_by = space.stat_ids("program_id")
    (module, modules), (told, tolds) = (
        _coded(space.stats, len(space), stat) for stat in ("hlo_module", "name")
    )
    # what is said of an event depends on these alone: it is found once for each combination, in the order they come
    at = column.event
    which = numbered(column.code, module[at], told[at], number[at], numbered_by[at].astype(np.int64))
    first = np.full(int(which.max()) + 1, len(at), np.int64)
    np.minimum.at(first, which, np.arange(len(at)))
    found = np.full((4, len(first)), NONE, np.int64)
    of_trial, contains = np.zeros(len(first), bool), np.zeros(len(first), bool)
    for one in np.argsort(first).tolist():
        row = int(at[first[one]])
        name = str(column.values[int(column.code[first[one]])])
        holds = modules[int(module[row])] if module[row] != NONE else None
        if holds in trials:
            of_trial[one] = True
            continue
        work = programs.work(int(number[row]) if numbered_by[row] else None, holds, name)
        if work is not None:
            found[1, one] = words.code(work.node)
            others = work.others and work.rule == NAMED
            found[2, one] = words.code(compact(work.others)) if others else NONE
            found[3, one], contains[one] = words.code(work.rule), work.opcode in _CONTAINERS
        found[0, one] = words.code(name)
        if found[1, one] == NONE and told[row] != NONE and tolds[int(told[row])]:
            found[1, one] = words.code(tolds[int(told[row])])
    made = np.full((4, n), NONE, np.int64)
    trial, container = np.zeros(n, bool), np.zeros(n, bool)
    made[:, at], trial[at], container[at] = found[:, which], of_trial[which], contains[which]
    return Instructions(made[0], made[1], made[2], made[3], trial, container)


def tuned_modules(stats: StatColumns, events: int) -> frozenset[str]:
    """Names of the modules in which XLA's autotuner ran an instruction of that name, by the stats of so many events."""
    column = stats.coded("hlo_op")
    if column is None:
        return frozenset()
    module, modules = _coded(stats, events, "hlo_module")
    places = {text: at for at, text in enumerate(modules)}
    same = np.array([places.get(str(v), len(modules)) for v in column.values], np.int64)
    return frozenset(
        modules[int(m)] for m in np.unique(same[column.code][same[column.code] == module[column.event]])
    )


def _coded(stats: StatColumns, events: int, stat: str) -> tuple[Int, list[str]]:
    """(place of its text for each event, NONE for none; texts), each text once."""
    out, places = np.full(events, NONE, np.int64), dict[str, int]()
    column = stats.coded(stat)
    if column is not None:
        place = [places.setdefault(str(v), len(places)) for v in column.values]
        out[column.event] = np.array(place, np.int64)[column.code]
    return out, list(places)


class _Programs:
    """The programs of a profile by number, or where events bear none, by name."""

    def __init__(self, space: XSpace) -> None:
        self._by_number = {p.program_id: p for p in space.programs}
        self._by_name = {p.name: p for p in space.programs}
        self._nodes: dict[int, HloNodes | None] = {}

    def work(self, number: int | None, module: str | None, instruction: str) -> HloWork | None:
        found = self._by_number.get(number) if number is not None else None
        found = found or (self._by_name.get(str(module)) if module is not None else None)
        if found is None:
            return None
        if found.program_id not in self._nodes:
            try:
                self._nodes[found.program_id] = HloNodes(read_hlo(found.hlo))
            except wire.WireError:  # the rest of the profile is as good as without it
                self._nodes[found.program_id] = None
        nodes = self._nodes[found.program_id]
        return nodes.of(instruction) if nodes is not None else None
