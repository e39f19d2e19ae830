"""Profiles recorded on GPUs: AlexNet on a T4, twice, and on a V100."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.analysis.contracts import check
from tftrace.analysis.comparison import compare
from tftrace.analysis.comparison.gates import judge, parse
from tftrace.analysis.comparison.problems import UNEXPLAINED
from tftrace.api import load
from tftrace.correlate.imported import import_files
from tftrace.model.trace import Trace

NAMES = ("t4_tf23_alexnet", "v100_tf23_alexnet", "t4_tf23_alexnet_AUTOTUNE")


@pytest.fixture(scope="module")
def traces(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trace]:
    folder = tmp_path_factory.mktemp("profiles")
    made = {}
    for name in NAMES:
        import_files([shared_data / "xplane_gpu" / f"{name}.xplane.pb"], folder / name)
        made[name] = load(folder / name)
    return made


def changed(document: dict[str, Any]) -> dict[tuple[str, int], tuple[list[str], str]]:
    """Direction and place in the graph -> the picks of both runs, and why they differ."""
    return {
        (p["problem"]["direction"], p["problem"]["order"]): ([r["chosen"] for r in p["runs"]], p["cause"])
        for p in document["problems"]
        if p["verdict"] == "algorithm_changed"
    }


def test_which_picks_differ_by_gpu(traces: dict[str, Trace]) -> None:
    document = dict(compare([traces["t4_tf23_alexnet"], traces["v100_tf23_alexnet"]]).document)
    check(document, "compare")
    assert len(document["problems"]) == 14
    assert all(all(r["present"] for r in p["runs"]) for p in document["problems"])
    assert {p["evidence"] for p in document["problems"]} == {"inferred"}
    why = "device: compute capability 7.5, 40 multiprocessors -> compute capability 7.0, 80 multiprocessors"
    assert changed(document) == {
        ("backprop_filter", 2): (["WINOGRAD_NONFUSED", "FFT"], why),
        ("backprop_filter", 4): (["ALGO_1", "ALGO_0"], why),
    }
    first = next(
        p
        for p in document["problems"]
        if p["problem"]["direction"] == "forward" and not p["problem"]["order"]
    )
    assert [r["chosen"] for r in first["runs"]] == ["IMPLICIT_PRECOMP_GEMM"] * 2
    assert first["changes"][0]["kernel_changed"] is True
    [gate] = judge(document, [parse("algorithm-changed")])
    assert len(gate.failures) == 2
    assert judge(document, [parse("unexplained")])[0].failures == []


def test_every_convolution_ran_once_so_that_no_difference_is_judged(traces: dict[str, Trace]) -> None:
    document = compare([traces["t4_tf23_alexnet"], traces["v100_tf23_alexnet"]]).document
    for problem in document["problems"]:
        [change] = problem["changes"]
        assert change["note"] == "one repetition: no interval"
        assert change["time"] is None
        assert 0.2 < change["ratio"] < 0.5  # a V100 is two to five times as fast


def test_two_runs_on_one_gpu_picked_differently_for_no_visible_reason(traces: dict[str, Trace]) -> None:
    document = compare([traces["t4_tf23_alexnet"], traces["t4_tf23_alexnet_AUTOTUNE"]]).document
    found = changed(dict(document))
    assert set(found) == {("backprop_filter", 0)}
    assert {cause for _, cause in found.values()} == {UNEXPLAINED}
    assert found["backprop_filter", 0][0] == ["FFT", "WINOGRAD_NONFUSED"]
    filters = {
        p["problem"]["order"]: p
        for p in document["problems"]
        if p["problem"]["direction"] == "backprop_filter"
    }
    assert filters[0]["changes"][0]["also_tried"].startswith("FFT: ")
    assert filters[0]["changes"][0]["also_tried"].endswith("% against the winner there")
    # kernels that two algorithms launch: which of them a steady step ran is not known, and no change is claimed
    assert [r["chosen"] for r in filters[4]["runs"]] == ["ALGO_1", "ALGO_3"]
    assert filters[4]["changes"][0]["pick_changed"] is False
    # the other run's times are those of its executions, and its tuning stands apart
    assert all(p["runs"][1]["tuning_us"] > p["runs"][1]["time_us"] for p in document["problems"])


def test_ops_that_an_autotuner_tried_in_are_warm_up(traces: dict[str, Trace]) -> None:
    document = compare([traces["t4_tf23_alexnet"], traces["t4_tf23_alexnet_AUTOTUNE"]]).document
    ops = {o["op"]: o for o in document["ops"]}
    for name in ("Conv2D", "_FusedConv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"):
        before, after = ops[name]["runs"]
        assert (before["warm_up_calls"], after["warm_up_calls"]) == (0, after["count"])
        assert ops[name]["changes"][0]["difference_us"] is None
