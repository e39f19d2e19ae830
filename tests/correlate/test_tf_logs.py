"""TensorFlow's log in a trace: an event a known message, a row a candidate, what the log leaves out is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.capture.running import SCRIPTS, environment, run
from tftrace.api import load
from tftrace.correlate.imported import import_files


def test_import_accounts_for_every_message(shared_data: Path, tmp_path: Path) -> None:
    trace = load(import_files([shared_data / "tf_standin_gpu" / "vlog_grad.log"], tmp_path / "t"))
    (held,) = trace.manifest["imported"]
    assert held["events"] == len(trace.events) == sum(held["messages"].values())
    assert held["entries"] == held["events"] + held["other_messages"] == 117
    assert trace.synthetic
    rows = trace.algorithms
    assert set(rows["source"]) == {"tf_log"}
    assert sorted(rows[rows["chosen"]]["direction"]) == ["backprop_filter", "backprop_input", "forward"]
    assert rows[rows["chosen"]]["time_us"].tolist() == [190.25, 195.5, 204.25]


@pytest.mark.tf
@pytest.mark.slow
def test_recorded_messages_are_linked_by_id(standin_gpu: dict[str, str], tmp_path: Path) -> None:
    env = environment(**standin_gpu, TF_CPP_MIN_LOG_LEVEL="3")
    done = run(SCRIPTS / "gpu_conv.py", traced_to=tmp_path / "t", env=env)
    assert done.exit_status == 0, done.stderr.decode()
    trace = load(tmp_path / "t")
    events, links = trace.events, trace.links
    plans = events[
        (events["probe"] == "stream_executor") & events["name"].astype(str).str.startswith("log: plan ")
    ]
    assert set(plans["layer"]) == {"stream_executor"}
    above = links[links["child_id"].isin(plans["event_id"])]
    assert len(above) == len(plans) > 2
    assert set(above["evidence"]) == {"measured"}
    rows = trace.algorithms[trace.algorithms["library"] == "cuDNN"]
    assert rows["source"].astype(str).str.contains("tf_log").sum() >= 2
    ok = rows[rows["status"] == "ok"]
    assert ok["time_us"].notna().all()
    assert all(json.loads(problem)["direction"] == "forward" for problem in rows["problem"])
