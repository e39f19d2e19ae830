"""What the attributes of some events say: the most of a trace by size, and wanted of few of its events."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tftrace.analysis import arrow_memory, native_texts
from tftrace.analysis.columns import Bools, Ints, codes, joined, parts, table
from tftrace.analysis.picked import Ascending
from tftrace.model.trace import Trace
from tftrace.store.lazy import LazyTable

_TRIAL: Final = '"tuning":true'  # searched for as a regular expression, which takes half the time
_NONE: Final = pa.DictionaryArray.from_arrays(pa.nulls(0, pa.int32()), pa.nulls(0, pa.string()))
_NO_ROWS: Final[Ints] = np.zeros(0, np.int64)
_ROWS: Final = 1 << 16
_IN_C_ROWS: Final = 1 << 14
"""Rows that are looked at together: their texts then stay in the processor's caches."""
IN_C: Final = 1 << 16
"""Rows from which on C, which may have to be compiled first, is worth it."""


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
    asked = (Ascending(rows), Ascending(tried))
    if len(rows) + len(tried) >= IN_C and _texts(trace):
        found = _in_c(trace, *asked)
        if found is not None:
            return found

    def make(part: pa.Table, first: int) -> tuple[pa.DictionaryArray, Bools]:
        column = part.column("attrs")
        here, maybe = (some.within(first, len(column)) for some in asked)
        said = column.take(arrow_memory.numbers(here)).cast(pa.string())
        if not len(maybe) or _nowhere(column):
            tried = np.zeros(len(maybe), np.bool_)
        else:
            tried = _trial(column.take(arrow_memory.numbers(maybe)))
        return joined(said.dictionary_encode()) if len(said) else _NONE, tried

    parted = list(parts(trace, "events", ["attrs"], make, _needed(*asked), _ROWS))
    said = joined(pa.chunked_array([_NONE, *(one for one, _ in parted)]))
    trial = np.concatenate([np.zeros(0, np.bool_), *(mask for _, mask in parted)])
    return Attributes(asked[0].back(codes(said)), said.dictionary, asked[1].back(trial))


def _needed(*asked: Ascending) -> Callable[[int, int], bool]:
    return lambda first, count: any(len(some.within(first, count)) for some in asked)


def _texts(trace: Trace) -> bool:
    """Whether attributes are the texts that C knows; on disk they always are."""
    events = table(trace, "events")
    return isinstance(events, LazyTable) or bool(events.schema.field("attrs").type == pa.string())


def _in_c(trace: Trace, rows: Ascending, tried: Ascending) -> Attributes | None:
    """The same by C; None where there is none."""
    texts = native_texts.Texts.new()
    if texts is None:
        return None
    code, trial = np.empty(len(rows), np.int64), np.empty(len(tried), np.bool_)

    def make(part: pa.Table, first: int) -> None:
        for chunk in part.column("attrs").chunks:
            for some, into, told in ((rows, code, texts.add), (tried, trial, _tried)):
                here, to = some.placed(first, len(chunk))
                if len(here):
                    into[to] = told(chunk, here)
            first += len(chunk)

    def _tried(chunk: pa.Array, here: Ints) -> Bools:
        return texts.holding(chunk, here, _TRIAL.encode())

    with closing(texts):
        for _ in parts(trace, "events", ["attrs"], make, _needed(rows, tried), _IN_C_ROWS):
            pass
        return Attributes(code, texts.array(), trial)


def trials(trace: Trace) -> Bools:
    """Mask of all events: those that were an autotuner's trial."""
    masks = list(
        parts(trace, "events", ["attrs"], lambda part, _: _trial(part.column("attrs")), rows=_IN_C_ROWS)
    )
    return np.concatenate([np.zeros(0, np.bool_), *masks])


def _trial(column: pa.ChunkedArray) -> Bools:
    if _nowhere(column):
        return np.zeros(len(column), np.bool_)
    found = pc.match_substring_regex(column.cast(pa.string()), _TRIAL)
    chunks = [found] if isinstance(found, pa.Array) else found.chunks
    return np.concatenate([arrow_memory.values(c).astype(np.bool_) & arrow_memory.valid(c) for c in chunks])


def _nowhere(column: pa.ChunkedArray) -> bool:
    """Whether the memory of the texts holds no trial at all, as all but always: quicker to tell than row by
    row."""
    search = _memmem()
    needle = _TRIAL.encode()
    for chunk in column.chunks:
        memory = chunk.buffers()[-1] if len(chunk) and pa.types.is_string(chunk.type) else None
        if chunk.null_count == len(chunk):
            continue
        if search is None or memory is None or search(memory.address, memory.size, needle, len(needle)):
            return False
    return True


@cache
def _memmem() -> Any:
    """Of the C library; None where it has none."""
    try:
        found = ctypes.CDLL(None).memmem
    except (OSError, AttributeError, TypeError):
        return None
    found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    found.restype = ctypes.c_void_p
    return found
