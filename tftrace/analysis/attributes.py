"""What the attributes of some events say: the most of a trace by size, and wanted of few of its events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tftrace.analysis import arrow_memory
from tftrace.analysis.columns import Ascending, Bools, Ints, codes, joined, parts
from tftrace.model.trace import Trace

_TRIAL: Final = '"tuning":true'  # searched for as a regular expression, which takes half the time
_NONE: Final = pa.DictionaryArray.from_arrays(pa.nulls(0, pa.int32()), pa.nulls(0, pa.string()))
_NO_ROWS: Final[Ints] = np.zeros(0, np.int64)
_ROWS: Final = 1 << 16
"""Rows that are looked at together: their texts then stay in the processor's caches."""


@dataclass(frozen=True)
class Attributes:
    """Attributes of some events: `code[i]` is the position in `texts` (-1 is null). `trial` says of some which were an
    autotuner's trial."""

    code: Ints
    texts: pa.Array
    trial: Bools


def attributes(trace: Trace, rows: Ints, tried: Ints = _NO_ROWS) -> Attributes:
    """The attributes of the events in `rows`, and whether those in `tried` were trials: in one go, part by part, and
    what other events hold is left behind at once."""
    asked = [Ascending(rows), Ascending(tried)]

    def needed(first: int, count: int) -> bool:
        return any(len(some.within(first, count)) for some in asked)

    def make(part: pa.Table, first: int) -> tuple[pa.DictionaryArray, Bools]:
        column = part.column("attrs")
        said, maybe = (
            column.take(arrow_memory.numbers(some.within(first, len(column)))).cast(pa.string())
            for some in asked
        )
        return joined(said.dictionary_encode()) if len(said) else _NONE, _trial(maybe)

    found = list(parts(trace, "events", ["attrs"], make, needed, _ROWS))
    said = joined(pa.chunked_array([_NONE, *(one for one, _ in found)]))
    trial = np.concatenate([np.zeros(0, np.bool_), *(mask for _, mask in found)])
    return Attributes(asked[0].back(codes(said)), said.dictionary, asked[1].back(trial))


def trials(trace: Trace) -> Bools:
    """Mask of all events: those that were an autotuner's trial."""
    masks = list(parts(trace, "events", ["attrs"], lambda part, _: _trial(part.column("attrs")), rows=_ROWS))
    return np.concatenate([np.zeros(0, np.bool_), *masks])


def _trial(column: pa.ChunkedArray) -> Bools:
    if not len(column):
        return np.zeros(0, np.bool_)
    found = pc.match_substring_regex(column.cast(pa.string()), _TRIAL)
    chunks = [found] if isinstance(found, pa.Array) else found.chunks
    return np.concatenate([arrow_memory.values(c).astype(np.bool_) & arrow_memory.valid(c) for c in chunks])
