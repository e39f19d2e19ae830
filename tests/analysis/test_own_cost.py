"""What tftrace spent itself, from the manifest and the calls."""

from __future__ import annotations

import pyarrow as pa

from tftrace.analysis.own_cost import own_cost
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace
from tftrace.views.terminal.wording import own_cost as worded


def trace(calls: list[dict[str, object]], **overhead_us: float | None) -> Trace:
    probes = [{"name": name, "overhead_us": us} for name, us in overhead_us.items()]
    return Trace(
        manifest={"probes": probes},
        tables={"calls": pa.Table.from_pylist(calls, TABLES["calls"])},
    )


def test_probes_are_summed_the_costliest_first() -> None:
    found = own_cost(trace([], dispatch=20.0, nvtx=None, itt=30.5, graph=0))
    assert found == {
        "us": 50.5, "in_calls_us": None, "probes": [{"probe": "itt", "us": 30.5}, {"probe": "dispatch", "us": 20.0}]
    }  # fmt: skip
    assert worded(found) == "tftrace's own: 50.5 us (itt 30.5 us, dispatch 20.0 us)"


def test_a_node_on_the_thread_of_its_graph_is_counted_once_and_one_on_another_thread_too() -> None:
    calls: list[dict[str, object]] = [
        {"call_id": 1, "tid": 7, "tftrace_ns": 3_000},
        {
            "call_id": 2,
            "parent_call_id": 1,
            "tid": 7,
            "tftrace_ns": 3_000,
        },  # the graph's call has these already
        {"call_id": 3, "parent_call_id": 1, "tid": 8, "tftrace_ns": 500},
        {"call_id": 4, "tid": 7, "tftrace_ns": None},
    ]
    found = own_cost(trace(calls, itt=4.0))
    assert found is not None
    assert found["in_calls_us"] == 3.5
    assert worded(found).endswith(", 3.50 us of it within op calls, in no op's self time")


def test_nothing_measured_is_nothing_told() -> None:
    assert own_cost(trace([], dispatch=None)) is None
