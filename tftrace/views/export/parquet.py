"""One flat Parquet file, a row an event, joined with the call and the site that it belongs to.

    events                          event_calls      calls          sites
    event_id layer  name            event_id call_id call_id site_id site_id op     python_line
    7        kernel Conv2D:MklConvOp 7       3       3       1       1       Conv2D 17
                                            |
                                            v
    event_id layer  name             .. call_id step shapes     .. op     api          python_line ..
    7        kernel Conv2D:MklConvOp .. 3       0    [[8,56,56,64]..] Conv2D tf.nn.conv2d 17

An event that serves several calls stands for the one with its largest share. Columns are those of the tables, see
docs/trace-format.md; texts are plain strings and the encodings Parquet's oldest, so any reader takes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from tftrace.errors import InputError
from tftrace.model.trace import Trace
from tftrace.views.export.slices import written
from tftrace.views.timeline.columns import table

SUFFIX: Final = ".parquet"

_OF_CALL: Final = (
    "call_id",
    "site_id",
    "parent_call_id",
    "step",
    "warm_up",
    "shapes",
    "dtypes",
    "op_attrs",
    "status",
)
_OF_SITE: Final = (
    "site_id", "op", "api", "gen_op", "python_file", "python_line", "python_code", "mode", "graph", "node",
)  # fmt: skip


def write(trace: Trace, path: Path) -> None:
    events = table(trace, "events")
    if not events.num_rows:
        raise InputError(f"{trace.name}: holds no events to export; record a run with 'tftrace run'")
    belongs = table(trace, "event_calls").sort_by([("share", "descending"), ("call_id", "ascending")])
    main = belongs.group_by("event_id", use_threads=False).aggregate([("call_id", "first")])
    main = main.rename_columns(["event_id", "call_id"])
    calls = table(trace, "calls").select(_OF_CALL)
    sites = table(trace, "sites").select(_OF_SITE)
    flat = _plain(events).join(main, "event_id").join(_plain(calls), "call_id").join(_plain(sites), "site_id")
    flat = flat.sort_by([("start_ns", "ascending"), ("event_id", "ascending")])
    with written(path) as file:
        pq.write_table(flat, file, compression="zstd")


def _plain(rows: pa.Table) -> pa.Table:
    """Without dictionaries, which a join would have to unify and old readers do not know."""
    columns = {
        name: column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for name, column in zip(rows.column_names, rows.columns, strict=True)
    }
    return pa.table(columns)
