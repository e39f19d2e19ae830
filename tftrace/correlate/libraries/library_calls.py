"""Calls into vendor libraries, whichever library it is: what linking, membership and times are worked out from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from tftrace.correlate.libraries.native import NativeStack
from tftrace.correlate.tables.columns import Int


@dataclass
class LibraryCalls:
    """Library calls, and shares of worker threads in them: parallel arrays, in the order of their records."""

    ids: Int
    start: Int
    end: Int
    tid: Int
    call_record: Int  # dispatch record that was running on the thread, by our own id; or NONE
    is_library: np.ndarray
    outer: Int  # row of the record around it on its thread, or NONE
    verified: np.ndarray  # its native stack may be called measured
    stack: list[NativeStack | None]
    probe: Int  # code of the builder's words
    on_cpu: np.ndarray  # the call itself, or its shares, do the work; otherwise a GPU does
    stream_executor: Int  # event of the StreamExecutor function that made the call, or NONE
    spent: (
        Int  # ns of tftrace's own on that thread, right before and after it; NONE where that was not measured
    )
    closing: np.ndarray  # gives back what an earlier call made: it alone tells of no kernel
    counts: dict[str, int] = field(default_factory=dict)


def joined(a: LibraryCalls, b: LibraryCalls) -> LibraryCalls:
    """The rows of `a`, then those of `b`. `outer` of b's rows is moved along."""
    both = {
        f.name: np.concatenate([getattr(a, f.name), getattr(b, f.name)])
        for f in fields(LibraryCalls)
        if f.name not in ("stack", "counts", "outer")
    }
    outer = np.concatenate([a.outer, np.where(b.outer >= 0, b.outer + len(a.ids), b.outer)])
    return LibraryCalls(**both, outer=outer, stack=a.stack + b.stack, counts=a.counts | b.counts)
