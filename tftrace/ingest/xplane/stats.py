"""Stats of a TensorFlow profile's events, as columns by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.ingest.xplane.events import merged
from tftrace.ingest.xplane.schema import Stat

Scalar: TypeAlias = int | float | str | bytes
Bools: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.int32] | npt.NDArray[np.int64]
Int64s: TypeAlias = npt.NDArray[np.int64]
UInt64s: TypeAlias = npt.NDArray[np.uint64]
Values: TypeAlias = (
    npt.NDArray[np.int64] | npt.NDArray[np.uint64] | npt.NDArray[np.float64] | npt.NDArray[np.object_]
)

Column: TypeAlias = tuple[Ints, UInt64s]

_EXACT_IN_DOUBLE: Final = 2**53
_MARKED: Final = 1 << 14


class StatColumn(NamedTuple):
    """One stat: indices of the events that have it, ascending, and its value at each.

    `values` are int64 or uint64, whichever holds all of them exactly; float64; or Python objects where they
    are text, bytes or of several types. A reference to a name is that name.
    """

    event: Ints
    values: Values


class CodedColumn(NamedTuple):
    """One stat as codes: indices of the events that have it, ascending, the code of its value at each, and the values
    by code. A value that was written with two types stands there twice."""

    event: Ints
    code: Int64s
    values: list[Scalar]


class Piece(NamedTuple):
    """Events that follow each other in a profile, from `first` to before `last`; all, or those in `rows`."""

    first: int
    last: int
    rows: Int64s | None = None

    def __len__(self) -> int:
        return self.last - self.first if self.rows is None else len(self.rows)


class StatColumns(Mapping[str, StatColumn]):
    """Stats of events by name. What is asked for is made when it is asked for."""

    def __init__(
        self,
        parts: dict[str, dict[int, Column]],
        texts: list[str | bytes],
        wanted: Collection[str] | None = None,
    ) -> None:
        """`parts`: by name and kind (INT64, UINT64, DOUBLE; STR: codes in `texts`), events and bits. `wanted` are the
        names that were read, None all of them: to ask for another one is a fault."""
        self._parts, self._texts, self._wanted = parts, texts, wanted
        self._made: dict[str, StatColumn] = {}
        self._marks: dict[tuple[str, int], Ints] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, name: str) -> StatColumn:
        if name not in self._made:
            self._made[name] = _column(self._part(name), self._texts)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        try:
            return bool(self._part(str(name)))
        except KeyError:
            return False

    def coded(self, name: str) -> CodedColumn | None:
        """The stat without an object for each event; None where no event has it."""
        return _coded(self._part(name), self._texts) if name in self else None

    def distinct(self, name: str) -> list[Scalar]:
        """The values by the codes of `coded`; none where no event has the stat."""
        values: list[Scalar] = []
        for kind, (_, bits) in (self._part(name) if name in self else {}).items():
            values += _scalars(
                kind, pa.array(bits.view(np.int64)).unique().to_numpy().view(np.uint64), self._texts
            )
        return values

    def integers(self, name: str) -> tuple[Ints, Int64s]:
        """(event indices, values) of a stat, integers only; of an unsigned one the 64 bits as they are."""
        parts = self._part(name) if name in self else {}
        whole = [parts[kind] for kind in (Stat.INT64, Stat.UINT64) if kind in parts]
        if not whole:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        event, bits = merged(whole)
        return event, bits.view(np.int64)

    def count(self, name: str) -> int:
        """How many values a stat has."""
        return sum(len(event) for event, _ in self._part(name).values()) if name in self else 0

    def of(self, pieces: Sequence[Piece]) -> StatColumns:
        """The stats of some of the events, which are counted anew."""
        parts: dict[str, dict[int, Column]] = {}
        for name, kinds in self._parts.items():
            found = {
                kind: _of(event, bits, pieces, self._marked(name, kind, event))
                for kind, (event, bits) in kinds.items()
            }
            some = {kind: column for kind, column in found.items() if len(column[0])}
            if some:
                parts[name] = some
        return StatColumns(parts, self._texts, self._wanted)

    def _marked(self, name: str, kind: int, event: Ints) -> Ints:
        """Every so many of a column's events: where a column is on disk, looking for one by these alone needs few pages
        of it."""
        if (name, kind) not in self._marks:
            self._marks[name, kind] = event[::_MARKED].copy()
        return self._marks[name, kind]

    def _part(self, name: str) -> dict[int, Column]:
        if self._wanted is not None and name not in self._wanted:
            raise LookupError(
                f"the statistic {name!r} was not read: see STATS in tftrace.ingest.xplane.schema"
            )
        return self._parts[name]


def _place(event: npt.NDArray[Any], marks: npt.NDArray[Any], wanted: int) -> int:
    """Where `wanted` is or would be in `event`, of which `marks` are every so many."""
    one = event.dtype.type(wanted)  # of the column's own type: else all of it would be converted
    first = max(int(np.searchsorted(marks, one)) - 1, 0) * _MARKED
    return first + int(np.searchsorted(event[first : first + _MARKED], one))


def _of(event: npt.NDArray[Any], bits: UInt64s, pieces: Sequence[Piece], marks: npt.NDArray[Any]) -> Column:
    events, values = [event[:0]], [bits[:0]]
    first = 0  # of the piece, among all
    for piece in pieces:
        low, high = (_place(event, marks, edge) for edge in (piece.first, piece.last))
        at, some = event[low:high] - event.dtype.type(piece.first), bits[low:high]
        if piece.rows is not None:
            place = np.full(piece.last - piece.first, -1, event.dtype)
            place[piece.rows - piece.first] = np.arange(len(piece.rows), dtype=event.dtype)
            at = place[at]
            some, at = some[at >= 0], at[at >= 0]
        events.append(at + event.dtype.type(first))
        values.append(some)
        first += len(piece)
    return np.concatenate(events), np.concatenate(values)


def _coded(parts: dict[int, Column], texts: list[str | bytes]) -> CodedColumn:
    columns: list[Column] = []
    values: list[Scalar] = []
    for kind, (event, bits) in parts.items():
        encoded = pa.array(bits.view(np.int64)).dictionary_encode()
        code = encoded.indices.to_numpy().astype(np.uint64) + np.uint64(len(values))
        values += _scalars(kind, encoded.dictionary.to_numpy().view(np.uint64), texts)
        columns.append((event, code))
    event, code = merged(columns)
    return CodedColumn(event, code.view(np.int64), values)


def _scalars(kind: int, bits: UInt64s, texts: list[str | bytes]) -> list[Scalar]:
    if kind == Stat.DOUBLE:
        return list(bits.view(np.float64).tolist())
    if kind == Stat.INT64:
        return list(bits.view(np.int64).tolist())
    numbers: list[Scalar] = bits.tolist()
    return numbers if kind == Stat.UINT64 else [texts[int(code)] for code in numbers]


def _column(parts: dict[int, Column], texts: list[str | bytes]) -> StatColumn:
    kinds = set(parts)
    event, bits = merged(list(parts.values()))
    if kinds == {Stat.INT64}:
        return StatColumn(event, bits.view(np.int64))
    if kinds == {Stat.UINT64}:
        return StatColumn(event, bits)
    if kinds == {Stat.DOUBLE}:
        return StatColumn(event, bits.view(np.float64))
    if kinds == {Stat.INT64, Stat.UINT64}:
        if not (parts[Stat.UINT64][1] >> np.uint64(63)).any():
            return StatColumn(event, bits.view(np.int64))
        if not (parts[Stat.INT64][1] >> np.uint64(63)).any():
            return StatColumn(event, bits)
    coded = _coded(parts, texts)
    numbers = [v for v in coded.values if isinstance(v, (int, float))]
    if len(numbers) == len(coded.values) and all(
        isinstance(v, float) or abs(v) <= _EXACT_IN_DOUBLE for v in numbers
    ):
        return StatColumn(event, np.array(numbers, np.float64)[coded.code])
    distinct = np.empty(len(coded.values), np.object_)
    distinct[:] = coded.values
    return StatColumn(event, distinct[coded.code])
