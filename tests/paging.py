"""Everything that is on disk where it is large, on disk where it is small, and looked at in small pieces."""

from __future__ import annotations

import pytest

from tftrace.correlate.imports import chrome as chrome_import
from tftrace.correlate.imports import containment, cudnn_calls
from tftrace.correlate.imports import nsys as nsys_import
from tftrace.correlate.ledger import execution_times
from tftrace.correlate.profiles import matching
from tftrace.ingest import chrome, onednn_log
from tftrace.ingest.cudnn import records
from tftrace.ingest.xplane import space, stats
from tftrace.store import pages


def put_on_disk(patch: pytest.MonkeyPatch, rows: int = 7) -> None:
    """`rows`: so many are looked at, matched or written at once."""
    for module, name, value in (
        (pages, "SMALLEST", 1), (pages, "_BLOCK", 8 * rows), (space, "_ON_DISK", 1), (stats, "_MARKED", 4),
        (matching, "ROWS", rows), (matching, "_IDS", rows), (chrome, "ROWS", rows), (chrome_import, "SLICE", rows),
        (containment, "ROWS", rows), (nsys_import, "SLICE", rows), (records, "ROWS", rows),
        (cudnn_calls, "ROWS", rows), (execution_times, "_WAITING", rows),
        (onednn_log, "ROWS", rows),
    ):  # fmt: skip
        patch.setattr(module, name, value)
