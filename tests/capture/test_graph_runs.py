"""Which line made which graph, which session ran it, and what failed: recorded on the real TensorFlow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.capture.running import SCRIPTS, Finished, environment, run, without_stamps
from tests.stacks.reading import line_of
from tftrace.analysis import graph_runs, summary
from tftrace.api import load
from tftrace.model.trace import Trace

pytestmark = pytest.mark.tf
SCRIPT = SCRIPTS / "graph_runs.py"


@pytest.fixture(scope="module")
def plain() -> Finished:
    return run(SCRIPT, env=environment(TF_CPP_MIN_LOG_LEVEL="3"))


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trace, Finished]:
    place = tmp_path_factory.mktemp("graph_runs") / "trace"
    env = environment(TF_CPP_MIN_LOG_LEVEL="3")
    done = run(SCRIPT, traced_to=place, options=("--no-tf-profiler",), env=env)
    return load(place), done


@pytest.fixture(scope="module")
def failures(traced: tuple[Trace, Finished]) -> list[dict[str, Any]]:
    return graph_runs.failures(traced[0])


def at(row: dict[str, Any] | None) -> int:
    assert row is not None
    place = row["python"]
    assert Path(place["file"]) == SCRIPT
    return int(place["line"])


def test_the_script_is_none_the_wiser(traced: tuple[Trace, Finished], plain: Finished) -> None:
    trace, done = traced
    assert (done.exit_status, done.stdout) == (1, plain.stdout)
    assert without_stamps(done.stderr) == without_stamps(plain.stderr)
    assert trace.manifest["processes"][0]["faults"] == {"count": 0, "first": None}


def test_metadata_that_the_script_asked_for_is_what_it_gets(plain: Finished) -> None:
    """What was printed of it is compared above; here, that there was something to compare."""
    told = [line for line in plain.stdout.decode().splitlines() if line.startswith("metadata:")]
    assert told == ["metadata: 0 False", "metadata: 0 True"]


def test_each_failed_run_is_told_once(failures: list[dict[str, Any]], plain: Finished) -> None:
    marks = (
        "other graph's fetch", "other graph's eval", "other graph's operation", "in the runtime", "other graph's feed",
        "default session",
    )  # fmt: skip
    runs = [row for row in failures if row["what"]]
    assert [at(row) for row in runs] == [line_of(SCRIPT, mark) for mark in marks]
    printed = plain.stdout.decode().splitlines()
    assert [row["error"] for row in runs] == [line for line in printed if not line.startswith("metadata:")]
    assert [row["what"] for row in runs] == [
        "Session.run", "Tensor.eval", "Operation.run", "Session.run", "Session.run", "Session.run",
    ]  # fmt: skip
    assert "different from the session's graph" in runs[1]["message"]


def test_a_failed_run_leads_to_the_graphs_that_do_not_fit(failures: list[dict[str, Any]]) -> None:
    fetch, evaluated, operation, inside, feed, default = failures[:6]
    for row in (fetch, evaluated, operation, feed):
        assert row["other_graph"]
        assert at(row["session"]) == line_of(SCRIPT, "session")
        assert at(row["session"]["graph"]) == line_of(SCRIPT, "first graph")
    for row in (inside, default):
        assert not row["other_graph"]
    (tensor,) = evaluated["tensors"]
    assert at(tensor) == line_of(SCRIPT, "other tensor")
    assert at(tensor["graph"]) == line_of(SCRIPT, "second graph")
    assert [t["graph"]["graph_id"] != feed["session"]["graph"]["graph_id"] for t in feed["tensors"]] == [
        False,
        True,
    ]
    assert at(default["session"]) == line_of(SCRIPT, "default session") - 1


def test_what_ended_the_script_is_told_last(failures: list[dict[str, Any]]) -> None:
    ended = failures[-1]
    assert (ended["what"], ended["error"], ended["message"]) == (None, "RuntimeError", "nobody catches this")
    assert at(ended) == line_of(SCRIPT, "uncaught")


def test_ids_stand_in_sites_and_calls(traced: tuple[Trace, Finished]) -> None:
    trace, _ = traced
    sessions = {row["session_id"]: row["graph_id"] for row in trace.manifest["sessions"]}
    assert len(sessions) == 2
    runs = trace.calls[trace.calls["op"] == "Session.run"] if "op" in trace.calls else trace.calls
    joined = runs.merge(trace.sites[["site_id", "graph_id", "python_line"]], on="site_id")
    joined = joined[joined["session_id"].notna()]
    assert len(joined) >= 4
    assert all(sessions[s] == g for s, g in zip(joined["session_id"], joined["graph_id"], strict=True))
    worked = joined[joined["python_line"] == line_of(SCRIPT, "works")]
    assert len(worked) == 1
    assert sessions[worked["session_id"].iloc[0]] == 1


def test_summary_by_graph_says_what_made_each_and_what_ran_it(traced: tuple[Trace, Finished]) -> None:
    rows = {row["number"]: row for row in summary.document(traced[0], "graph")["rows"]}
    first, second = (rows[line_of(SCRIPT, mark)] for mark in ("first graph", "second graph"))
    assert (first["sessions"], second["sessions"]) == ("1, 2", None)
    assert (first["count"] >= 4, second["count"]) == (True, 0)
    assert first["total_us"] > 0
    assert second["nodes"] == 4  # two constants, an addition, a no-op


def test_without_the_native_library_it_is_the_same_and_redact_leaves_messages_out(
    failures: list[dict[str, Any]], tmp_path: Path
) -> None:
    env = environment(
        TF_CPP_MIN_LOG_LEVEL="3",
        PATH=str(Path(sys.executable).parent),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )
    options = ("--no-tf-profiler", "--redact")
    assert run(SCRIPT, traced_to=tmp_path / "trace", options=options, env=env).exit_status == 1
    trace = load(tmp_path / "trace")
    assert trace.manifest["processes"][0]["native_library"] != "loaded"
    assert [{**row, "pid": 0} for row in graph_runs.failures(trace)] == [
        {**row, "pid": 0, "message": None} for row in failures
    ]
