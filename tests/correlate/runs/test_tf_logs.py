"""TensorFlow's log in a trace: an event a known message, a row a candidate, what the log leaves out is counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.capture.running import SCRIPTS, environment, run
from tftrace.agent import contract
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


def test_messages_of_a_process_without_any_call_are_events_without_a_parent(tmp_path: Path) -> None:
    """Its records of calls were lost, or it made none."""
    raw = tmp_path / "t" / "raw" / "vm-7"
    raw.mkdir(parents=True)
    (tmp_path / "t" / "run.json").write_text("{}")
    (raw / "process.json").write_text(
        json.dumps({"format": contract.FORMAT, "pid": 7, "host": "vm", "python": "3.11"})
    )
    clocks = np.array([(1, 10**18 + 1, 1), (900, 10**18 + 900, 900)], np.dtype(contract.CLOCK.dtype))
    clocks.tofile(raw / "clocks.bin")
    text = b"I0000 00:00:1795444437.616833       7 cuda_dnn.cc:1] Loaded cuDNN version 91900\n"
    lines = [b"7 %d %d 0 %d %s" % (t, call, len(text), text) for t, call in ((100, 0), (200, 3))]
    (raw / "tf_log.bin").write_bytes(b"".join(line + bytes(-len(line) % 32) for line in lines))
    trace = load(tmp_path / "t")
    assert trace.events["start_ns"].tolist() == [10**18 + 100, 10**18 + 200]
    assert (set(trace.events["layer"]), len(trace.links)) == ({"stream_executor"}, 0)
    (process,) = trace.manifest["processes"]
    assert process["tf_log"] == {"messages": 2, "other_messages": 0, "cut_messages": 0}


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
