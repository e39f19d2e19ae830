"""The graphs that sessions ran are seen whatever way they ran, and the script gets what it would without tftrace."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.capture.running import SCRIPTS, Finished, environment, run, without_stamps
from tftrace.api import load
from tftrace.model.trace import Trace

pytestmark = pytest.mark.tf
SCRIPT = SCRIPTS / "session_graphs.py"
UNSEEN = ("failing", "refused")  # one gives no graph, the other must not be asked
WAYS = (
    "options", "metadata", "full_trace", "asked", "asked_in_vain", "fed_callable", "callable", "callable_metadata",
    "of_options", "of_options_metadata", "of_options_asked", "of_options_later",
)  # fmt: skip


@pytest.fixture(scope="module")
def plain() -> Finished:
    return run(SCRIPT, env=environment(TF_CPP_MIN_LOG_LEVEL="3"))


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trace, Finished]:
    place = tmp_path_factory.mktemp("session_graphs") / "trace"
    env = environment(TF_CPP_MIN_LOG_LEVEL="3")
    done = run(SCRIPT, traced_to=place, env=env)
    return load(place), done


def test_the_script_gets_back_what_it_would_without(traced: tuple[Trace, Finished], plain: Finished) -> None:
    trace, done = traced
    assert (done.exit_status, done.stdout.decode()) == (0, plain.stdout.decode())
    assert without_stamps(done.stderr) == without_stamps(plain.stderr)
    assert trace.manifest["processes"][0]["faults"] == {"count": 0, "first": None}
    told = {line.split(" ", 1)[0]: line for line in plain.stdout.decode().splitlines()}
    assert set(told) == {*WAYS, *UNSEEN}
    # there was something to compare: graphs where they were asked for, and times beside none
    assert "partition_graphs" in told["asked"]
    assert "step_stats" in told["full_trace"]
    assert "partition_graphs" not in told["full_trace"]
    assert "partition_graphs" in told["of_options_asked"]


def fates(trace: Trace, way: str) -> dict[str, str]:
    sites = trace.sites
    mine = sites[sites.node.fillna("").str.startswith(f"{way}/")]
    assert len(mine) >= 5
    return {
        node.rpartition("/")[2]: fate
        for node, fate in zip(mine.node, mine.fate, strict=True)
        if pd.notna(fate)
    }


@pytest.mark.parametrize("way", WAYS)
def test_the_graph_that_ran_is_seen(traced: tuple[Trace, Finished], way: str) -> None:
    found = fates(traced[0], way)
    assert (found.get("folded"), found.get("pruned")) == ("folded", "pruned")


@pytest.mark.parametrize("way", UNSEEN)
def test_what_ran_unseen_is_not_called_pruned(traced: tuple[Trace, Finished], way: str) -> None:
    assert fates(traced[0], way) == {}


def test_runs_of_a_callable_are_runs_of_its_session(traced: tuple[Trace, Finished]) -> None:
    trace, _ = traced
    graphs = {row["graph_id"] for row in trace.manifest["graphs"]}
    runs = trace.calls[trace.calls.session_id.notna()].merge(trace.sites, on="site_id")
    runs = runs[runs.node.isna()]  # not the nodes that each ran
    assert set(runs.graph_id) == graphs
    assert runs.groupby("session_id").size().max() == 3
