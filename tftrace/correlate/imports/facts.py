"""What every module of this package hands back: how much it added, on which clock, and which threads it saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tftrace.correlate.imports.containment import Spans
from tftrace.correlate.tables.columns import NONE, Int

EPOCH: Final = "epoch"
UTC_ASSUMED: Final = "wall clock without a zone, read as UTC"
RELATIVE: Final = "counts from its own start, which it does not tell"
ORDER: Final = "no times at all: the order of its entries, one microsecond apart"

STEP_NS: Final = 1000
"""How far apart entries are placed that have an order and no time."""


@dataclass(frozen=True)
class Facts:
    """`entries` is what the file holds, `events` what became events of the trace; `lost` what is known to be missing
    (cut, damaged), with `reason`. `details` accounts for the entries that are no events of their own."""

    entries: int
    events: int
    lost: int
    reason: str | None
    clock: str
    spans: Spans | None = None  # events of threads
    processes: list[dict[str, Any]] = field(default_factory=list)
    devices: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


def first_known(times: Int) -> int | None:
    """The earliest of these times, None where all are NONE."""
    known = times[times != NONE]
    return int(known.min()) if len(known) else None
