"""Tables: all of them or none, read when asked for, and what is not one of ours is named."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.views.traces import eager_convs
from tftrace.errors import InputError, UsageError
from tftrace.model.schemas import IDS, TABLES
from tftrace.store.directory import open_trace, write_manifest, write_tables
from tftrace.store.lazy import LazyTables
from tftrace.store.tables import read_table, table_path


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    trace = eager_convs(3)
    write_tables(tmp_path, trace.tables)
    write_manifest(tmp_path, trace.manifest)
    return tmp_path


def test_tables_come_back_as_they_were(stored: Path) -> None:
    tables = open_trace(stored).tables
    for name, table in eager_convs(3).tables.items():
        assert tables[name].schema.equals(TABLES[name])
        assert tables[name].to_pylist() == table.to_pylist()
    assert set(tables) == set(TABLES)
    with pytest.raises(KeyError):
        _ = tables["colours"]


def test_a_table_that_nobody_asks_for_is_not_read(stored: Path) -> None:
    table_path(stored, "stacks").write_bytes(b"cut")
    trace = open_trace(stored)
    assert len(trace.calls) == 3
    with pytest.raises(InputError, match=r"stacks\.parquet: is cut or no Parquet file"):
        trace.frame("stacks")


def test_a_column_of_a_later_version_is_kept(stored: Path) -> None:
    path = table_path(stored, "links")
    table = pq.read_table(path)
    pq.write_table(table.append_column("later", pa.array(range(table.num_rows))), path)
    assert read_table(stored, "links").column_names == [*TABLES["links"].names, "later"]


def test_a_table_of_somebody_elses_is_named(stored: Path) -> None:
    pq.write_table(pa.table({"event_id": [1]}), table_path(stored, "events"))
    with pytest.raises(InputError, match=r"events\.parquet: is no events table of a trace \(no column layer"):
        _ = LazyTables(stored)["events"]


def test_a_missing_table_says_how_to_get_it_back(stored: Path) -> None:
    table_path(stored, "calls").unlink()
    with pytest.raises(InputError, match="there is no raw/ to rebuild it from"):
        open_trace(stored)
    (stored / "raw").mkdir()
    (stored / "run.json").write_text("{}")
    with pytest.raises(InputError, match="builds them from raw/"):
        open_trace(stored)


def test_a_write_that_fails_half_way_leaves_every_old_table(stored: Path) -> None:
    before = {p.name: p.read_bytes() for p in stored.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    new = eager_convs(9).tables
    noise = pa.array([f'{{"a":{hash((i, "noise"))}}}' for i in range(len(new["calls"]) * 2000)])
    large = pa.concat_tables([new["events"]] * (len(noise) // len(new["events"])))
    large = large.set_column(large.column_names.index("attrs"), "attrs", noise[: len(large)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # what a full disk is to a writer
    try:
        with pytest.raises(UsageError, match=r"the tables cannot be written: .*File too large.*; make room"):
            write_tables(stored, {**new, "events": [new["events"], large]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {p.name: p.read_bytes() for p in stored.iterdir()} == before


def test_a_table_in_slices_is_the_table(tmp_path: Path) -> None:
    events = eager_convs(9).tables["events"]
    parts = [events.slice(0, 3), events.slice(3, 4), events.slice(7)]
    assert write_tables(tmp_path, {"events": iter(parts)}) == {"events": len(events)}
    assert LazyTables(tmp_path)["events"].unify_dictionaries().to_pylist() == events.to_pylist()


def test_a_table_that_was_read_outlives_its_file(stored: Path) -> None:
    """A mapped file that is cut short ends the process that looks at it."""
    table = LazyTables(stored)["events"]
    before = table.to_pylist()
    os.truncate(table_path(stored, "events"), 100)
    assert table.to_pylist() == before
    with pytest.raises(InputError, match=r"events\.parquet: is cut or no Parquet file"):
        _ = LazyTables(stored)["events"]


def test_some_columns_are_those_of_the_whole_table(stored: Path) -> None:
    whole = LazyTables(stored)["calls"].select(["call_id", "total_ns"])
    assert LazyTables(stored).lazy("calls").select(["call_id", "total_ns"]).to_pylist() == whole.to_pylist()


def test_ids_are_declared_to_be_there_on_disk_and_a_table_without_that_is_the_same(stored: Path) -> None:
    tables = {name: read_table(stored, name) for name in TABLES}
    declared = {n: [f.name for f in pq.read_schema(table_path(stored, n)) if not f.nullable] for n in TABLES}
    assert declared == {name: list(IDS.get(name, ())) for name in TABLES}
    for name, table in tables.items():
        assert table.schema.equals(TABLES[name])
        pq.write_table(table, table_path(stored, name))  # as an earlier tftrace declared them
    for name, table in tables.items():
        assert read_table(stored, name).equals(table)


def test_a_row_group_holds_no_more_than_readers_should_hold(tmp_path: Path) -> None:
    many = pa.chunked_array([pa.array(range(300_000), pa.int64())])
    share = pa.nulls(len(many), pa.float32())
    write_tables(tmp_path, {"event_calls": pa.table([many, many, share], TABLES["event_calls"])})
    found = pq.read_metadata(table_path(tmp_path, "event_calls"))
    assert [found.row_group(at).num_rows for at in range(found.num_row_groups)] == [262_144, 37_856]


def test_a_row_without_an_id_is_not_written(tmp_path: Path) -> None:
    calls = eager_convs(2).tables["event_calls"]
    broken = calls.set_column(0, "event_id", pa.nulls(len(calls), pa.int64()))
    with pytest.raises(pa.ArrowInvalid, match="event_id"):
        write_tables(tmp_path, {"event_calls": broken})
    assert os.listdir(tmp_path) == []


def test_duckdb_and_pandas_read_the_files_of_two_traces_together(tmp_path: Path) -> None:
    for at, name in enumerate(("new", "old")):
        (tmp_path / name).mkdir()
        write_tables(tmp_path / name, eager_convs(2 + at).tables)
    old = table_path(tmp_path / "old", "event_calls")
    pq.write_table(read_table(old.parent, "event_calls"), old)  # as an earlier tftrace declared it
    count = sum(len(eager_convs(n).tables["event_calls"]) for n in (2, 3))
    joined = duckdb.sql(
        f"select count(*), count(e.name) from '{tmp_path}/*/event_calls.parquet' m "
        f"join '{tmp_path}/old/events.parquet' e using (event_id)"
    ).fetchall()
    assert joined == [(count, count)]
    frames = [pd.read_parquet(table_path(tmp_path / n, "event_calls")) for n in ("new", "old")]
    assert len(pd.concat(frames)) == count
    assert {str(kind) for frame in frames for kind in frame.dtypes} == {"int64", "float32"}


def test_unknown_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        write_tables(tmp_path, {"colours": pa.table({"a": [1]})})
    assert os.listdir(tmp_path) == []


def test_what_is_forgotten_is_read_again(stored: Path) -> None:
    tables = LazyTables(stored)
    whole, some = tables["calls"], tables.lazy("sites")
    assert tables["calls"] is whole
    tables.forget("calls", "sites")
    assert tables["calls"] is not whole
    assert tables["calls"].equals(whole)
    assert tables.lazy("sites") is not some


@pytest.mark.parametrize("left", [0, 3, 4, 100, 0.5, 0.9, -9, -1])
def test_a_file_cut_anywhere_is_told_in_one_line(stored: Path, left: float) -> None:
    path = stored / "events.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole)) if 0 < left < 1 else int(left)])
    for columns in (None, ["name"]):
        with pytest.raises(InputError, match=r"events\.parquet: is cut or no .*; delete that file") as told:
            read_table(stored, "events", columns)
        assert "\n" not in str(told.value)
