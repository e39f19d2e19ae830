"""Nsight Systems exports: what is there is read, what is not there is not missed."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.errors import InputError
from tftrace.ingest import nsys, sqlite_columns
from tftrace.ingest.nsys_activities import Activity
from tftrace.ingest.recorded_file import read_head
from tftrace.ingest.sqlite_columns import Column, NotPlainError, columns_of, combinations
from tftrace.native.compiling import compiler


def made(path: Path, *statements: str) -> Path:
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE StringIds (id INTEGER, value TEXT)")
        base.execute("INSERT INTO StringIds VALUES (1, 'my_kernel'), (2, 'cudaLaunchKernel_v7000')")
        for statement in statements:
            base.execute(statement)
    base.close()
    return path


KERNELS = "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER, correlationId INTEGER, globalPid INTEGER, shortName INTEGER)"  # noqa: E501


def test_an_old_export_with_few_columns_is_read(tmp_path: Path) -> None:
    pid = 111 << 24
    path = made(
        tmp_path / "old.sqlite",
        KERNELS,
        f"INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (10, 30, 0, 7, 5, {pid}, 1)",
    )
    assert nsys.sniff(path, read_head(path))
    export = nsys.read(path)
    (kernels,) = export.activities
    assert (kernels.kind, kernels.names) == ("kernel", ["my_kernel"])
    assert (kernels.pid.tolist(), kernels.start_ns.tolist(), kernels.end_ns.tolist()) == ([111], [10], [30])
    assert not export.absolute


def test_times_are_moved_to_the_epoch_by_the_system_clock(tmp_path: Path) -> None:
    started = "CREATE TABLE TARGET_INFO_SESSION_START_TIME (utcEpochNs INTEGER, systemClockNs INTEGER)"
    path = made(
        tmp_path / "x.sqlite", KERNELS, started, "INSERT INTO TARGET_INFO_SESSION_START_TIME VALUES (1000000, 400)",
        "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (500, 600, 0, 7, 5, 1, 1)",
    )  # fmt: skip
    export = nsys.read(path)
    assert export.absolute
    assert export.activities[0].start_ns.tolist() == [1000100]


def test_values_of_any_type_and_null_are_borne(tmp_path: Path) -> None:
    path = made(
        tmp_path / "odd.sqlite", KERNELS,
        "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES ('soon', NULL, NULL, x'00', 1.5, NULL, 99)",
    )  # fmt: skip
    kernels = nsys.read(path).activities[0]
    assert kernels.names == ["(kernel without a name)"]
    for column in (
        kernels.start_ns,
        kernels.end_ns,
        kernels.pid,
        kernels.device,
        kernels.stream,
        kernels.correlation,
    ):
        assert column.tolist() == [-1]


def test_a_table_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = made(tmp_path / "x.sqlite", "CREATE TABLE NOVEL (a)", "INSERT INTO NOVEL VALUES (1), (2)")
    assert nsys.read(path).unread == {"NOVEL": 2}


def test_another_sqlite_file_is_not_taken_for_an_export(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE t (a)")
    base.close()
    assert not nsys.sniff(path, read_head(path))


def test_a_damaged_export_is_refused_in_one_line(tmp_path: Path) -> None:
    path = made(tmp_path / "x.sqlite", KERNELS)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"x\.sqlite: no SQLite file or damaged"):
        nsys.read(path)


def test_a_recorded_export_of_two_gpus(shared_data: Path) -> None:
    export = nsys.read(shared_data / "nsys/h100_2gpu_1s.sqlite")
    assert {a.kind: len(a) for a in export.activities} == {
        "kernel": 3442, "memcpy": 904, "memset": 22, "runtime": 5796, "nvtx": 16782,
    }  # fmt: skip
    by_kind = {a.kind: a for a in export.activities}
    assert set(by_kind["kernel"].device.tolist()) == {0, 1}
    assert set(np.unique(by_kind["runtime"].pid).tolist()) == {111, 112}
    assert export.unread["NVTX_PAYLOAD_SCHEMA_ENTRIES"] == 34
    assert np.datetime64(int(by_kind["kernel"].start_ns.min()), "ns").astype(
        "datetime64[D]"
    ) == np.datetime64("2026-05-24")


def straightforward(path: Path, table: str, name: str, attrs: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Rows of one table, one by one: name, start, end and correlation id, and the attributes there are."""
    with sqlite3.connect(path) as base:
        texts = dict(base.execute("SELECT id, value FROM StringIds"))
        (shift,) = base.execute(
            "SELECT utcEpochNs - systemClockNs FROM TARGET_INFO_SESSION_START_TIME"
        ).fetchone()
        columns = ", ".join([name, "start", "end", "correlationId", *attrs])
        return [
            (texts[text], start + shift, end + shift, correlation, tuple(more))
            for text, start, end, correlation, *more in base.execute(f"SELECT {columns} FROM {table}")
        ]


@pytest.mark.parametrize("many", [0, 1 << 40])
@pytest.mark.parametrize("rows", [50, 1 << 20])
def test_an_export_is_read_alike_however_many_rows_at_a_time(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch, rows: int, many: int
) -> None:
    path = shared_data / "nsys" / "h100_2gpu_1s.sqlite"
    monkeypatch.setattr(nsys, "ROWS", rows)
    monkeypatch.setattr(nsys, "MANY", many)
    read = {a.kind: a for a in nsys.read(path).activities}
    for kind, table, name in (
        ("kernel", "CUPTI_ACTIVITY_KIND_KERNEL", "demangledName"),
        ("runtime", "CUPTI_ACTIVITY_KIND_RUNTIME", "nameId"),
    ):
        found = read[kind]
        columns = (found.name, found.start_ns, found.end_ns, found.correlation)
        told = [
            (found.names[name], start, end, correlation, further(found, row))
            for row, (name, start, end, correlation) in enumerate(
                zip(*(c.tolist() for c in columns), strict=True)
            )
        ]
        attrs = tuple(name for some in found.further for name in some.names)
        assert told == straightforward(path, table, name, attrs)


def further(activity: Activity, row: int) -> tuple[Any, ...]:
    """The values of all further columns of a row."""
    return tuple(value for some in activity.further for value in some.at(row))


def told(export: nsys.Nsys) -> list[tuple[Any, ...]]:
    """Everything that is read of the rows, to compare."""
    return [
        (
            a.kind,
            a.names,
            [some.names for some in a.further],
            [further(a, row) for row in range(len(a))],
            *(getattr(a, name).tolist() for name in COLUMNS),
        )
        for a in export.activities
    ]


COLUMNS = ("name", "start_ns", "end_ns", "pid", "tid", "device", "stream", "correlation")
VALUE = st.one_of(
    st.none(),
    st.integers(0, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([-1, 2**63 - 1, -(2**63), 111 << 24 | 5]),
)
TEXT = st.none() | st.sampled_from(["", "a", "range", "\xe9", "x" * 30, "1"])
ODD = st.sampled_from([1.0, 1.5, "1", "text", b"1", b"", 7, None])
KERNEL = (
    "start",
    "end",
    "globalTid",
    "globalPid",
    "correlationId",
    "gridX",
    "gridId",
    "gridY",
    "demangledName",
    "shortName",
)
NVTX = ("start", "end", "eventType", "globalTid", "category", "rangeId", "textId", "jsonText", "text")
COLUMNS_OF = {
    "CUPTI_ACTIVITY_KIND_KERNEL": (KERNEL, st.tuples(*[VALUE] * len(KERNEL))),
    "NVTX_EVENTS": (
        NVTX,
        st.tuples(VALUE, VALUE, st.sampled_from([59, 60, 34, 75, None]), *[VALUE] * 4, TEXT, TEXT),
    ),
}


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(list(COLUMNS_OF)).flatmap(
        lambda table: st.tuples(
            st.just(table), st.lists(COLUMNS_OF[table][1].map(list), min_size=1, max_size=12),
            st.sets(st.sampled_from(COLUMNS_OF[table][0])),
        )
    ),
    st.none() | st.tuples(st.integers(0, 11), st.integers(0, 9), ODD), st.integers(1, 5),
    st.sampled_from([40, 1 << 12]),
)  # fmt: skip
def test_rows_are_read_alike_with_and_without_c(
    tmp_path_factory: pytest.TempPathFactory, generated: tuple[str, list[list[Any]], set[str]],
    odd: tuple[int, int, Any] | None, at_once: int, texts: int,
) -> None:  # fmt: skip
    table, rows, left_out = generated
    names = COLUMNS_OF[table][0]
    path = tmp_path_factory.mktemp("made") / "x.sqlite"
    if odd is not None and odd[0] < len(rows):
        rows[odd[0]][odd[1] % len(names)] = odd[2]
    have = [n for n, name in enumerate(names) if name not in left_out]
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE StringIds (id INTEGER, value TEXT)")
        base.execute("INSERT INTO StringIds VALUES (1, 'my_kernel'), (2, 'other')")
        base.execute(f"CREATE TABLE {table} ({', '.join(['extra', *(names[n] for n in have)])})")
        marks = ", ".join("?" * (len(have) + 1))
        base.executemany(f"INSERT INTO {table} VALUES ({marks})", [[0, *(r[n] for n in have)] for r in rows])
    base.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nsys, "ROWS", at_once)
        patch.setattr(sqlite_columns, "TEXTS", texts)
        patch.setattr(nsys, "MANY", 1 << 40)
        plain = told(nsys.read(path))
        patch.setattr(nsys, "MANY", 0)
        assert told(nsys.read(path)) == plain
    path.unlink()


def test_a_recorded_export_is_read_alike_with_and_without_c(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shared_data / "nsys/h100_2gpu_1s.sqlite"
    monkeypatch.setattr(nsys, "MANY", 1 << 40)
    plain = told(nsys.read(path))
    monkeypatch.setattr(nsys, "MANY", 0)
    assert told(nsys.read(path)) == plain


@pytest.mark.skipif(compiler() is None, reason="there is no C compiler")
def test_columns_of_numbers_and_texts_are_read_by_c_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(
        tmp_path / "x.sqlite", "CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, NULL), (-7, 5), (3, 6)"
    )
    (columns,) = columns_of(path, "SELECT a, b FROM t", 2, 10)
    assert [c.value.tolist() for c in columns] == [[1, -7, 3], [0, 5, 6]]
    assert [c.null.tolist() for c in columns] == [[False] * 3, [True, False, False]]
    assert [c.at(np.array([2, 0])) for c in columns] == [[3, 1], [6, None]]
    # as many rows as there is room for, of rows and of texts
    assert [len(some[0].value) for some in columns_of(path, "SELECT a FROM t", 1, 2)] == [2, 1]
    monkeypatch.setattr(sqlite_columns, "TEXTS", 25)
    texts = list(columns_of(path, "SELECT value FROM StringIds UNION ALL SELECT NULL", 1, 10))
    assert [some[0].at(np.arange(len(some[0].value))) for some in texts] == [
        ["my_kernel"], ["cudaLaunchKernel_v7000", None],
    ]  # fmt: skip
    monkeypatch.setattr(sqlite_columns, "TEXTS", 20)
    too_long = "SELECT value FROM StringIds"
    for query in (
        too_long,
        "SELECT a / 2.0 FROM t",
        "SELECT no FROM t",
        "SELECT x'00' FROM t",
        "SELECT 'a' UNION SELECT 1",
    ):
        with pytest.raises(NotPlainError):
            list(columns_of(path, query, 1, 10))


@given(st.lists(st.tuples(VALUE, VALUE, VALUE), min_size=1, max_size=20))
def test_combinations_are_numbered_as_they_come(rows: list[tuple[int | None, ...]]) -> None:
    columns = [
        Column(np.array([v or 0 for v in some], np.int64), np.array([v is None for v in some]))
        for some in zip(*rows, strict=True)
    ]
    code, first = combinations(columns, len(rows))
    kinds = list(dict.fromkeys(rows))
    assert code.tolist() == [kinds.index(row) for row in rows]
    assert first.tolist() == [rows.index(kind) for kind in kinds]
