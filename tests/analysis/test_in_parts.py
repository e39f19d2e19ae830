"""A trace on disk is read column by column and part by part; what it answers is what the whole of it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tftrace.analysis import chain, columns, summary
from tftrace.analysis.attributes import attributes, trials
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace
from tftrace.store.directory import open_trace, write_manifest, write_tables
from tftrace.store.lazy import LazyTables

EXAMPLES = Path(__file__).parents[2] / "traces" / "examples"


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
