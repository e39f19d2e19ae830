"""tftrace.record() in a process that goes on: nothing of it stays, and it can be done again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.capture.running import ROOT, SCRIPTS, Finished, environment, run
from tftrace.api import load, record
from tftrace.errors import CaptureError, UsageError
from tftrace.model.trace import Trace

SCRIPT = SCRIPTS / "recorded_twice.py"


class Twice:
    """One run of the script: its states before, between and after the recordings, and both traces."""

    def __init__(self, how: str, folder: Path, **env: str) -> None:
        report = folder / "report.json"
        self.done: Finished = run(
            SCRIPT, how, report, folder / "first", folder / "second",
            env={**environment(**env), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert self.done.exit_status == 0, self.done.stderr.decode()
        self.states: list[dict[str, Any]] = json.loads(report.read_text())
        self.folder = folder

    def trace(self, name: str) -> Trace:
        return load(self.folder / name)

    def executed(self, name: str) -> dict[str, int]:
        trace = self.trace(name)
        calls = trace.calls.merge(trace.sites, on="site_id")
        return {str(k): int(v) for k, v in calls.groupby("op", observed=True).size().items()}


EXECUTED = {"Fill": 5, "Relu": 3, "Conv2D": 1}


@pytest.mark.tf
@pytest.mark.slow
class TestWithTensorFlow:
    def test_nothing_stays_and_it_can_be_done_again(self, tmp_path: Path) -> None:
        twice = Twice("no primitive", tmp_path)
        before, between, after, during = twice.states
        assert between == before
        assert after == before
        # the same look sees the hooks while they are there
        changed = {k for k, v in during["attributes"].items() if v != before["attributes"][k]}
        assert {k.rpartition(".")[2] for k in changed} >= {
            "TFE_Py_FastPathExecute", "TFE_Py_Execute", "TF_SessionRun_wrapper", "_apply_op_helper",
            "_create_op_internal", "transform", "from_func_graph", "ProfilerSession", "__init__",
        }  # fmt: skip
        for function in ("printf", "getenv"):
            assert any(during["slots"][k] != v for k, v in before["slots"].items() if k.endswith(function))
        assert during["environment"]["ONEDNN_VERBOSE"] is None
        assert twice.executed("first") == twice.executed("second") == {"Fill": 3, "Relu": 3}

    def test_variables_of_the_user_come_back(self, tmp_path: Path) -> None:
        twice = Twice("no primitive", tmp_path, ONEDNN_VERBOSE="0", ONEDNN_ITT_TASK_LEVEL="1")
        before, between, after, _ = twice.states
        assert before["environment"]["ONEDNN_VERBOSE"] == "0"
        assert between == after == before

    def test_a_onednn_that_speaks_is_kept_off_stdout_to_the_end(self, tmp_path: Path) -> None:
        twice = Twice("late import", tmp_path)
        assert twice.done.stdout == b""
        assert twice.executed("first") == twice.executed("second") == EXECUTED
        for name in ("first", "second"):
            events = twice.trace(name).events
            convolution = events[(events.layer == "library") & (events.name == "convolution")]
            assert len(convolution) == 1
            assert '"implementation"' in convolution["attrs"].iloc[0]
        _, between, after, during = twice.states
        assert after == between
        # all else is as it was: only oneDNN's own way to stdout stays closed
        left = {k for k, v in between["slots"].items() if v == during["slots"][k]}
        closed = {k for k in left if k.endswith((":printf", ":__printf_chk", ":fflush"))}
        assert any("libtensorflow_cc" in k for k in closed)
        assert between["attributes"] != during["attributes"]

    def test_a_onednn_that_was_there_first_says_so(self, tmp_path: Path) -> None:
        twice = Twice("late", tmp_path)
        assert twice.executed("first") == EXECUTED
        assert twice.done.stdout == b""
        probes = {p["name"]: p for p in twice.trace("first").manifest["probes"]}
        assert "library" not in set(twice.trace("first").events.layer.dropna())
        for name in ("onednn", "itt"):
            assert probes[name]["status"] == "partly", probes[name]

    def test_an_import_after_the_recording_is_not_recorded(self, tmp_path: Path) -> None:
        twice = Twice("not imported", tmp_path)
        before, ended, imported, worked = twice.states
        assert ended == before
        assert [s["finders"] for s in twice.states] == [0, 0, 0, 0]
        assert worked["attributes"] == imported["attributes"]
        assert twice.executed("first") == {}
        assert twice.executed("second") == EXECUTED


def test_one_recording_at_a_time(tmp_path: Path) -> None:
    with record(tmp_path / "outer") as outer:
        with pytest.raises(UsageError, match="a recording runs in this process already"):
            record(tmp_path / "inner").__enter__()
        with pytest.raises(UsageError, match="still runs"):
            _ = outer.trace
    assert outer.trace.manifest["exit_status"] is None
    assert outer.directory == tmp_path / "outer"


def test_a_block_that_raises_still_leaves_its_trace(tmp_path: Path) -> None:
    recording = record(tmp_path / "trace")
    with pytest.raises(ZeroDivisionError), recording:
        _ = 1 / 0
    assert recording.trace.manifest["processes"][0]["finished"] is True
    assert load(tmp_path / "trace").name == "trace"


def test_wrong_requests_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no probe is called 'colour'"):
        record(tmp_path / "trace", probes=("colour",))
    assert not (tmp_path / "trace").exists()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        record(tmp_path / "file")
    with pytest.raises(CaptureError, match="choose another place"):
        record(Path("/proc/no-trace-here"))


def test_a_trace_is_overwritten_only_on_demand(tmp_path: Path) -> None:
    with record(tmp_path / "trace"):
        pass
    with pytest.raises(UsageError, match="--force"):
        record(tmp_path / "trace")
    old = (tmp_path / "trace" / "manifest.json").read_bytes()
    with record(tmp_path / "trace", force=True, probes=("dispatch",)) as again:
        assert (tmp_path / "trace" / "manifest.json").read_bytes() == old
    assert again.directory == tmp_path / "trace"
    assert {p["name"]: p["status"] for p in again.trace.manifest["probes"]}["itt"] == "off"
