"""What the recorded calls into cuDNN say: problems, engines, the older API; and what is left of damaged records."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.cudnn.writer import Writer
from tftrace.agent import contract
from tftrace.ingest.cudnn.calls import CudnnCalls, understand, version_text

SIZES = st.integers(1, 1 << 20)


def packed(dims: list[int], channels_last: bool) -> list[int]:
    """Strides of a dense tensor whose dims are N, C, spatial."""
    order = [0, *range(2, len(dims)), 1] if channels_last else list(range(len(dims)))
    strides, step = [0] * len(dims), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= dims[axis]
    return strides


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    rank = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 4))
    inputs, outputs = groups * draw(st.integers(2, 64)), groups * draw(st.integers(2, 64))

    def spatial(low: int, high: int) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))

    last = draw(st.booleans())
    batch, small, large, kernel = draw(st.integers(1, 64)), spatial(2, 99), spatial(2, 99), spatial(1, 7)
    return {
        "direction": draw(st.sampled_from(["forward", "backprop_input", "backprop_filter"])),
        "last": last,
        "input": [batch, inputs, *large],
        "filter": [outputs, inputs // groups, *kernel],
        "output": [batch, outputs, *small],
        "strides": spatial(1, 4),
        "dilations": spatial(1, 3),
        "before": spatial(0, 3),
        "after": spatial(0, 3),
        "dtype": draw(st.sampled_from(["FLOAT", "HALF", "BFLOAT16", "DOUBLE"])),
    }


NAMES = {
    "forward": ("OPERATION_CONVOLUTION_FORWARD", "OPERATION_CONVOLUTION_FORWARD", "X", "W", "Y"),
    "backprop_input": ("OPERATION_CONVOLUTION_BACKWARD_DATA", "OPERATION_CONVOLUTION_BWD_DATA", "DX", "W", "DY"),
    "backprop_filter": ("OPERATION_CONVOLUTION_BACKWARD_FILTER", "OPERATION_CONVOLUTION_BWD_FILTER", "X", "DW", "DY"),
}  # fmt: skip


def convolution(writer: Writer, c: dict[str, Any]) -> int:
    """The operation's descriptor."""
    tensors = [
        writer.tensor(c[k], packed(c[k], c["last"]), c["dtype"]) for k in ("input", "filter", "output")
    ]
    shape = writer.make("CONVOLUTION")
    writer.say(shape, "CONVOLUTION_COMP_TYPE", "DATA_TYPE", 0)
    writer.say(shape, "CONVOLUTION_CONV_MODE", "CONVOLUTION_MODE", 1)
    for name, key in (
        ("PRE_PADDINGS", "before"),
        ("POST_PADDINGS", "after"),
        ("FILTER_STRIDES", "strides"),
        ("DILATIONS", "dilations"),
    ):
        writer.say(shape, f"CONVOLUTION_{name}", "INT64", *c[key])
    kind, prefix, *names = NAMES[c["direction"]]
    operation = writer.make(kind)
    for name, tensor in zip(names, tensors, strict=True):
        writer.say(operation, f"{prefix}_{name}", "BACKEND_DESCRIPTOR", tensor)
    writer.say(operation, f"{prefix}_CONV_DESC", "BACKEND_DESCRIPTOR", shape)
    return operation


def executed(writer: Writer, plan: int) -> CudnnCalls:
    writer.call("cudnnBackendExecute", plan)
    return understand(writer.records(), writer.data)


@given(
    convolutions(),
    st.integers(0, 200),
    st.dictionaries(st.integers(0, 36), st.integers(0, 999), max_size=6),
    st.integers(0, 1 << 40),
)
def test_a_plan_is_read_back_with_its_problem_engine_and_knobs(
    c: dict[str, Any], engine: int, knobs: dict[int, int], workspace: int
) -> None:
    writer = Writer()
    plan = writer.plan(writer.graph(convolution(writer, c)), engine, knobs, workspace)
    calls = executed(writer, plan)
    assert calls.unreadable == 0
    assert (calls.work >= 0).sum() == 1
    (work,) = calls.works
    assert (work.engine, work.workspace_bytes) == (engine, workspace)
    assert work.knobs == {f"k{kind}": value for kind, value in knobs.items()}
    assert work.algorithm == "_".join([f"eng{engine}", *(f"k{k}={v}" for k, v in knobs.items())])
    problem = work.problem
    assert problem is not None

    def ordered(dims: list[int]) -> list[int]:
        return [dims[0], *dims[2:], dims[1]] if c["last"] else dims

    spatial = "DHW"[3 - (len(c["input"]) - 2) :]
    assert problem == {
        "op": "convolution",
        "direction": c["direction"],
        "input": ordered(c["input"]),
        "layout": f"N{spatial}C" if c["last"] else f"NC{spatial}",
        "filter": [*c["filter"][2:], c["filter"][1], c["filter"][0]],
        "output": ordered(c["output"]),
        "strides": c["strides"],
        "dilations": c["dilations"],
        "groups": c["input"][1] // c["filter"][1],
        "padding": [list(p) for p in zip(c["before"], c["after"], strict=True)],
        "dtype": {"FLOAT": "float32", "HALF": "float16", "BFLOAT16": "bfloat16", "DOUBLE": "float64"}[
            c["dtype"]
        ],
        "math": "float32",
        "fused": [],
    }


CONV = {
    "direction": "forward", "last": True, "input": [2, 8, 16, 16], "filter": [16, 8, 3, 3],
    "output": [2, 16, 16, 16], "strides": [1, 1], "dilations": [1, 1], "before": [1, 1], "after": [1, 1],
    "dtype": "FLOAT",
}  # fmt: skip


def pointwise(writer: Writer, mode: int, dims: list[int] | None = None) -> int:
    what = writer.make("POINTWISE")
    writer.say(what, "POINTWISE_MODE", "POINTWISE_MODE", mode)
    operation = writer.make("OPERATION_POINTWISE")
    writer.say(operation, "OPERATION_POINTWISE_PW_DESCRIPTOR", "BACKEND_DESCRIPTOR", what)
    if dims is not None:
        tensor = writer.tensor(dims, packed(dims, True))
        writer.say(operation, "OPERATION_POINTWISE_BDESC", "BACKEND_DESCRIPTOR", tensor)
    return operation


def test_pointwise_operations_behind_a_convolution_are_fused_into_it() -> None:
    writer = Writer()
    operations = [
        convolution(writer, CONV),
        pointwise(writer, 0, [2, 16, 16, 16]),
        pointwise(writer, 0, [1, 16, 1, 1]),
        pointwise(writer, 100),
    ]
    calls = executed(writer, writer.plan(writer.graph(*operations), 1, {}, 0))
    assert calls.works[0].problem is not None
    assert calls.works[0].problem["fused"] == ["add", "bias", "relu"]


def test_a_plan_from_before_the_recording_is_executed_all_the_same() -> None:
    writer = Writer()
    calls = executed(writer, 0)
    assert (calls.works[0].problem, calls.works[0].algorithm) == (None, None)
    assert calls.work.tolist() == [0]


def test_plans_that_cudnn_refused_are_kept_apart() -> None:
    writer = Writer()
    plan = writer.plan(writer.graph(convolution(writer, CONV)), 6, {}, 0)
    refused = writer.call("cudnnBackendFinalize", plan, 5, status=3000)
    calls = understand(writer.records(), writer.data)
    assert [(row, work.algorithm) for row, work in calls.refused] == [(refused, "eng6")]


@given(st.data())
def test_damaged_values_never_raise_and_never_invent_calls(data: st.DataObject) -> None:
    writer = Writer()
    plan = writer.plan(writer.graph(convolution(writer, CONV)), 3, {2: 4}, 64)
    writer.call("cudnnBackendExecute", plan)
    raw = bytearray(writer.data)
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=8)):
        raw[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    calls = understand(writer.records(), bytes(raw[:cut]))
    assert len(calls.records) == len(writer.rows)
    assert len(calls.works) == 1


def test_a_killed_process_leaves_what_was_written_whole() -> None:
    writer = Writer()
    plan = writer.plan(writer.graph(convolution(writer, CONV)), 3, {2: 4}, 64)
    calls = executed(writer, plan)
    assert calls.works[0].algorithm == "eng3_k2=4"
    last = writer.data.rindex(struct.pack("<q", 64))
    cut = understand(writer.records(), writer.data[:last])
    assert cut.works[0].algorithm == "eng3_k2=4"
    assert cut.works[0].workspace_bytes is None


def legacy(writer: Writer) -> None:
    """x [2,8,16,16] NHWC, w 16x8x3x3, y; stride 2, dilation 1, padding 1, two groups."""
    writer.arguments("cudnnSetTensorNdDescriptor", 1, 1, 0, 4, 2, 8, 16, 16, *packed([2, 8, 16, 16], True))
    writer.arguments("cudnnSetFilterNdDescriptor", 2, 2, 0, 1, 4, 16, 4, 3, 3)
    writer.arguments("cudnnSetConvolutionNdDescriptor", 3, 3, 2, 1, 1, 2, 2, 1, 1, 1, 0)
    writer.arguments("cudnnSetConvolutionGroupCount", 3, 3, 2)
    writer.arguments("cudnnSetTensor4dDescriptor", 4, 4, 1, 0, 2, 16, 8, 8)


LEGACY = {
    "op": "convolution", "direction": "forward", "input": [2, 16, 16, 8], "layout": "NHWC", "filter": [3, 3, 4, 16],
    "output": [2, 8, 8, 16], "strides": [2, 2], "dilations": [1, 1], "groups": 2, "padding": [[1, 1], [1, 1]],
    "dtype": "float32", "math": "float32",
}  # fmt: skip


def test_the_older_api_names_problem_algorithm_and_workspace() -> None:
    writer = Writer()
    legacy(writer)
    writer.arguments("cudnnConvolutionForward", 0, 1, 2, 3, 1, 4096, 4)
    writer.arguments("cudnnConvolutionBackwardFilter", 0, 1, 4, 3, 3, 64, 2)
    calls = understand(writer.records(), writer.data)
    forward, backward = calls.works
    assert (forward.algorithm, forward.workspace_bytes) == ("IMPLICIT_PRECOMP_GEMM", 4096)
    assert forward.problem == LEGACY | {"fused": []}
    assert backward.algorithm == "ALGO_3"
    assert backward.problem == LEGACY | {"fused": [], "direction": "backprop_filter"}


def test_content_given_to_a_descriptor_anew_is_another_problem() -> None:
    writer = Writer()
    legacy(writer)
    writer.arguments("cudnnConvolutionForward", 0, 1, 2, 3, 1, 0, 4)
    writer.arguments(
        "cudnnSetTensor4dDescriptor", 5, 5, 0, 2, 4, 8, 32, 32
    )  # the address of 1, numbered anew
    writer.arguments("cudnnConvolutionForward", 0, 5, 2, 3, 1, 0, 4)
    first, second = understand(writer.records(), writer.data).works
    assert first.problem is not None
    assert second.problem is not None
    assert (first.problem["input"], first.problem["dtype"]) == ([2, 16, 16, 8], "float32")
    assert (second.problem["input"], second.problem["dtype"]) == ([4, 8, 32, 32], "float16")


def test_a_ranking_keeps_its_order_and_what_was_not_run() -> None:
    writer = Writer()
    legacy(writer)
    time = struct.unpack("<I", struct.pack("<f", 0.25))[0]
    unknown = struct.unpack("<I", struct.pack("<f", -1.0))[0]
    writer.arguments(
        "cudnnFindConvolutionForwardAlgorithm", 0, 1, 2, 3, 4, 2, 6, 0, time, 1 << 20, 1, 0, 4, 9, unknown, 0, 0, 1
    )  # fmt: skip
    (ranking,) = understand(writer.records(), writer.data).rankings
    assert ranking.measured
    assert ranking.problem == LEGACY
    first, second = ranking.candidates
    assert (first.algorithm, first.status, first.time_ms, first.workspace_bytes) == (
        "WINOGRAD",
        0,
        0.25,
        1 << 20,
    )
    assert (second.algorithm, second.status, second.time_ms) == ("FFT", 9, None)


def test_every_function_has_its_letters() -> None:
    for name, letters in contract.CUDNN_FUNCTIONS:
        assert set(letters) <= set("hodiznarp."), name
        assert letters.count("a") == 0 or "n" in letters, name
        assert letters.count("p") == 0 or "r" in letters, name


@pytest.mark.parametrize(
    ("number", "text"), [(90300, "9.3.0"), (92800, "9.28.0"), (8902, "8.9.2"), (7605, "7.6.5"), (0, None)]
)
def test_versions(number: int, text: str | None) -> None:
    assert version_text(number) == text


def test_no_file_is_no_call() -> None:
    calls = understand(np.empty(0, np.dtype(contract.CUDNN.dtype)), b"")
    assert (len(calls.records), calls.works, calls.version) == (0, [], None)
