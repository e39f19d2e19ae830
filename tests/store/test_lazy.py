"""A table of which only what somebody asks for is read, whole columns or part by part."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.views.traces import eager_convs
from tftrace.errors import InputError
from tftrace.model.schemas import TABLES
from tftrace.store.lazy import LazyTable, LazyTables
from tftrace.store.tables import table_path, write_tables


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Events in row groups of 40."""
    events = eager_convs(100).tables["events"]
    slices = [events.slice(at, 40) for at in range(0, len(events), 40)]
    write_tables(tmp_path, {**eager_convs(100).tables, "events": slices})
    return tmp_path


def events(folder: Path) -> LazyTable:
    return LazyTables(folder).lazy("events")


def test_parts_are_the_row_groups_in_order(stored: Path) -> None:
    whole = LazyTables(stored)["events"].select(["name", "dur_ns"])
    found = list(events(stored).parts(["name", "dur_ns"], lambda part, first: (first, part)))
    assert [first for first, _ in found] == list(range(0, len(whole), 40))
    assert [row for _, part in found for row in part.to_pylist()] == whole.to_pylist()
    assert events(stored).num_rows == len(whole)


def test_parts_that_nobody_needs_are_not_read(stored: Path) -> None:
    asked: list[tuple[int, int]] = []

    def needed(first: int, count: int) -> bool:
        asked.append((first, count))
        return first == 40

    assert list(events(stored).parts(["event_id"], lambda part, first: (first, len(part)), needed)) == [
        (40, 40)
    ]
    assert len(asked) > 2
    assert asked[:2] == [(0, 40), (40, 40)]


def test_a_fault_in_a_part_reaches_who_asked(stored: Path) -> None:
    def fault(part: pa.Table, first: int) -> int:
        return 1 // (first - 80)

    with pytest.raises(ZeroDivisionError):
        list(events(stored).parts(["event_id"], fault))


def test_what_was_made_of_a_table_is_kept_until_it_is_forgotten(stored: Path) -> None:
    tables = LazyTables(stored)
    made = tables.lazy("events").kept("list", lambda: [1])
    assert tables.lazy("events").kept("list", lambda: [2]) is made
    tables.forget("events")
    assert tables.lazy("events").kept("list", lambda: [2]) == [2]


def test_a_column_that_an_earlier_tftrace_did_not_write_is_null(stored: Path) -> None:
    path = table_path(stored, "calls")
    pq.write_table(pq.read_table(path).drop_columns(["session_id"]), path)
    calls = LazyTables(stored).lazy("calls")
    assert calls.column("session_id").null_count == calls.num_rows == 100
    (part,) = calls.parts(["call_id", "session_id"], lambda part, _: part)
    assert part["session_id"].null_count == 100


def test_a_cut_file_is_named_when_a_column_or_a_part_is_read(stored: Path) -> None:
    path = table_path(stored, "events")
    table = events(stored)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"events\.parquet: is cut or no Parquet file"):
        table.column("name")
    with pytest.raises(InputError, match=r"events\.parquet: is cut or no Parquet file"):
        list(table.parts(["name"], lambda part, _: part))
    with pytest.raises(InputError, match=r"events\.parquet: is cut or no Parquet file"):
        events(stored)


def test_a_part_of_somebody_elses_table_is_named(stored: Path) -> None:
    pq.write_table(pa.table({"event_id": [1]}), table_path(stored, "events"))
    with pytest.raises(InputError, match=r"events\.parquet: is no events table of a trace \(no column name"):
        list(events(stored).parts(["event_id", "name"], lambda part, _: part))


def test_a_column_that_the_file_says_is_empty_is_not_read(tmp_path: Path) -> None:
    kinds = TABLES["calls"]
    ids = pa.array(range(3000), pa.int64())
    calls = pa.table([ids if f.name == "call_id" else pa.nulls(3000, f.type) for f in kinds], kinds)
    write_tables(tmp_path, {"calls": [calls.slice(0, 1000), calls.slice(1000)]})
    path = table_path(tmp_path, "calls")
    spoiled = bytearray(path.read_bytes())
    group = pq.read_metadata(path).row_group(1)
    for column in map(group.column, range(1, group.num_columns)):
        at = column.dictionary_page_offset or column.data_page_offset
        spoiled[at : at + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(spoiled)
    lazy = LazyTables(tmp_path).lazy("calls")
    for rows in (None, 300):
        found = pa.concat_tables(
            lazy.parts(["shapes", "call_id", "total_ns"], lambda part, _: part, rows=rows)
        )
        assert found.column_names == ["shapes", "call_id", "total_ns"]
        assert found == calls.select(found.column_names)
    for name in ("warm_up", "call_id"):
        assert lazy.column(name) == calls[name]


def test_a_column_with_a_value_is_read_beside_empty_ones(tmp_path: Path) -> None:
    kinds = TABLES["calls"]
    late = pa.array([None] * 1500 + [7] * 1500, pa.int64())
    told = {"call_id": pa.array(range(3000), pa.int64()), "parent_call_id": late, "cpu_ns": late}
    calls = pa.table([told.get(f.name, pa.nulls(3000, f.type)) for f in kinds], kinds)
    write_tables(tmp_path, {"calls": [calls.slice(at, 1000) for at in range(0, 3000, 1000)]})
    assert LazyTables(tmp_path).lazy("calls").column("cpu_ns").to_pylist() == late.to_pylist()


def test_columns_are_kept_until_they_are_let_go_and_what_was_made_of_them_stays(stored: Path) -> None:
    tables = LazyTables(stored)
    lazy = tables.lazy("events")
    made = [lazy.kept("sum", object), lazy.kept_column("name", object)]
    assert [lazy.kept("sum", object), lazy.kept_column("name", object)] == made
    tables.let_go()
    assert lazy.kept("sum", object) is made[0]
    assert lazy.kept_column("name", object) is not made[1]
    assert tables.lazy("events") is lazy
