"""Recorded GPU profiles against the totals that TensorFlow computed of the same runs.

What TensorFlow counts, found by comparing: `kernel_stats` holds kernels alone, not copies and fills. The device part of
`tensorflow_stats` sums all work that bears an op's annotation, copies too, and leaves out what bears none; an op whose
name holds a `-` it files under the whole annotation, of type Unknown. The host part sums OpKernels that left an event,
and the iterators of tf.data, which are no OpKernels. Of a large profile only the costliest thousand kernels and five
hundred ops are kept.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.correlate.profiles import tensorflow_stats as known
from tftrace.api import load
from tftrace.correlate.imported import import_files

WHOLE = ["t4_tf23_alexnet", "t4_tf23_alexnet_AUTOTUNE", "turing6gb_tf24_chess_conv", "v100_tf23_alexnet"]
CUT = "v100_tf23_resnet50v2_train"


def op_of(attrs: dict[str, Any]) -> str:
    """The first level of an annotation like `a:Type::b:Type#key=value#`."""
    return str(attrs.get("annotation", "")).split("::", 1)[0].split("#", 1)[0]


class Recorded:
    """The trace that `tftrace import` makes of a profile, beside the files TensorFlow made of it."""

    def __init__(self, directory: Path, name: str, place: Path) -> None:
        self.kernel_stats = directory / f"{name}.kernel_stats.pb"
        self.op_stats = directory / f"{name}.tensorflow_stats.pb"
        self.tables = load(import_files([directory / f"{name}.xplane.pb"], place / name)).tables
        columns = ("layer", "name", "dur_ns", "attrs")
        self.events = [
            (layer, name, ns, orjson.loads(attrs or "{}"))
            for layer, name, ns, attrs in zip(
                *(self.tables["events"].column(c).to_pylist() for c in columns), strict=True
            )
        ]

    def kernels(self) -> tuple[Counter[str], Counter[str]]:
        count, ns = Counter[str](), Counter[str]()
        for layer, name, dur, attrs in self.events:
            if layer == "device" and "grid" in attrs:
                count[name] += 1
                ns[name] += dur
        return count, ns

    def device_ops(self) -> Counter[tuple[str, str]]:
        """ns by (op name, op type) as TensorFlow files them."""
        ns = Counter[tuple[str, str]]()
        for layer, _, dur, attrs in self.events:
            label = op_of(attrs)
            if layer == "device" and label:
                name, _, kind = label.rpartition(":")
                ns[(label, "Unknown") if "-" in name else (name, kind)] += dur
        return ns


@pytest.fixture(scope="module", params=[*WHOLE, CUT])
def recorded(request: Any, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(shared_data / "xplane_gpu", request.param, tmp_path_factory.mktemp("imported"))


def test_kernels_agree_in_count_and_to_the_nanosecond(recorded: Recorded) -> None:
    count, ns = recorded.kernels()
    known_count, known_ns, reports = known.kernels(recorded.kernel_stats)
    if reports < 1000:
        assert count == known_count
        assert ns == known_ns
    else:
        assert known_count.keys() <= count.keys()
        assert all(count[name] >= n for name, n in known_count.items())
        assert all(ns[name] >= total for name, total in known_ns.items())


def test_time_of_ops_on_the_device_agrees(recorded: Recorded) -> None:
    found = recorded.device_ops()
    told = {
        (name, kind): us
        for (place, name, kind), us in known.ops(recorded.op_stats).items()
        if place == "Device" and kind != "IDLE"
    }
    assert told == {op: pytest.approx(found[op] / 1000, abs=1e-6) for op in told}
    if len(told) < 490:
        assert told.keys() == found.keys()


def test_time_of_op_kernels_on_the_host_agrees(recorded: Recorded) -> None:
    found = Counter[tuple[str, str]]()
    for layer, name, dur, attrs in recorded.events:
        if layer == "kernel" and "from" not in attrs:
            node, _, kind = name.rpartition(":")
            found[(node, kind)] += dur
    told = {
        (name, kind): us
        for (place, name, kind), us in known.ops(recorded.op_stats).items()
        if place == "Host" and kind not in ("Dataset", "IDLE")
    }
    assert told
    assert told == {op: pytest.approx(found[op] / 1000, abs=1e-6) for op in told}


def test_every_kernel_and_copy_is_linked_to_its_launch_and_each_annotated_one_to_a_call(
    recorded: Recorded,
) -> None:
    events, links = recorded.tables["events"].to_pandas(), recorded.tables["links"].to_pandas()
    device = set(events.event_id[events.layer == "device"])
    by_id = links[links.rule == "correlation id"]
    assert set(by_id.child_id) == device
    assert set(by_id.evidence) == {"measured"}
    annotated = {
        i for i, (layer, _, _, attrs) in enumerate(recorded.events)
        if layer == "device" and op_of(attrs)
    }  # fmt: skip
    in_calls = set(recorded.tables["event_calls"].column("event_id").to_pylist())
    assert annotated <= in_calls


def test_device_time_of_a_call_is_the_time_that_its_work_covers(recorded: Recorded) -> None:
    calls, members = recorded.tables["calls"].to_pandas(), recorded.tables["event_calls"].to_pandas()
    events = recorded.tables["events"].to_pandas()
    mine = members.merge(events[events.layer == "device"], on="event_id").sort_values("start_ns")
    expected = {}
    for call, rows in mine.groupby("call_id"):
        covered = reach = 0
        for start, dur in zip(rows.start_ns, rows.dur_ns, strict=True):
            covered += max(start + dur - max(start, reach), 0)
            reach = max(reach, start + dur)
        expected[call] = covered
    known_ns = calls.set_index("call_id").device_total_ns.dropna()
    assert known_ns.to_dict() == expected
    assert len(expected) > 100


def test_trials_of_a_live_autotuning_step_are_told_from_what_ran_for_real(
    shared_data: Path, tmp_path: Path
) -> None:
    tuned = Recorded(shared_data / "xplane_gpu", "t4_tf23_alexnet_AUTOTUNE", tmp_path)
    warm = Recorded(shared_data / "xplane_gpu", "t4_tf23_alexnet", tmp_path)
    assert not any(attrs.get("tuning") for *_, attrs in warm.events)
    tried: dict[str, set[str]] = {}
    real: dict[str, set[str]] = {}
    for layer, name, _, attrs in tuned.events:
        if layer == "device" and "grid" in attrs:
            (tried if attrs.get("tuning") else real).setdefault(op_of(attrs), set()).add(name)
    convolutions = [op for op in tried if "Conv2D" in op]
    assert len(tried) == len(convolutions) == 14
    for op in convolutions:
        assert any("redzone" in name for name in tried[op])
        assert not any("redzone" in name for name in real[op])
        assert real[op] & tried[op]  # the one that ran for real had been a candidate
