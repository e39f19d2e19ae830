"""`tftrace query` as it is typed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.capture.running import ROOT, TFTRACE, environment

TRACE = ROOT / "traces" / "examples" / "eager_conv2d"


def asked(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*TFTRACE, "query", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment())


def test_rows_as_text_and_as_json() -> None:
    sql = "SELECT op, executions FROM sites ORDER BY executions DESC, op LIMIT 2"
    text = asked(TRACE, sql)
    assert text.returncode == 0, text.stderr
    assert [line.split() for line in text.stdout.splitlines()[2:4]] == [["Conv2D", "5"], ["Relu", "5"]]
    document = json.loads(asked(TRACE, sql, "--json").stdout)
    assert document == {
        "trace": "eager_conv2d",
        "columns": ["op", "executions"],
        "rows": [{"op": "Conv2D", "executions": 5}, {"op": "Relu", "executions": 5}],
    }


def test_more_rows_than_shown_are_counted() -> None:
    shown = asked(TRACE, "SELECT event_id FROM events", "--limit", "3").stdout
    assert shown.splitlines()[-1] == "and 662 more rows; --limit shows them"


def test_a_wrong_query_is_one_line_and_exit_code_2() -> None:
    done = asked(TRACE, "SELECT nothing FROM calls")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "nothing" in done.stderr
