"""A trace on disk is read column by column and part by part; what it answers is what the whole of it says."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.analysis import attributes as attributes_module
from tftrace.analysis import chain, columns, evidence, native_texts, summary
from tftrace.analysis.attributes import attributes, trials
from tftrace.analysis.comparison import compare
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace
from tftrace.native.compiling import compiler
from tftrace.store.directory import open_trace, write_manifest, write_tables
from tftrace.store.lazy import LazyTables
from tftrace.store.tables import table_path

EXAMPLES = Path(__file__).parents[2] / "traces" / "examples"
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler")


@pytest.fixture(scope="module", params=["eager_conv2d", "five_modes_function", "h200_five_modes_function"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trace, Trace]:
    """A recorded trace in memory, and the same on disk in row groups of 1009."""
    stored = open_trace(EXAMPLES / request.param)
    tables = {name: stored.tables[name] for name in TABLES}
    folder = tmp_path_factory.mktemp("parts") / request.param
    folder.mkdir()
    write_tables(
        folder, {n: [t.slice(at, 1009) for at in range(0, max(len(t), 1), 1009)] for n, t in tables.items()}
    )
    write_manifest(folder, dict(stored.manifest))
    return Trace(stored.manifest, tables, folder), open_trace(folder)


@pytest.mark.parametrize("steady", [False, True])
@pytest.mark.parametrize("by", ["op", "layer", "line", "kernel", "step", "graph"])
def test_a_summary_is_that_of_the_whole(pair: tuple[Trace, Trace], by: str, steady: bool) -> None:
    whole, parts = pair
    assert summary.document(parts, by, steady) == summary.document(whole, by, steady)


@pytest.mark.parametrize("pattern", ["conv2d", "kernel:*conv*", "library:*"])
def test_a_chain_is_that_of_the_whole(pair: tuple[Trace, Trace], pattern: str) -> None:
    whole, parts = pair
    assert chain.document(parts, pattern) == chain.document(whole, pattern)


@needs_compiler
@pytest.mark.parametrize("pattern", ["conv2d", "kernel:*conv*", "library:*"])
def test_a_chain_by_c_is_that_by_arrays(
    pair: tuple[Trace, Trace], pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_arrays = chain.document(pair[0], pattern)
    in_c(monkeypatch)
    for trace in (pair[0], open_trace(pair[1].path or "")):
        assert chain.document(trace, pattern) == by_arrays


@needs_compiler
def test_members_and_links_by_c_are_those_by_arrays_where_ids_are_no_row_numbers(
    pair: tuple[Trace, Trace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = renumbered(pair[0], tmp_path)
    ranks, chosen = evidence.layer_ranks(trace), np.arange(trace.tables["calls"].num_rows)[::-2]
    members = evidence.members(trace, chosen, ranks)
    links, link = evidence.links_from_above(trace, ranks, members.event)
    assert (link >= 0).any()
    in_c(monkeypatch)
    fast = evidence.members(open_trace(tmp_path), chosen, evidence.layer_ranks(open_trace(tmp_path)))
    for column in ("event", "layer", "call"):
        assert getattr(fast, column).tolist() == getattr(members, column).tolist()
    fast_links, fast_link = evidence.links_from_above(open_trace(tmp_path), ranks, members.event)
    assert (fast_links.rules, fast_link.tolist()) == (links.rules, link.tolist())


def in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "IN_C", 0)
    monkeypatch.setattr(attributes_module, "IN_C", 0)


def renumbered(trace: Trace, folder: Path) -> Trace:
    """The trace with ids that say nothing of rows, and some links to events that are not there or of no rule."""
    changed = {name: trace.tables[name] for name in TABLES}
    for name, of_ids in {
        "events": ["event_id"], "links": ["child_id", "parent_id"], "event_calls": ["event_id", "call_id"],
        "calls": ["call_id"],
    }.items():  # fmt: skip
        for column in of_ids:
            ids = pc.add(pc.multiply(pc.bit_wise_xor(changed[name][column], 5), 3), 1)
            changed[name] = changed[name].set_column(changed[name].column_names.index(column), column, ids)
    none = pa.table(
        {"child_id": [1, None, 4], "parent_id": [None, 1, 10**9], "rule": [None] * 3, "evidence": [None] * 3},
        TABLES["links"],
    )
    write_tables(
        folder, {n: [t.slice(at, 1009) for at in range(0, max(len(t), 1), 1009)] for n, t in changed.items()}
    )
    links = pa.concat_tables([none, changed["links"], none])  # as only somebody else's file may have them
    pq.write_table(links, table_path(folder, "links"), row_group_size=1009)
    write_manifest(folder, dict(trace.manifest))
    return open_trace(folder)


def test_a_comparison_of_traces_on_disk_is_that_of_the_same_in_memory(pair: tuple[Trace, Trace]) -> None:
    told = [dict(compare([trace, trace]).document) for trace in pair]
    for document in told:
        for run in document["runs"]:
            del run["path"]
    assert told[0] == told[1]
    assert told[0]["kernels"]


@needs_compiler
def test_attributes_by_c_are_those_of_their_rows_too(
    pair: tuple[Trace, Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_c(monkeypatch)
    test_attributes_are_those_of_their_rows_in_the_order_asked_for(pair)


@needs_compiler
@given(
    st.lists(st.none() | st.sampled_from(["", "a", '{"tuning":true}', "\0", "ä€"]) | st.text(), min_size=1),
    st.data(),
)
def test_texts_are_told_once_each_and_searched_row_by_row(
    said: list[str | None], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(said) - 1))
    column = pa.array(said, pa.string()).slice(first)
    rows = np.array(data.draw(st.lists(st.integers(0, len(column) - 1))), np.int64)
    found = native_texts.Texts.new()
    assert found is not None
    with closing(found):
        code = [*found.add(column, rows[::2].copy()).tolist(), *found.add(column, rows[1::2].copy()).tolist()]
        texts = found.array().to_pylist()
        holds = found.holding(column, rows, b'"tuning":true').tolist()
    asked = [said[first + row] for row in [*rows[::2].tolist(), *rows[1::2].tolist()]]
    assert [None if at < 0 else texts[at] for at in code] == asked
    assert texts == list(dict.fromkeys(text for text in asked if text is not None))
    assert holds == ['"tuning":true' in (said[first + row] or "") for row in rows.tolist()]


def test_attributes_are_those_of_their_rows_in_the_order_asked_for(pair: tuple[Trace, Trace]) -> None:
    whole, parts = pair
    said = whole.tables["events"]["attrs"].to_pylist()
    rows = np.random.default_rng(3).integers(0, len(said), 500)
    for trace in (whole, parts):
        found = attributes(trace, rows, rows[::2])
        texts = [*found.texts.to_pylist(), None]
        assert [texts[code] for code in found.code.tolist()] == [said[row] for row in rows.tolist()]
        trial = ['"tuning":true' in (said[row] or "") for row in rows[::2].tolist()]
        assert found.trial.tolist() == trial == trials(trace)[rows[::2]].tolist()


def test_rows_are_picked_part_by_part(pair: tuple[Trace, Trace]) -> None:
    whole, parts = pair
    wanted = [row for row in whole.tables["links"].to_pylist() if row["parent_id"] % 3 == 0]
    for trace in (whole, parts):
        found = columns.rows_where(
            trace, "links", ["child_id", "parent_id", "rule", "evidence"],
            lambda part: columns.numbers(part, "parent_id").values % 3 == 0,
        )  # fmt: skip
        assert found.to_pylist() == wanted


def test_ids_that_are_no_row_numbers_are_found_all_the_same(tmp_path: Path) -> None:
    ids = pa.array([5, 3, 9], pa.int64())
    calls = pa.table(
        [ids if f.name == "call_id" else pa.nulls(3, f.type) for f in TABLES["calls"]], TABLES["calls"]
    )
    write_tables(tmp_path, {"calls": [calls.slice(0, 2), calls.slice(2)]})
    lazy = LazyTables(tmp_path).lazy("calls")
    assert columns.positions(lazy, "call_id", np.array([9, 5, 4, 3])).tolist() == [2, 0, -1, 1]
