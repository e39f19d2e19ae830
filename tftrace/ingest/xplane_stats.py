"""Stats of a TensorFlow profile's events, as columns by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tftrace.ingest import wire
from tftrace.ingest.xplane_schema import Stat

Scalar: TypeAlias = int | float | str | bytes
Kinds: TypeAlias = npt.NDArray[np.uint8]  # field numbers of XStat's values, 0 where it has none
Bools: TypeAlias = npt.NDArray[np.bool_]
Int64s: TypeAlias = npt.NDArray[np.int64]
UInt64s: TypeAlias = npt.NDArray[np.uint64]
Values: TypeAlias = (
    npt.NDArray[np.int64] | npt.NDArray[np.uint64] | npt.NDArray[np.float64] | npt.NDArray[np.object_]
)

_WIRE_TYPES: Final = {
    Stat.DOUBLE: wire.FIXED64,
    Stat.UINT64: wire.VARINT,
    Stat.INT64: wire.VARINT,
    Stat.STR: wire.LENGTH,
    Stat.BYTES: wire.LENGTH,
    Stat.REF: wire.VARINT,
}
_EXACT_IN_DOUBLE: Final = 2**53


class StatColumn(NamedTuple):
    """One stat: indices of the events that have it, ascending, and its value at each.

    `values` are int64 or uint64, whichever holds all of them exactly; float64; or Python objects where they
    are text, bytes or of several types. A reference to a name is that name.
    """

    event: Int64s
    values: Values


class StatColumns(Mapping[str, StatColumn]):
    """Stats of events by name. A column is made when it is asked for."""

    def __init__(
        self,
        name: npt.NDArray[np.int32],
        names: list[str],
        event: Int64s,
        kind: Kinds,
        bits: UInt64s,
        texts: list[str | bytes],
    ) -> None:
        """One element per stat of an event: code in `names`, event, kind, and bits or code in `texts`."""
        order = np.argsort(name, kind="stable")
        self._event, self._kind, self._bits, self._texts = event[order], kind[order], bits[order], texts
        edges = np.searchsorted(name[order], np.arange(len(names) + 1)).tolist()
        spans = {text: slice(*edges[at : at + 2]) for at, text in enumerate(names)}
        self._spans = {text: span for text, span in spans.items() if span.start < span.stop}
        self._made: dict[str, StatColumn] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, name: str) -> StatColumn:
        if name not in self._made:
            span = self._spans[name]
            values = _values(self._kind[span], self._bits[span], self._texts)
            self._made[name] = StatColumn(self._event[span], values)
        return self._made[name]

    def integers(self, name: str) -> tuple[Int64s, Int64s]:
        """(event indices, values) of a stat, integers only; of an unsigned one the 64 bits as they are."""
        span = self._spans.get(name, slice(0, 0))
        whole = (self._kind[span] == Stat.INT64) | (self._kind[span] == Stat.UINT64)
        return self._event[span][whole], self._bits[span][whole].view(np.int64)


def read_stats(found: wire.Fields, count: int) -> tuple[Int64s, Kinds, UInt64s, Int64s]:
    """(metadata id, kind, bits, size) of `count` XStat messages.

    The bits are those of the number; for text and bytes they say where in the buffer it begins, and `size`
    how long it is; for a reference they are the metadata id whose name is meant.
    """
    ids, kind = np.zeros(count, np.int64), np.zeros(count, np.uint8)
    bits, size = np.zeros(count, np.uint64), np.zeros(count, np.int64)
    at = found.where(Stat.METADATA_ID, wire.VARINT)
    ids[found.owner[at]] = found.value[at].view(np.int64)
    for number, wire_type in _WIRE_TYPES.items():
        at = found.where(number, wire_type)
        owner = found.owner[at]
        kind[owner], bits[owner], size[owner] = number, found.value[at], found.size[at]
    return ids, kind, bits, size


def _values(kind: Kinds, bits: UInt64s, texts: list[str | bytes]) -> Values:
    kinds = set(np.unique(kind).tolist())
    signed: Int64s = bits.view(np.int64)
    if kinds == {Stat.INT64}:
        return signed
    if kinds == {Stat.UINT64}:
        return bits
    if kinds == {Stat.DOUBLE}:
        doubles: npt.NDArray[np.float64] = bits.view(np.float64)
        return doubles
    if kinds == {Stat.INT64, Stat.UINT64}:
        beyond = bits >> np.uint64(63) != 0
        if not beyond[kind == Stat.UINT64].any():
            return signed
        if not beyond[kind == Stat.INT64].any():
            return bits
    rows: list[Scalar] = []
    for what, code, value in zip(kind.tolist(), bits.tolist(), bits, strict=True):
        if what == Stat.DOUBLE:
            rows.append(float(value.view(np.float64)))
        elif what == Stat.INT64:
            rows.append(int(value.view(np.int64)))
        else:
            rows.append(code if what == Stat.UINT64 else texts[code])
    if kinds <= {Stat.INT64, Stat.UINT64, Stat.DOUBLE} and all(
        isinstance(v, float) or (isinstance(v, int) and abs(v) <= _EXACT_IN_DOUBLE) for v in rows
    ):
        return np.array(rows, np.float64)
    out = np.empty(len(rows), np.object_)
    out[:] = rows
    return out
