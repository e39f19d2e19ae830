"""A Chrome trace that is read and joined piece by piece gives the trace that it gives at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.paging import put_on_disk
from tftrace.correlate.imports import chrome as chrome_import
from tftrace.correlate.imports.containment import contain
from tftrace.correlate.imports.facts import Facts
from tftrace.correlate.tables.columns import TraceBuilder
from tftrace.correlate.tables.scratch import Scratch
from tftrace.ingest import chrome, chrome_events

HEAD: list[dict[str, Any]] = [
    {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": "/device:GPU:0"}},
    {"ph": "M", "pid": 1, "tid": 13, "name": "thread_name", "args": {"name": "Stream #13(Compute)"}},
    {"ph": "M", "pid": 1, "tid": 99, "name": "thread_name", "args": {"name": "TensorFlow Ops"}},
    {"ph": "M", "pid": 2, "name": "process_name", "args": {"name": "/host:CPU"}},
]
EVENT = st.fixed_dictionaries(
    {
        "ph": st.sampled_from("XXXXXBEi"), "ts": st.integers(0, 60) | st.floats(0, 60), "dur": st.integers(0, 9),
        "pid": st.sampled_from([1, 2, 2, "other"]), "tid": st.sampled_from([13, 99, 5]),
        "name": st.sampled_from(["a/x:Relu", "k", "cuLaunchKernel"]),
    },
    optional={
        "cat": st.sampled_from(["kernel", "cuda_runtime", "x"]),
        "args": st.dictionaries(
            st.sampled_from(["correlation", "cat", "a"]), st.integers(0, 9) | st.just("é"), max_size=3
        ),
    },
)  # fmt: skip


def joined(path: Path) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    build = TraceBuilder(scratch=Scratch(in_memory=0))
    facts: Facts = chrome_import.add(chrome.read(path), build, 1000)
    assert facts.spans is not None
    contain([facts.spans], build)
    tables = {name: table.to_pylist() for name, table in build.tables().items()}
    return tables, {name: value for name, value in vars(facts).items() if name != "spans"}


def in_pieces(path: Path, rows: int) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        put_on_disk(patch, rows)
        patch.setattr(chrome_events, "PIECE", 300)
        patch.setattr(chrome_events, "ENOUGH", 100)
        return joined(path)


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENT, min_size=1, max_size=40), st.integers(1, 9))
def test_any_trace_is_the_same_in_pieces(
    tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, Any]], rows: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "sliced.json"
    path.write_text(json.dumps({"traceEvents": [*HEAD, *events]}))
    tables, facts = joined(path)
    assert in_pieces(path, rows) == (tables, facts)


def test_work_is_linked_to_the_one_launch_with_its_id_however_far_that_is(tmp_path: Path) -> None:
    calls = [
        {"ph": "X", "pid": 2, "tid": 5, "ts": n, "dur": 1, "name": "launch", "args": {"correlation": n % 90}}
        for n in range(100)
    ]
    work = [
        {"ph": "X", "pid": 1, "tid": 13, "ts": 500 - n, "dur": 1, "name": "k", "args": {"correlation": n}}
        for n in range(100)
    ]
    path = tmp_path / "t.json"
    path.write_text(json.dumps([*HEAD, *calls, *work]))
    tables, facts = in_pieces(path, 7)
    name = {row["event_id"]: (row["name"], row["correlation_id"]) for row in tables["events"]}
    pairs = [(name[row["child_id"]], name[row["parent_id"]]) for row in tables["links"]]
    assert pairs == [(("k", n), ("launch", n)) for n in range(10, 90)]
    assert facts["details"]["work_without_launch"] == 20


@pytest.mark.parametrize("name", ["v100_tf23_alexnet", "v100_tf23_resnet50v2_train"])
def test_recorded_traces_are_the_same_in_pieces(shared_data: Path, name: str) -> None:
    path = shared_data / "xplane_gpu" / f"{name}.trace.json.gz"
    tables, facts = joined(path)
    assert in_pieces(path, 997) == (tables, facts)
    assert {row["rule"] for row in tables["links"]} == {"correlation id", "containment"}
