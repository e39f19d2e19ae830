"""An nsys export that is read and joined piece by piece gives the trace that it gives at once."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.paging import put_on_disk
from tftrace.correlate.imports import nsys as nsys_import
from tftrace.correlate.imports.containment import contain
from tftrace.correlate.imports.facts import Facts
from tftrace.correlate.tables.columns import TraceBuilder
from tftrace.correlate.tables.scratch import Scratch
from tftrace.ingest import nsys

TABLES = {
    "CUPTI_ACTIVITY_KIND_KERNEL": "start, end, deviceId, streamId, correlationId, globalPid, gridX, gridId, graphId",
    "CUPTI_ACTIVITY_KIND_MEMCPY": "start, end, deviceId, streamId, correlationId, globalPid, bytes",
    "CUPTI_ACTIVITY_KIND_RUNTIME": "start, end, globalTid, correlationId, nameId, callchainId",
    "CUPTI_ACTIVITY_KIND_DRIVER": "start, end, globalTid, correlationId, nameId",
    "NVTX_EVENTS": "start, end, eventType, globalTid, text, rangeId",
}
TIME, END = st.integers(0, 60), st.none() | st.integers(0, 90)
CORRELATION = st.none() | st.integers(0, 12)
PROCESS = st.sampled_from([7 << 24, 8 << 24])
THREAD = st.sampled_from([7 << 24 | 1, 7 << 24 | 2, 8 << 24 | 1])
NUMBER = (
    st.none() | st.integers(-2, 2) | st.integers(0, 99) | st.sampled_from([-(2**63), 2**63 - 1, "a", 0.5])
)
SMALL = st.none() | st.integers(0, 2)
DEVICE = st.sampled_from([0, 0, 0, 1, None, -5])
ROWS = {
    "CUPTI_ACTIVITY_KIND_KERNEL": st.tuples(
        TIME, END, DEVICE, SMALL, CORRELATION, PROCESS, SMALL, NUMBER, SMALL
    ),
    "CUPTI_ACTIVITY_KIND_MEMCPY": st.tuples(TIME, END, DEVICE, SMALL, CORRELATION, PROCESS, SMALL),
    "CUPTI_ACTIVITY_KIND_RUNTIME": st.tuples(TIME, END, THREAD, CORRELATION, SMALL, NUMBER),
    "CUPTI_ACTIVITY_KIND_DRIVER": st.tuples(TIME, END, THREAD, CORRELATION, SMALL),
    "NVTX_EVENTS": st.tuples(TIME, END, st.sampled_from([59, 60, 34, 75]), THREAD, st.just("step"), NUMBER),
}
EXPORT = st.fixed_dictionaries({name: st.lists(row, max_size=15) for name, row in ROWS.items()})


def written(path: Path, export: dict[str, list[tuple[Any, ...]]]) -> Path:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA synchronous = OFF")
        base.execute("CREATE TABLE StringIds (id INTEGER, value TEXT)")
        base.execute("INSERT INTO StringIds VALUES (1, 'cudaLaunchKernel'), (2, 'cuLaunchKernel')")
        for table, rows in export.items():
            base.execute(f"CREATE TABLE {table} ({TABLES[table]})")
            marks = ", ".join("?" * (TABLES[table].count(",") + 1))
            base.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    base.close()
    return path


def joined(path: Path) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    build = TraceBuilder(scratch=Scratch(in_memory=0))
    facts: Facts = nsys_import.add(nsys.read(path), build, 1000)
    assert facts.spans is not None
    contain([facts.spans], build)
    tables = {name: table.to_pylist() for name, table in build.tables().items()}
    return tables, {name: value for name, value in vars(facts).items() if name != "spans"}


def in_pieces(path: Path, rows: int, many: int = 0) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        put_on_disk(patch, rows)
        patch.setattr(nsys, "ROWS", rows)
        patch.setattr(nsys, "MANY", many)
        return joined(path)


@settings(max_examples=40, deadline=None)
@given(EXPORT, st.integers(1, 9), st.sampled_from([0, 1 << 40]))
def test_any_export_is_the_same_in_pieces(
    tmp_path_factory: pytest.TempPathFactory, export: dict[str, list[Any]], rows: int, many: int
) -> None:
    path = written(tmp_path_factory.getbasetemp() / "sliced.sqlite", export)
    tables, facts = joined(path)
    assert in_pieces(path, rows, many) == (tables, facts)
    assert launches(tables) == expected(export)


def launches(tables: dict[str, list[Any]]) -> list[tuple[Any, ...]]:
    event = {row["event_id"]: row for row in tables["events"]}
    pairs = [
        (event[row["child_id"]], event[row["parent_id"]])
        for row in tables["links"]
        if row["rule"] == "correlation id"
    ]
    return sorted((work["pid"], work["correlation_id"], call["name"]) for work, call in pairs)


def expected(export: dict[str, list[Any]]) -> list[tuple[Any, ...]]:
    """Process, id and the call's name of each piece of work with one launch, looked for one by one."""
    work = [
        (row[5] >> 24, row[4], row[2])
        for table in ("CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_MEMCPY")
        for row in export[table]
    ]
    names = {1: "cudaLaunchKernel", 2: "cuLaunchKernel"}
    found = []
    for pid, ident, _ in work:
        if ident is None or len({device for p, i, device in work if (p, i) == (pid, ident)}) > 1:
            continue
        for table, kind in (
            ("CUPTI_ACTIVITY_KIND_RUNTIME", "runtime"),
            ("CUPTI_ACTIVITY_KIND_DRIVER", "driver"),
        ):
            calls = [row for row in export[table] if (row[2] >> 24, row[3]) == (pid, ident)]
            if len(calls) == 1:
                found.append((pid, ident, names.get(calls[0][4], f"({kind} without a name)")))
                break
    return sorted(found)


def test_a_recorded_export_is_the_same_in_pieces(shared_data: Path) -> None:
    path = shared_data / "nsys/h100_2gpu_1s.sqlite"
    tables, facts = joined(path)
    assert in_pieces(path, 997) == (tables, facts)
    assert {row["rule"] for row in tables["links"]} == {"correlation id", "containment"}


def test_attributes_that_tell_rows_apart_stand_where_their_column_does(tmp_path: Path) -> None:
    rows = [
        (10 * n, 10 * n + 5, 0, 7, n, 7 << 24, 32, grid, 4) for n, grid in enumerate([1, None, 2, "odd", 2])
    ]
    tables, _ = joined(written(tmp_path / "x.sqlite", {"CUPTI_ACTIVITY_KIND_KERNEL": rows}))
    assert [row["attrs"] for row in tables["events"]] == [
        '{"gridX":32,"gridId":1,"graphId":4}', '{"gridX":32,"graphId":4}', '{"gridX":32,"gridId":2,"graphId":4}',
        '{"gridX":32,"gridId":"odd","graphId":4}', '{"gridX":32,"gridId":2,"graphId":4}',
    ]  # fmt: skip
