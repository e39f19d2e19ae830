"""The benchmarks run, measure what they say they measure, and judge honestly."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.views.browser import chromium_path

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from measure import Estimate, estimate, verdict  # noqa: E402

needs_tensorflow = pytest.mark.skipif(
    find_spec("tensorflow") is None, reason="no TensorFlow in this environment"
)


def quick(name: str, *arguments: str) -> dict[str, Any]:
    """The document of one short run."""
    command = [sys.executable, str(BENCHMARKS / name), "--quick", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_interval_holds_the_median_and_narrows_with_agreement() -> None:
    spread, agreed = estimate([1.0, 1.2, 0.9, 1.5, 1.1, 0.7, 1.3]), estimate([1.1] * 7)
    assert spread.median == 1.1
    assert spread.low is not None
    assert spread.high is not None
    assert 0.7 <= spread.low < 1.1 < spread.high <= 1.5
    assert (agreed.low, agreed.high) == (1.1, 1.1)


def test_too_few_samples_have_no_interval_and_decide_nothing() -> None:
    few = estimate([0.1, 0.1, 0.1, 0.1])
    assert (few.low, few.high) == (None, None)
    assert verdict(few, goal=100.0) == "inconclusive"


@pytest.mark.parametrize(
    ("low", "high", "at_most", "expected"),
    [
        (1.1, 1.3, True, "met"),
        (1.3, 1.5, True, "inconclusive"),
        (1.5, 1.6, True, "missed"),
        (1.5, 1.6, False, "met"),
        (1.3, 1.5, False, "inconclusive"),
        (1.1, 1.3, False, "missed"),
    ],
)
def test_a_goal_is_met_only_where_the_whole_interval_is(
    low: float, high: float, at_most: bool, expected: str
) -> None:
    assert verdict(Estimate((low + high) / 2, low, high, 9), goal=1.4, at_most=at_most) == expected


@pytest.mark.tf
@pytest.mark.slow
@needs_tensorflow
def test_graphs_are_seen_with_the_probe_alone() -> None:
    document = quick("graph_probe.py")
    assert document["nodes"] > 50
    # two functions, two fetches of one session and two of another, of which one by a callable
    assert document["seen"] == {"with it": [6], "without it": [0]}
    assert set(document["cpu_ms"]) == {"function", "session", "callable", "function later", "session later"}
    assert all(row["with it"]["median"] > 0 for row in document["cpu_ms"].values())


@pytest.mark.tf
@pytest.mark.slow
@needs_tensorflow
def test_overhead_times_the_same_loop_under_each_variant() -> None:
    report = quick("overhead.py", "conv2d_small")["workloads"]
    assert [r["workload"] for r in report] == ["conv2d_small"]
    rows = report[0]["variants"]
    assert {"bare", "tftrace", "tf_profiler"} <= set(rows)
    assert rows["tftrace"]["goal"] == 1.15
    assert rows["tftrace"]["verdict"] == "inconclusive"  # one round decides nothing
    for row in rows.values():
        assert 1 < row["per_op_us"]["median"] < 1e5
        assert row["stop_s"]["median"] > 0


@pytest.mark.tf
@pytest.mark.slow
@needs_tensorflow
def test_memory_counts_every_op_call() -> None:
    report = quick("memory.py")
    assert report["op_calls"] == {"executed": 20_020, "recorded": [20_020], "complete": True}
    assert report["lost"]["dispatch"] == 0
    assert report["bare_peak_mb"]["median"] > 100  # TensorFlow alone
    assert -50 < report["more_mb"]["tftrace"]["median"] < 500


@pytest.mark.tf
@pytest.mark.slow
@needs_tensorflow
def test_build_counts_the_events_of_a_finished_trace() -> None:
    found = quick("build.py")["found"]
    # python, api, gen_op and runtime of each op call at least
    assert found["tftrace"]["events"]["median"] > 4 * 5_000
    assert found["tf_profiler"]["events"]["median"] > 5_000
    rate = found["tftrace"]["events"]["median"] / found["tftrace"]["seconds"]["median"]
    assert found["tftrace"]["rate"]["median"] == pytest.approx(rate)


@pytest.mark.tf
@needs_tensorflow
def test_the_cudnn_probe_is_timed_beside_calls_without_it() -> None:
    report = quick("cudnn_probe.py")
    assert (
        set(report["found"]) == set(report["verdict"]) == {"set attribute", "execute", "execute, new stack"}
    )
    for row in report["found"].values():
        assert row["tftrace_ns"]["median"] > row["bare_ns"]["median"] > 0
    assert report["found"]["execute, new stack"]["tftrace_ns"]["median"] > 1000  # a stack was taken


def test_startup_times_the_command_beside_an_empty_python() -> None:
    found = quick("startup.py")["ms"]
    assert found["tftrace --help"]["median"] > found["python -c pass"]["median"] > 1


def test_a_profile_is_read_whole_by_every_reader() -> None:
    found = quick("profile_reader.py", "--events", "3000")
    parts = found["parts"]
    assert {part["events"] for part in parts.values()} == {found["events"]}
    assert parts["lines"]["largest_line_mb"] * 2 + 300 == found["memory_goal_mb"]
    assert all(part["per_s"] > 0 for part in parts.values())


def test_a_profile_is_joined_and_so_are_its_peers() -> None:
    found = quick("correlate.py", "--events", "3000", "6000")
    few, many = found["join"]
    assert few["events"] < many["events"]
    assert 0 < few["links"] < many["links"]
    assert found["merge_asof"]["pairs"] > 0
    assert found["interval_join"]["pairs"] > 0


def test_a_recorded_run_is_repeated_to_any_length_and_joined() -> None:
    found = quick("run_join.py")
    few, many = found["join"]
    assert many["events"] > 1.4 * few["events"] > 0
    assert many["links"] / many["events"] == pytest.approx(few["links"] / few["events"], rel=0.01)
    assert many["calls"] / many["events"] == pytest.approx(few["calls"] / few["events"], rel=0.01)
    assert found["merge_asof"]["pairs"] > 0


def test_questions_and_queries_of_a_large_trace_are_timed() -> None:
    told = quick("questions.py", "--events", "3000")
    found = told["commands"]
    assert set(found) == {
        "tftrace summary",
        "tftrace why conv2d",
        "duckdb: time by op",
        "duckdb: kernels of Conv2D",
    }
    assert all(row["wall_s"] > 0 and row["peak_mb"] > 20 for row in found.values())
    assert {"tftrace compare, with itself", "tftrace view --as flame"} < set(told["others"])
    assert all(row["peak_mb"] > 20 for row in told["others"].values())


def test_readers_and_their_peer_find_the_same_records() -> None:
    found = quick("readers.py")["found"]
    assert found["tftrace"]["records"]["median"] == found["line loop"]["records"]["median"] > 3000
    assert found["tftrace"]["mb_s"]["median"] > 1


def test_the_reader_of_tensorflows_log_and_its_peer_find_the_same_entries() -> None:
    found = quick("tf_log_reader.py")["found"]
    assert found["tftrace"]["entries"]["median"] == found["line loop"]["entries"]["median"] == 8000


def test_an_unknown_workload_is_named() -> None:
    command = [sys.executable, str(BENCHMARKS / "overhead.py"), "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no workload is called 'nonsense'" in done.stderr


@pytest.mark.browser
def test_the_timeline_is_written_and_felt_from_a_file_and_served() -> None:
    pytest.importorskip("playwright")
    chromium_path()
    rows = quick("timeline.py")["rows"]
    assert list(rows) == ["page", "served", "plotly, 200 bars"]
    assert rows["page"]["exact_events"] == 20_000
    for row in rows.values():
        assert row["first_ms"] > 0
        assert row["gap_ms"] > 0
        assert row["settled_ms"] > 0  # every step changes something
    assert 0 < rows["served"]["resident_mb"] <= rows["served"]["peak_mb"]


@pytest.mark.slow
def test_a_raw_format_is_read_imported_and_read_by_its_peer() -> None:
    own = ("messages", "records")
    formats = quick("raw_formats.py", "--entries", "2000", "onednn", "chrome", *own)["formats"]
    assert set(formats) == {"onednn", "chrome", *own}
    for name, one in formats.items():
        assert set(one["parts"]) == {"read", "peer"} | ({"import"} if name not in own else set())
        assert one["entries"] >= 1800  # the peer counts them in a file of this size
