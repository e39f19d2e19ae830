"""Child processes of a script: each has its own records, and its calls stand in the tables under its process id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.capture.running import SCRIPTS, command, environment, run
from tftrace.api import load
from tftrace.model.trace import Trace
from tftrace.views.timeline.compose import composer

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
    assert b"Exception ignored" not in done.stderr
    pids = dict(line.split() for line in done.stdout.decode().splitlines())
    return {kind: int(pid) for kind, pid in pids.items()}, load(place)


@pytest.mark.parametrize("kind", ["main", "fork", "forkserver", "spawn", "subprocess"])
def test_calls_of_each_process_stand_under_its_own_id(
    kind: str, spawning: tuple[dict[str, int], Trace]
) -> None:
    pids, trace = spawning
    found = ops(trace, pids[kind])
    assert (found["Fill"], found["Relu"], found["Sum"]) == (1, 1, 1)
    events = trace.events[trace.events.pid == pids[kind]]
    assert {"python", "api", "gen_op", "runtime"} <= set(events.layer.dropna())


@pytest.mark.parametrize("kind", ["main", "fork", "forkserver", "spawn", "subprocess"])
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
    parent = pids["main"]
    if kind == "forkserver":  # the server stands between, and runs no TensorFlow
        (server,) = (p for p in trace.manifest["processes"] if p["pid"] == process["ppid"])
        assert (server["ppid"], server["events"]) == (parent, 0)
    else:
        assert (process["ppid"] == parent) is (kind != "main")


def test_calls_of_children_are_in_the_sum_of_the_probes(spawning: tuple[dict[str, int], Trace]) -> None:
    _, trace = spawning
    dispatch = next(p for p in trace.manifest["probes"] if p["name"] == "dispatch")
    assert (dispatch["status"], dispatch["lost"]) == ("ok", 0)
    assert dispatch["events"] == len(trace.calls) == 15


def test_child_that_forks_by_itself(tmp_path: Path) -> None:
    """`os.fork` without multiprocessing, which ends by sys.exit."""
    done = run(SCRIPTS / "children.py", traced_to=tmp_path / "trace")
    assert done.exit_status == 0, done.stderr.decode()
    _, forked, _, spawned = done.stdout.decode().split()
    trace = load(tmp_path / "trace")
    assert ops(trace, int(forked))["Relu"] == ops(trace, int(spawned))["Relu"] == 1
    assert len(trace.calls) == 9


def test_all_processes_stand_on_one_time_line(spawning: tuple[dict[str, int], Trace]) -> None:
    """They ran one after the other, each within the life of the script, and the timeline has lanes of each."""
    pids, trace = spawning
    events = trace.events
    at = {kind: events[events.pid == pid].start_ns for kind, pid in pids.items()}
    order = ["fork", "forkserver", "spawn", "subprocess", "main"]
    calls = trace.calls
    begun = [int(calls[calls.pid == pids[kind]].start_ns.min()) for kind in order]
    assert begun == sorted(begun)
    assert all(len(starts) for starts in at.values())
    page = composer(trace)
    assert page is not None
    shown = {process.label.rpartition(" ")[2] for process in page.events.lanes.processes}
    assert shown >= {str(pid) for pid in pids.values()}


def test_worker_that_outlives_the_script_is_neither_waited_for_nor_ended(tmp_path: Path) -> None:
    """Its records end where the script has ended, and the trace says that it was still running."""
    place, said = tmp_path / "trace", tmp_path / "said"
    with said.open("wb") as file:  # a pipe would be read until the worker closes it
        line = command([str(SCRIPTS / "outlived.py")], place, (), sys.executable)
        done = subprocess.run(line, stdout=file, stderr=subprocess.PIPE, env=environment(), timeout=180)
    assert done.returncode == 0, done.stderr.decode()
    worker = int(said.read_text().split()[-1])
    try:
        os.kill(worker, 0)
        trace = load(place)
        assert ops(trace, worker)["Relu"] == 1
        (process,) = (p for p in trace.manifest["processes"] if p["pid"] == worker)
        assert (process["finished"], process["main"]) == (False, False)
        assert process["missing"] == (
            "it was still running when the script had ended: what it did after that is missing"
        )
        (main,) = (p for p in trace.manifest["processes"] if p["main"])
        assert (main["finished"], main["missing"]) == (True, None)
    finally:
        os.kill(worker, signal.SIGKILL)
