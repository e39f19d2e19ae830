"""Every event of a trace in Parquet files in the page's order, and the answers to what a served page asks of
them.

    exact.parquet   one row an event, by (duration class, start); `chunk` numbers them as the page does
    ranked.parquet  the same rows by rank
    blocks.parquet  the blocks of every level that the page uses
    above, below    links by child, by parent
    calls, of_event, of_call
                    calls, and which event belongs to which call, by event and by call

A query reads the row groups whose statistics let them hold an answer: of ten million events some ten groups.
"""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tftrace.views.timeline import details, pack
from tftrace.views.timeline.columns import Ints, order_of
from tftrace.views.timeline.compose import Composer

MEMORY = "400MB"
"""What duckdb may take for one query; a sum over all events takes a tenth of it."""
MOST = 2000
"""Rows of one answer about links and calls: the page lists and draws fewer."""
FOUND = 200_000
"""Hits of a search that the page steps through."""


class Tiles:
    """The files of one trace below `folder`, and the page that asks for them."""

    def __init__(self, made: Composer, folder: Path) -> None:
        self._rows = made.events.lanes.rows
        self._folder = folder
        self._local = threading.local()
        heads = _write_events(made, folder)
        self._heads = heads
        meta = {
            **made.meta(heads, -1, len(made.events.start)),
            "served": True,
            "linksLost": _write_links(made, folder),
        }
        _write_calls(made, folder)
        self.page = made.document(meta, {}, served=True)
        self._base = duckdb.connect(config={"threads": 2, "memory_limit": MEMORY})
        self._base.execute("set temp_directory = ''")

    def close(self) -> None:
        self._base.close()

    def chunk(self, number: int) -> bytes | None:
        """Columns of one chunk as `pack` lays them out, None where the page has no such chunk."""
        if not 0 <= number < len(self._heads):
            return None
        kind, _, base, _, _, unit, low, _ = self._heads[number]
        if kind == "E":
            c = self._numbers(
                "select row, start, dur, info, rank from {exact} where chunk = ? order by rank", [number]
            )
            return pack.exact_columns(
                self._rows, int(base), int(low), *(c[k] for k in ("row", "start", "dur", "info", "rank"))
            )
        c = self._numbers("select * exclude chunk from {blocks} where chunk = ? order by t0", [number])
        names = ("row", "t0", "t1", "count", "busy", "info")
        return pack.block_columns(self._rows, int(base), int(unit), *(c[k] for k in names))

    def events(self, ranks: list[int]) -> bytes:
        """[rank, row, start, dur, info] of each of these events."""
        return self._listed(
            f"select rank, row, start, dur, info from {{ranked}} where rank in ({_in(ranks)})"
        )

    def above(self, ranks: list[int]) -> bytes:
        """[parent, child, kind of link] of the links to these events."""
        return self._listed(
            f"select parent, child, rule from {{above}} where child in ({_in(ranks)}) limit {MOST}"
        )

    def below(self, ranks: list[int]) -> bytes:
        """As `above`, of the links from these events."""
        return self._listed(
            f"select parent, child, rule from {{below}} where parent in ({_in(ranks)}) limit {MOST}"
        )

    def calls(self, ranks: list[int]) -> bytes:
        """[call, kind, call above it, step, start, total] of the calls that the event belongs to, the one with
        the largest share first; -1 for what is not known."""
        return self._listed(
            "select number, kind, up, step, began, total from {of_event} join {calls} on number = call "
            f"where event in ({_in(ranks)}) order by place limit {MOST}"
        )

    def call(self, numbers: list[int]) -> bytes:
        return self._listed(
            f"select number, kind, up, step, began, total from {{calls}} where number in ({_in(numbers)})"
        )

    def members(self, numbers: list[int]) -> bytes:
        """[event] of the events that belong to these calls."""
        return self._listed(f"select event from {{of_call}} where call in ({_in(numbers)}) limit {MOST}")

    def found(self, infos: list[int]) -> bytes:
        """[rank] of the events of these infos, in order, the first `FOUND`."""
        return self._listed(
            f"select rank from {{ranked}} where info in ({_in(infos)}) order by rank limit {FOUND}"
        )

    def totals(self, t0: int, t1: int) -> bytes:
        """[row, info, events, ns] of what ran between two times, each event cut to them."""
        return self._listed(
            "select row, info, count(*), sum(least(start + dur, $t1) - greatest(start, $t0))::bigint from {exact} "
            "where start < $t1 and start + greatest(dur, 1) > $t0 group by all",
            {"t0": t0, "t1": t1},
        )

    def _listed(self, sql: str, values: Any = None) -> bytes:
        return orjson.dumps(self._query(sql, values).fetchall())

    def _numbers(self, sql: str, values: Any) -> dict[str, Ints]:
        found = self._query(sql, values).fetchnumpy()
        return {name: np.asarray(column, np.int64) for name, column in found.items()}

    def _query(self, sql: str, values: Any) -> duckdb.DuckDBPyConnection:
        if not hasattr(self._local, "cursor"):
            self._local.cursor = self._base.cursor()  # a cursor serves one thread
        cursor: duckdb.DuckDBPyConnection = self._local.cursor
        names = ("exact", "ranked", "blocks", "above", "below", "calls", "of_event", "of_call")
        quoted = str(self._folder).replace("'", "''")
        return cursor.execute(sql.format(**{n: f"'{quoted}/{n}.parquet'" for n in names}), values)


def _in(numbers: list[int]) -> str:
    """What stands in `in (..)`. A short list lets duckdb skip row groups, a long one would take long to parse."""
    listed = ",".join(map(str, map(int, numbers))) or "-1"
    return listed if len(numbers) <= 1000 else f"select unnest([{listed}])"


def _write(folder: Path, name: str, order: Ints | None = None, **columns: Ints) -> None:
    """Writes the columns, in the given order of their rows, a row group at a time."""
    schema = pa.schema([(n, _width(c)) for n, c in columns.items()])
    size = len(next(iter(columns.values())))
    with pq.ParquetWriter(
        folder / f"{name}.parquet", schema, use_dictionary=False, column_encoding="DELTA_BINARY_PACKED",
        compression="none",
    ) as file:  # fmt: skip
        for low in range(0, size, pack.CHUNK):
            rows = slice(low, low + pack.CHUNK) if order is None else order[low : low + pack.CHUNK]
            file.write_table(
                pa.table([pa.array(columns[f.name][rows], f.type) for f in schema], schema=schema)
            )


def _width(values: Ints) -> pa.DataType:
    small = not len(values) or (int(values.min()) > -(1 << 31) and int(values.max()) < 1 << 31)
    return pa.int32() if small else pa.int64()


def _write_events(made: Composer, folder: Path) -> list[list[int | str]]:
    """Writes events and blocks; returns the head of every chunk."""
    e = made.events
    rank = order_of(made.cls + 1)
    bounds = [0, *np.cumsum(np.bincount(made.cls + 1)).tolist()]
    heads: list[list[int | str]] = []
    chunk = np.zeros(len(rank), np.int32)
    for cls, (first, last) in enumerate(itertools.pairwise(bounds), start=-1):
        for low in range(first, last, pack.CHUNK):
            mine = rank[low : min(low + pack.CHUNK, last)]
            chunk[mine] = len(heads)
            heads.append(pack.exact_head(cls, e.start[mine], e.dur[mine], mine))
    numbers = np.arange(len(rank), dtype=np.int32)
    columns = {"rank": numbers, "row": e.lanes.row, "start": e.start, "dur": e.dur, "info": e.info}
    _write(folder, "exact", rank, chunk=chunk, **columns)
    del chunk, rank
    _write(folder, "ranked", **columns)
    parts: list[dict[str, Ints]] = []
    for level in made.levels:
        if level < 0:
            continue
        blocks, width = made.blocks(level), int(made.widths[level])
        order = np.argsort(blocks.t0, kind="stable")
        for low in range(0, len(blocks), pack.CHUNK):
            mine = order[low : low + pack.CHUNK]
            part = {n: getattr(blocks, n)[mine] for n in ("row", "t0", "t1", "count", "busy", "info")}
            parts.append({"chunk": np.full(len(mine), len(heads)), **part})
            heads.append(pack.block_head(level, width, part["t0"], part["t1"]))
    names = ("chunk", "row", "t0", "t1", "count", "busy", "info")
    empty = np.zeros(0, np.int64)
    _write(folder, "blocks", **{n: np.concatenate([empty, *(p[n] for p in parts)]) for n in names})
    return heads


def _write_links(made: Composer, folder: Path) -> int:
    """Writes the links; returns how many name events that the trace lacks."""
    parent, child, rule, _, lost = made.links
    order = details.by_parent(parent, child)
    _write(folder, "below", order, parent=parent, child=child, rule=rule)
    order = np.argsort(child, kind="stable")
    _write(folder, "above", order, parent=parent, child=child, rule=rule)
    return lost


def _write_calls(made: Composer, folder: Path) -> None:
    calls: details.Calls = made.calls
    began = np.where(calls.start > 0, np.clip(calls.start - made.events.t0, 0, None), 0)
    _write(
        folder, "calls", number=np.arange(len(calls.kind)), kind=calls.kind, up=calls.parent, step=calls.step,
        began=began, total=calls.total,
    )  # fmt: skip
    rank = made.events.rank(calls.event_id)
    # A stable order by rank keeps the call with the largest share first.
    event, call = rank, calls.call
    if not (event[1:] >= event[:-1]).all():
        order = np.argsort(event, kind="stable")
        event, call = event[order], call[order]
    lost = int(np.searchsorted(event, 0))
    event, call = event[lost:], call[lost:]
    _write(folder, "of_event", event=event, call=call, place=np.arange(len(event), dtype=np.int32))
    _write(folder, "of_call", np.argsort(call, kind="stable"), call=call, event=event)
