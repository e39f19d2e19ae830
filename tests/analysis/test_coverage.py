"""What layers cover is the same, by C as by arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.analysis import coverage, native_coverage
from tftrace.analysis.columns import parts
from tftrace.model.layers import LAYERS
from tftrace.model.schemas import EVENTS
from tftrace.model.trace import Trace
from tftrace.native.compiling import compiler
from tftrace.store.directory import open_trace

EXAMPLES = Path(__file__).parents[2] / "traces" / "examples"

needs_c = pytest.mark.skipif(compiler() is None, reason="no C compiler")

EVENT = st.fixed_dictionaries(
    {
        "layer": st.sampled_from([*LAYERS, None, "of a later version"]),
        "start_ns": st.integers(0, 60),
        "dur_ns": st.one_of(st.none(), st.integers(-3, 40)),
        "host": st.sampled_from([None, "a", "b"]),
        "pid": st.sampled_from([None, 0, 7]),
        "tid": st.sampled_from([None, 0, 1, 1 << 40]),
        "device": st.sampled_from([None, "GPU:0", "GPU:1"]),
        "stream": st.one_of(st.none(), st.sampled_from([0, 1, -3])),
    }
)


def trace_of(rows: list[dict[str, object]]) -> Trace:
    columns = {f.name: pa.array([row.get(f.name) for row in rows], f.type) for f in EVENTS}
    return Trace({}, {"events": pa.table(columns, EVENTS)})


def by_c(trace: Trace, kept: np.ndarray | None = None) -> coverage.Coverage | None:
    found = native_coverage.covered(parts(trace, "events", coverage._COLUMNS, lambda part, _: part), kept)
    return None if found is None else coverage._told(*found)


@needs_c
@settings(max_examples=100, deadline=None)
@given(st.lists(EVENT, max_size=40), st.randoms(use_true_random=False))
def test_c_covers_what_arrays_cover(rows: list[dict[str, object]], random: object) -> None:
    trace = trace_of(sorted(rows, key=lambda row: row["start_ns"]))  # type: ignore[arg-type, return-value]
    kept = np.array([random.random() < 0.7 for _ in rows], bool)  # type: ignore[attr-defined]
    for mask in (None, kept):
        assert by_c(trace, mask) == coverage._by_arrays(trace, mask)


@needs_c
@pytest.mark.parametrize("name", ["eager_conv2d", "five_modes_fit", "h200_five_modes_function"])
def test_c_covers_what_arrays_cover_of_a_recording(name: str) -> None:
    trace = open_trace(EXAMPLES / name)
    assert by_c(trace) == coverage._by_arrays(trace, None)


@needs_c
def test_rows_in_no_order_are_left_to_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "IN_C", 0)
    rows: list[dict[str, object]] = [
        {"layer": "kernel", "start_ns": start, "dur_ns": 10, "tid": 1} for start in (5, 0)
    ]
    assert by_c(trace_of(rows)) is None
    assert coverage.coverage(trace_of(rows)).own_ns[LAYERS.index("kernel")] == 15


@needs_c
def test_many_threads_are_told_apart() -> None:
    rows: list[dict[str, object]] = [
        {"layer": "kernel", "start_ns": 0, "dur_ns": 3, "tid": tid % 1000} for tid in range(3000)
    ]
    found = by_c(trace_of(rows))
    assert found is not None
    assert (found.events[LAYERS.index("kernel")], found.own_ns[LAYERS.index("kernel")]) == (3000, 3000)


def test_without_a_compiler_arrays_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = open_trace(EXAMPLES / "eager_conv2d")
    told = coverage.coverage(trace)
    monkeypatch.setattr(coverage, "IN_C", 0)
    monkeypatch.setattr(native_coverage, "_functions", lambda: None)
    assert coverage.coverage(trace) == told
