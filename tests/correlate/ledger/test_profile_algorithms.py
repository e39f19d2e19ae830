"""A profile fills the ledger: trials of a tuning step apart, the winner that ran, and what steady steps used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.analysis.contracts import check
from tftrace.analysis import algorithms
from tftrace.api import load
from tftrace.correlate.imported import import_files
from tftrace.correlate.ledger.algorithm_rows import settle
from tftrace.correlate.ledger.profile_algorithms import OpWork, add_profile_algorithms
from tftrace.correlate.profiles.device_work import DeviceWork
from tftrace.correlate.tables.columns import TraceBuilder

FORWARD = [
    "IMPLICIT_PRECOMP_GEMM",
    "IMPLICIT_GEMM",
    "GEMM",
    "FFT",
    "WINOGRAD",
    "FFT_TILING",
    "WINOGRAD_NONFUSED",
]
INPUT = ["ALGO_1", "FFT", "FFT_TILING", "WINOGRAD", "WINOGRAD_NONFUSED", "ALGO_0"]
FILTER = ["ALGO_1", "FFT", "WINOGRAD_NONFUSED", "ALGO_0", "ALGO_3"]
STRIDED = ("FFT", "WINOGRAD", "FFT_TILING", "WINOGRAD_NONFUSED")
NODE = "gradient_tape/alex_net/{}/Conv2D/Conv2DBackprop{}:Conv2DBackprop{}"


@pytest.fixture(scope="module")
def tuned(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return document(shared_data, tmp_path_factory.mktemp("tuned"), "t4_tf23_alexnet_AUTOTUNE")


def document(shared_data: Path, place: Path, name: str) -> dict[str, Any]:
    trace = load(import_files([shared_data / "xplane_gpu" / f"{name}.xplane.pb"], place / name))
    found = algorithms.document(trace)
    check(found, "algorithms")
    return found


def expected(layer: str, known: list[str]) -> list[str]:
    """What TensorFlow 2.3 tries, in its order, less what the layer's shape does not support."""
    without = {"conv2d": STRIDED, "conv2d_1": ("WINOGRAD",)}.get(layer, ())
    return [a for a in known if a not in without]


def by_node(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {node: p for p in found["problems"] for node in p["problem"]["nodes"]}


def test_a_tuning_step_gives_every_problem_with_its_trials_in_tensorflows_order(
    tuned: dict[str, Any],
) -> None:
    assert len(tuned["problems"]) == 14
    nodes = by_node(tuned)
    layers = ("conv2d", "conv2d_1", "conv2d_2", "conv2d_3", "last_conv")
    checked = 0
    for layer in layers:
        for direction, names in (("Input", INPUT), ("Filter", FILTER), (None, FORWARD)):
            if direction == "Input" and layer == "conv2d":
                continue  # the images need no gradient
            node = NODE.format(layer, direction, direction)
            if direction is None:
                node = f"alex_net/{layer}/{'Conv2D:Conv2D' if layer == 'conv2d' else 'Relu:_FusedConv2D'}"
            trials = sorted(nodes[node]["candidates"], key=lambda c: c["first_ns"])
            assert [c["algorithm"] for c in trials] == expected(layer, names), node
            assert {c["trials"] for c in trials} == {1}
            checked += 1
    assert checked == 14


def test_the_winner_is_what_the_rest_of_the_run_used_and_was_the_fastest(tuned: dict[str, Any]) -> None:
    for problem in tuned["problems"]:
        winners = [c for c in problem["candidates"] if c["chosen"]]
        assert len(winners) == 1
        assert problem["chosen"] == winners[0]["algorithm"]
        assert problem["picked_by"] == "autotuner"
        assert problem["margin_us"] > 0
        assert (problem["calls"], problem["tunings"], problem["retunes"]) == (1, 1, 0)
        # the checks of memory are part of what tuning took
        assert problem["tuning_us"] > sum(c["time_us"] for c in problem["candidates"])
    chosen = {node: p["chosen"] for node, p in by_node(tuned).items()}
    assert chosen.pop("alex_net/conv2d/Conv2D:Conv2D") == "IMPLICIT_PRECOMP_GEMM"
    # two algorithms of the same kernels: the one that was faster in its trial
    assert chosen.pop(NODE.format("conv2d", "Filter", "Filter")) == "ALGO_3"
    assert set(chosen.values()) == {"WINOGRAD_NONFUSED"}


def test_times_are_of_the_algorithms_own_kernels(tuned: dict[str, Any]) -> None:
    """Of the first convolution, by hand: offsets and kernel, without TensorFlow's transposition before them."""
    first = by_node(tuned)["alex_net/conv2d/Conv2D:Conv2D"]
    times = {c["algorithm"]: c["time_us"] for c in first["candidates"]}
    assert times == {"IMPLICIT_PRECOMP_GEMM": 6329.276, "IMPLICIT_GEMM": 9266.906, "GEMM": 10012.762}
    assert first["total_us"] == 6327.58
    fft = by_node(tuned)["alex_net/conv2d_2/Relu:_FusedConv2D"]["candidates"]
    # two of its kernels ran at once on two streams: what they cover counts, not their sum
    assert next(c["time_us"] for c in fft if c["algorithm"] == "FFT") < 4619.0


def test_what_has_no_shape_is_told_by_its_place_and_graded_inferred(tuned: dict[str, Any]) -> None:
    kinds: dict[str, list[int]] = {}
    for problem in tuned["problems"]:
        kinds.setdefault(problem["problem"]["op"], []).append(problem["problem"]["order"])
        assert {c["evidence"] for c in problem["candidates"]} == {"inferred"}
        assert all(0.4 < c["confidence"] < 1 for c in problem["candidates"])
    assert {k: sorted(v) for k, v in kinds.items()} == {
        "Conv2D": [0, 1, 2, 3, 4], "Conv2DBackpropInput": [0, 1, 2, 3], "Conv2DBackpropFilter": [0, 1, 2, 3, 4],
    }  # fmt: skip


def test_problems_of_two_runs_of_one_model_have_the_same_keys(
    shared_data: Path, tmp_path: Path, tuned: dict[str, Any]
) -> None:
    other = document(shared_data, tmp_path, "v100_tf23_alexnet")
    assert {p["problem_key"] for p in other["problems"]} == {p["problem_key"] for p in tuned["problems"]}
    assert {p["device_model"] for p in other["problems"]} == {"compute capability 7.0, 80 multiprocessors"}


@pytest.mark.parametrize(
    ("name", "problems", "algorithms_"),
    [
        ("t4_tf23_alexnet", 14, {"IMPLICIT_PRECOMP_GEMM", "WINOGRAD_NONFUSED", "FFT", "ALGO_1"}),
        ("v100_tf23_resnet50v2_train", 54 + 53 + 54, {
            "IMPLICIT_PRECOMP_GEMM", "WINOGRAD", "WINOGRAD_NONFUSED", "ALGO_0", "ALGO_1",
        }),
        ("turing6gb_tf24_chess_conv", 20, {
            "IMPLICIT_PRECOMP_GEMM", "IMPLICIT_GEMM", "WINOGRAD", "WINOGRAD_NONFUSED", "ALGO_0", "ALGO_1",
        }),
    ],
)  # fmt: skip
def test_steady_steps_tell_what_ran(
    shared_data: Path, tmp_path: Path, name: str, problems: int, algorithms_: set[str]
) -> None:
    found = document(shared_data, tmp_path, name)
    assert len(found["problems"]) == problems
    assert {p["chosen"] for p in found["problems"]} == algorithms_
    for problem in found["problems"]:
        assert (problem["tunings"], problem["retunes"], problem["picked_by"]) == (None, None, None)
        assert problem["total_us"] > 0
        assert problem["library"] == "cuDNN"


def test_a_profile_without_convolutions_has_no_problems(shared_data: Path, tmp_path: Path) -> None:
    assert document(shared_data, tmp_path, "tfprofiler_demo_gpu_multiworker")["problems"] == []


GPU = "/device:GPU:0"
SGEMM = "volta_sgemm_128x64_nn"
IMPLICIT = "void cudnn::detail::implicit_convolve_sgemm<float>(int)"
EXPLICIT = "void explicit_convolve_sgemm<float>(int)"
CHECK, COPY, OWN = (
    "redzone_checker",
    "MemcpyD2H",
    "void tensorflow::functor::ShuffleInTensor3Simple<float>(int)",
)


def rows_of(*runs: tuple[str, list[str]]) -> list[dict[str, Any]]:
    """Rows from executions (label of the op, names of what it launched, 10 us each)."""
    build = TraceBuilder()
    work = [(label, name, run) for run, (label, names) in enumerate(runs) for name in names]
    n = len(work)
    start = np.arange(n, dtype=np.int64) * 20_000
    none = np.full(n, -1, np.int64)
    label, name = (build.words.codes(w[i] for w in work) for i in range(2))
    device = np.full(n, build.words.code(GPU))
    device_work = DeviceWork(
        ids=np.arange(n), start=start, end=start + 10_000, device=device, label=label, hlo=none, node=none, scope=none,
        step=none, launch=none, name=name, attrs=none, trial=none,
        others=none, node_rule=none,
    )  # fmt: skip
    run = np.array([w[2] for w in work], np.int64)
    add_profile_algorithms(build, [OpWork(device_work, label, run, start)], {GPU: "a GPU"})
    settle(build)
    return build.algorithms


def test_an_op_that_is_tuned_again_counts_a_retune() -> None:
    tuned = [OWN, IMPLICIT, CHECK, COPY, EXPLICIT, CHECK, CHECK, COPY, EXPLICIT]
    rows = {
        r["algorithm"]: r for r in rows_of(("a:Conv2D", tuned), ("a:Conv2D", [EXPLICIT]), ("a:Conv2D", tuned))
    }
    told = ("trials", "calls", "tunings", "retunes", "time_us", "tuning_us", "total_us", "chosen")
    assert [rows["IMPLICIT_GEMM"][k] for k in told] == [2, 0, 2, 1, 10.0, 60.0, None, False]
    assert [rows["GEMM"][k] for k in told] == [2, 3, 2, 1, 10.0, 80.0, 30.0, True]
    assert rows["GEMM"]["device_model"] == "a GPU"


def test_a_product_by_cublas_is_no_algorithm_of_cudnns() -> None:
    (row,) = rows_of(("a:Conv2D", [OWN, SGEMM, OWN]))
    assert (row["library"], row["algorithm"], row["implementation"], row["reason"]) == (
        "cuBLAS",
        None,
        SGEMM,
        None,
    )


def test_kernels_that_no_rule_knows_are_null_with_a_reason() -> None:
    (row,) = rows_of(("a:Conv2D", ["cudnn_generated_fort_native_conv_kernel0_0"]))
    assert (row["library"], row["algorithm"], row["confidence"]) == ("cuDNN", None, 0.0)
    assert row["reason"] == "no rule knows its kernels"


def test_only_convolutions_are_looked_at_and_each_kind_is_counted_by_itself() -> None:
    rows = rows_of(
        ("m:MatMul", [SGEMM]), ("", [IMPLICIT]), (":Conv2D", [IMPLICIT]), ("a:Conv2D", [OWN]), ("b:Conv2D", [IMPLICIT]),
        ("c:_FusedConv2D", [IMPLICIT]), ("d:Conv3DBackpropFilterV2", ["wgrad_alg0_engine"]),
        ("e:DepthwiseConv2dNative", ["void conv2d_c1_k1_nchw_hw_packed_kernel<float>(int)"]),
        ("cudnn-conv-bw-input.3", ["void cudnn::detail::dgrad_engine<float>(int)"]), ("cudnn-conv.x", [IMPLICIT]),
    )  # fmt: skip
    told = [(r["op"], json.loads(r["problem"])["order"], r["algorithm"]) for r in rows]
    assert sorted(told) == [
        # the first is TensorFlow's own work, and keeps its place
        ("Conv2D", 1, "IMPLICIT_GEMM"), ("Conv2D", 2, "IMPLICIT_GEMM"), ("Conv3DBackpropFilter", 0, "ALGO_0"),
        ("DepthwiseConv2dNative", 0, "IMPLICIT_PRECOMP_GEMM"), ("convolution", 0, "ALGO_0"),
    ]  # fmt: skip


def test_what_two_algorithms_launch_alike_names_both_where_no_order_tells_them_apart() -> None:
    split_k = ["volta_scudnn_128x64_stridedB_splitK_small_nn_v1"]
    (steady,) = rows_of(("a:Conv2DBackpropFilter", split_k))
    assert (steady["algorithm"], steady["alternative"], steady["confidence"]) == ("ALGO_1", "ALGO_3", 0.5)
    tried = rows_of(("a:Conv2DBackpropFilter", [*split_k, CHECK, *split_k, CHECK, *split_k]))
    assert [(r["algorithm"], r["trials"]) for r in tried] == [("ALGO_1", 1), ("ALGO_3", 1)]
    assert tried[1]["alternative"] is None
