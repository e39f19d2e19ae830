"""Which events belong to some calls, and how they are linked from above, by C (native/analysis/members.c), which looks
at Arrow's own memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.analysis import arrow_memory
from tftrace.analysis.arrow_memory import Column, int64, pointer
from tftrace.analysis.columns import Bools, Ints, Positions, Ranks, numbers, positions_in, spelled
from tftrace.model.layers import EVIDENCE, LAYERS
from tftrace.model.schemas import TABLES
from tftrace.native.compiling import SOURCES, loops

_SOURCE: Final = SOURCES / "analysis" / "members.c"
_UNNAMED: Final = (1 << 31) - 1
_NONE: Final = np.iinfo(np.int64).max
Places = npt.NDArray[np.int32]


@cache
def _functions() -> Any:
    functions, _ = loops("members", _SOURCE, arrow_memory.HEADER)
    if functions is not None:
        functions.tft_members.restype = functions.tft_above.restype = ctypes.c_int64
    return functions


def functions(rows: int) -> Functions | None:
    """None where they cannot be had, or rows have no 32-bit number."""
    found = _functions() if rows < 1 << 31 else None
    return None if found is None else Functions(found)


def known(part: pa.Table, name: str) -> bool:
    """Whether the columns of a part are of the types that C knows: those of the table's schema."""
    return all(field.type == TABLES[name].field(field.name).type for field in part.schema)


@dataclass(frozen=True)
class Above:
    """Links from above, as one batch has them: `into` the place of what each leads into, how `good` it is (less is
    better), and its `rule` as a code of `rules`, which has None where the dictionary has it."""

    into: Places
    good: npt.NDArray[np.int16]
    rule: Places
    rules: Sequence[str | None]


class Functions:
    def __init__(self, functions: Any) -> None:
        self._functions = functions

    def ranks(self, batch: pa.RecordBatch, of: Callable[[Any], int]) -> Ranks:
        """The layer of each row of a batch with the column `layer`, `of` its name; -1 for null."""
        column = batch.column("layer")
        rank: Ranks = np.empty(batch.num_rows, np.int8)
        of_code = np.array([*map(of, spelled(column.dictionary)), -1], np.int8)
        codes = Column.of(column.indices)
        self._functions.tft_ranks(int64(len(rank)), ctypes.byref(codes), pointer(of_code), pointer(rank))
        return rank

    def members(
        self, batch: pa.RecordBatch, ids: tuple[Positions, Positions], ranks: Ranks, number: Places
    ) -> tuple[Ints, Ranks, Places]:
        """The events of the calls that have a `number`, in a batch of event_calls: their rows, layers and the numbers
        of their calls, without those of no layer. `ids` are those of the events and of the calls."""
        (event, call), _held = _rows(batch, zip(("event_id", "call_id"), ids, strict=True))
        of, layer, owner = (np.empty(batch.num_rows, kind) for kind in (np.int64, np.int8, np.int32))
        found = self._functions.tft_members(
            int64(batch.num_rows), ctypes.byref(event), ctypes.byref(call), int64(len(ranks)), pointer(ranks),
            int64(len(number)), pointer(number), pointer(of), pointer(layer), pointer(owner),
        )  # fmt: skip
        return of[:found].copy(), layer[:found].copy(), owner[:found].copy()

    def above(self, batch: pa.RecordBatch, ids: Positions, ranks: Ranks, place: Places) -> Above:
        """The links of a batch of the table that lead from a layer above into an event that has a `place`."""
        (child, parent), _held = _rows(batch, (("child_id", ids), ("parent_id", ids)))
        rule, grade = batch.column("rule"), batch.column("evidence")
        weakest = EVIDENCE.index("inferred")
        strength = np.array(
            [*(EVIDENCE.index(v) if v in EVIDENCE else weakest for v in spelled(grade.dictionary)), weakest],
            np.int8,
        )
        into, good, code = (np.empty(batch.num_rows, kind) for kind in (np.int32, np.int16, np.int32))
        rules, grades = Column.of(rule.indices), Column.of(grade.indices)
        found = self._functions.tft_above(
            int64(batch.num_rows), *map(ctypes.byref, (child, parent, rules, grades)), pointer(strength),
            ctypes.c_int8(weakest), int64(len(ranks)), pointer(ranks), pointer(place), ctypes.c_int8(len(LAYERS)),
            ctypes.c_int8(len(EVIDENCE)), pointer(into), pointer(good), pointer(code),
        )  # fmt: skip
        return Above(into[:found].copy(), good[:found].copy(), code[:found].copy(), spelled(rule.dictionary))

    def codes(self, of: Places, best: Ints, rules: int, unnamed: int) -> Ints:
        """As `Best` says."""
        code: Ints = np.empty(len(of), np.int64)
        self._functions.tft_codes(
            int64(len(of)), pointer(of), pointer(best), *map(int64, (rules, _UNNAMED, unnamed)),
            *map(int64, (len(LAYERS), len(EVIDENCE))), pointer(code),
        )  # fmt: skip
        return code

    def weakest(self, call: Places, layer: Ranks, link: Ints, kept: Bools | None, codes: Places) -> None:
        """Puts the largest `link` of the members that are `kept`, or of all, into the `codes` of their calls and
        layers, shape (layers, calls)."""
        self._functions.tft_weakest(
            int64(len(call)), pointer(call), pointer(layer), pointer(link), None if kept is None else pointer(kept),
            int64(codes.shape[1]), pointer(codes),
        )  # fmt: skip

    def named(
        self, call: Places, layer: Ranks, link: Ints, name: Ints, group: Ints, shape: tuple[int, int]
    ) -> Ints:
        """How many events of each name each group has in each layer, one after the other: of those that a `link` leads
        into, or of all where none leads into that layer. `group` is of the calls; `shape` is how many groups and names
        there are."""
        groups, names = shape
        entered, counts = (
            np.zeros(groups * len(LAYERS), np.uint8),
            np.zeros(groups * len(LAYERS) * names, np.int64),
        )
        self._functions.tft_named(
            int64(len(call)), pointer(call), pointer(layer), pointer(link), pointer(name), pointer(group),
            int64(len(LAYERS)), int64(names), pointer(entered), pointer(counts),
        )  # fmt: skip
        return counts

    def best(self, links: Above, number: Places, best: Ints) -> None:
        """Puts the links into `best`: how good, and in the lower 32 bits the `number` of the rule, which has one of
        no rule at its end."""
        self._functions.tft_best(
            int64(len(links.into)), pointer(links.into), pointer(links.good), pointer(links.rule), pointer(number),
            ctypes.c_int32(int(number[-1])), pointer(best),
        )  # fmt: skip


class Best:
    """The best of the links into each of some places, of batches that come in the order of the table."""

    def __init__(self, places: int, functions: Functions | None) -> None:
        self._functions = functions
        self._best: Ints = np.full(places, _NONE, np.int64)
        self._numbered: dict[str, int] = {}

    def add(self, links: Above) -> None:
        known = self._numbered
        number = [_UNNAMED if rule is None else known.setdefault(rule, len(known)) for rule in links.rules]
        rules = np.array([*number, _UNNAMED], np.int32)
        if self._functions is not None:
            self._functions.best(links, rules, self._best)
        else:
            np.minimum.at(self._best, links.into, links.good.astype(np.int64) << 32 | rules[links.rule])

    @property
    def rules(self) -> list[str]:
        return list(self._numbered)

    def codes(self, of: Places, rules: int, unnamed: int) -> Ints:
        """Of the best link into each place in `of` its evidence, then the layer of the parent, then the number of its
        rule, of as many `rules`, `unnamed` where it has none; as one code, -1 where there is no link."""
        if self._functions is not None:
            return self._functions.codes(of, self._best, rules, unnamed)
        best = self._best[of]
        rule = best & 0xFFFFFFFF
        rule[rule == _UNNAMED] = unnamed
        far, grade = np.divmod(best >> 32, len(EVIDENCE))
        code = (grade * (len(LAYERS) + 1) + len(LAYERS) - far + 1) * rules + rule
        return np.where(best == _NONE, -1, code)


def _rows(
    batch: pa.RecordBatch, columns: Sequence[tuple[str, Positions]] | Any
) -> tuple[list[Column], list[Any]]:
    """Columns of ids as rows, and what holds their memory."""
    given, held = [], []
    for name, ids in columns:
        if ids.are_rows:
            array = batch.column(name)
            given.append(Column.of(array))
        else:
            array = positions_in(ids, numbers(pa.table({name: batch.column(name)}), name)).astype(
                np.int64, copy=False
            )
            given.append(Column(array.ctypes.data, None, 0))
        held.append(array)
    return given, held
