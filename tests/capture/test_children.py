"""Child processes of a script: each has its own records, and its calls stand in the tables under its process id."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.capture.running import SCRIPTS, run
from tftrace.api import load
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]


def ops(trace: Trace, pid: int) -> Counter[str]:
    calls = trace.calls.merge(trace.sites, on="site_id")
    return Counter(calls[calls.pid == pid].op.astype(str))


@pytest.fixture(scope="module")
def spawning(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, int], Trace]:
    """Process id of each child by its kind, and the trace."""
    place = tmp_path_factory.mktemp("children") / "trace"
    done = run(SCRIPTS / "spawning.py", traced_to=place)
    assert done.exit_status == 0, done.stderr.decode()
    pids = dict(line.split() for line in done.stdout.decode().splitlines())
    return {kind: int(pid) for kind, pid in pids.items()}, load(place)


@pytest.mark.parametrize("kind", ["main", "fork", "spawn", "subprocess"])
def test_calls_of_each_process_stand_under_its_own_id(
    kind: str, spawning: tuple[dict[str, int], Trace]
) -> None:
    pids, trace = spawning
    found = ops(trace, pids[kind])
    assert (found["Fill"], found["Relu"], found["Sum"]) == (1, 1, 1)
    events = trace.events[trace.events.pid == pids[kind]]
    assert {"python", "api", "gen_op", "runtime"} <= set(events.layer.dropna())


@pytest.mark.parametrize("kind", ["main", "fork", "spawn", "subprocess"])
def test_each_process_has_records_of_its_own_and_ended_well(
    kind: str, spawning: tuple[dict[str, int], Trace]
) -> None:
    pids, trace = spawning
    (process,) = (p for p in trace.manifest["processes"] if p["pid"] == pids[kind])
    assert trace.path is not None
    assert (trace.path / "raw" / process["name"] / "dispatch.bin").is_file()
    assert process["main"] is (kind == "main")
    assert (process["finished"], process["missing"], process["cut_lines"]) == (True, None, 0)
    assert process["faults"] == {"count": 0, "first": None}
    assert (process["ppid"] == pids["main"]) is (kind != "main")


def test_calls_of_children_are_in_the_sum_of_the_probes(spawning: tuple[dict[str, int], Trace]) -> None:
    _, trace = spawning
    dispatch = next(p for p in trace.manifest["probes"] if p["name"] == "dispatch")
    assert (dispatch["status"], dispatch["lost"]) == ("ok", 0)
    assert dispatch["events"] == len(trace.calls) == 12


def test_child_that_forks_by_itself(tmp_path: Path) -> None:
    """`os.fork` without multiprocessing, which ends by sys.exit."""
    done = run(SCRIPTS / "children.py", traced_to=tmp_path / "trace")
    assert done.exit_status == 0, done.stderr.decode()
    _, forked, _, spawned = done.stdout.decode().split()
    trace = load(tmp_path / "trace")
    assert ops(trace, int(forked))["Relu"] == ops(trace, int(spawned))["Relu"] == 1
    assert len(trace.calls) == 9
