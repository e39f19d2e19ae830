"""SQL over a trace: what it may read, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.views import traces
from tftrace.analysis.query import query
from tftrace.errors import UsageError


def test_tables_are_joined_and_counted() -> None:
    trace = traces.eager_convs(3)
    answer = query(trace, "SELECT op, count(*) AS n FROM calls JOIN sites USING (site_id) GROUP BY op")
    assert answer.to_dict("records") == [{"op": "Conv2D", "n": 3}]
    assert query(trace, "select count(*) n from EVENTS").n.tolist() == [18]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM '{file}'",
        "COPY (SELECT 1) TO '{file}.out'",
        "ATTACH '{file}.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "CREATE TABLE t AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT nothing FROM events",
        "SELEC 1",
        "",
    ],
)
def test_nothing_else_is_read_or_changed(sql: str, tmp_path: Path) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("secret\n1\n")
    with pytest.raises(UsageError) as refused:
        query(traces.eager_convs(1), sql.replace("{file}", str(file)))
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == [file]


def test_variables_of_the_program_are_no_tables() -> None:
    private = traces.eager_convs(1).frame("events")
    assert len(private) == 6
    with pytest.raises(UsageError, match="private does not exist"):
        query(traces.eager_convs(1), "SELECT * FROM private")
