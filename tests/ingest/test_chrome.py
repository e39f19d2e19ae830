"""Chrome traces: TensorFlow's own, and those whose writer was cut off."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.errors import InputError
from tftrace.ingest import chrome
from tftrace.ingest.recorded_file import read_head

EVENTS: list[dict[str, Any]] = [
    {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": "/device:GPU:0"}},
    {"ph": "M", "pid": 1, "tid": 13, "name": "thread_name", "args": {"name": "Stream #13(Compute)"}},
    {"ph": "X", "pid": 1, "tid": 13, "ts": 5.5, "dur": 2, "name": "k", "args": {"correlation_id": "7"}},
    {"ph": "B", "pid": 2, "tid": 1, "ts": 1, "name": "outer"},
    {"ph": "E", "pid": 2, "tid": 1, "ts": 4},
    {"ph": "C", "pid": 2, "tid": 1, "ts": 4, "name": "counter", "args": {"n": 1}},
    {},
]


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_intervals_names_and_what_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"displayTimeUnit": "ns", "traceEvents": EVENTS}).encode()))
    assert chrome.sniff(path, read_head(path))
    trace = chrome.read(path)
    assert [trace.names[i] for i in trace.name] == ["k", "outer"]
    assert trace.start_ns.tolist() == [5500, 1000]
    assert trace.dur_ns.tolist() == [2000, 3000]
    assert (trace.processes, trace.threads) == (["/device:GPU:0", "2"], ["Stream #13(Compute)", "1"])
    assert (trace.passed_over, trace.malformed, trace.cut) == ({"C": 1}, 0, None)


@given(st.integers(1, 400))
def test_a_cut_trace_is_read_up_to_its_last_whole_event(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    text = json.dumps(EVENTS)
    path = written(tmp_path_factory.mktemp("cut") / "t.json", text[:cut])
    try:
        trace = chrome.read(path)
    except InputError:
        assert '"ts": 5.5, "dur": 2, "name": "k", "args": {"correlation_id": "7"}}' not in text[:cut]
    else:
        assert trace.cut is not None or cut >= len(text)


def test_events_of_any_shape_are_borne(tmp_path: Path) -> None:
    odd = [
        1,
        None,
        {"ph": "X", "ts": "now"},
        {"ph": "X", "ts": 1e300},
        {"ph": "X", "ts": 1, "args": 3, "name": None},
    ]
    trace = chrome.read(written(tmp_path / "t.json", json.dumps({"traceEvents": odd})))
    assert (len(trace), trace.malformed) == (1, 4)


@pytest.mark.parametrize(
    "name", ["v100_tf23_alexnet", "t4_tf23_alexnet_AUTOTUNE", "v100_tf23_resnet50v2_train"]
)
def test_tensorflows_own_traces_are_read(shared_data: Path, name: str) -> None:
    path = shared_data / "xplane_gpu" / f"{name}.trace.json.gz"
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    assert len(chrome.read(path)) == sum(e.get("ph") == "X" for e in events)
