"""One problem has one name, whichever source tells of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.model.conv2d_spec import parse
from tftrace.model.problem import algorithm_name, canonical, compatible, identity, paddings, united

CONV: dict[str, Any] = {
    "op": "Conv2D", "direction": "forward", "input": [2, 16, 16, 8], "filter": [3, 3, 8, 16],
    "output": [2, 16, 16, 16], "strides": [1, 1], "dilations": [1, 1], "padding": [[1, 1], [1, 1]], "groups": 1,
    "layout": "NHWC", "dtype": "float32", "math": "float32", "fused": [],
}  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
problems = st.fixed_dictionaries(
    {},
    optional={k: values | st.just(v) for k, v in CONV.items()}
    | {"mode": values, "nodes": st.lists(st.text(), unique=True)},
)


@pytest.mark.parametrize(
    ("direction", "op"),
    [
        ("forward", "Conv2D"),
        ("backprop_input", "Conv2DBackpropInput"),
        ("backprop_filter", "Conv2DBackpropFilter"),
    ],
)
def test_a_convolution_has_tensorflows_name(direction: str, op: str) -> None:
    assert canonical(CONV | {"op": "convolution", "direction": direction})["op"] == op


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["BIAS", "RELU"], ["bias", "relu"]),
        (["bias", "eltwise_relu"], ["bias", "relu"]),
        (["ADD", "ADD", "RELU_FWD"], ["add", "bias", "relu"]),
        (["Add", "Add", "ReluFwd"], ["add", "bias", "relu"]),
        (["sum"], ["add"]),
        ([], []),
    ],
)
def test_what_is_fused_has_one_word(words: list[str], names: list[str]) -> None:
    assert canonical(CONV | {"fused": words})["fused"] == names


def test_the_addition_that_cudnns_graphs_always_hold_tells_nothing_apart() -> None:
    graph, log = CONV | {"fused": ["add", "bias", "relu"]}, CONV | {"fused": ["BIAS", "RELU"]}
    assert identity(graph) == identity(log) != identity(CONV)
    both = united(canonical(log), canonical(graph))
    assert both["fused"] == ["add", "bias", "relu"]


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM", "IMPLICIT_PRECOMP_GEMM"),
        ("CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3", "ALGO_3"),
        ("CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED", "WINOGRAD_NONFUSED"),
        ("ALGO_FFT", "FFT"),
        ("ALGO_0", "ALGO_0"),
        ("eng2_k2=4", "eng2_k2=4"),
        ("convolution_direct", "convolution_direct"),
        (None, None),
    ],
)
def test_an_algorithm_has_cudnns_short_name(name: str | None, short: str | None) -> None:
    assert algorithm_name(name) == short


def test_what_a_source_does_not_tell_fits_and_what_it_tells_otherwise_does_not() -> None:
    known, open_ = canonical(CONV), canonical(CONV | {"dtype": None, "math": None})
    assert compatible(known, open_)
    assert united(open_, known) == known
    assert not compatible(known, canonical(CONV | {"dtype": "float16"}))
    assert not compatible(known, canonical(CONV | {"strides": [2, 2]}))
    assert not compatible(known, {k: v for k, v in known.items() if k != "strides"})
    assert compatible(
        known, canonical(CONV | {"math": "TENSOR_OP_MATH"})
    )  # a type of math, not one of numbers


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize(
    "text", ["1,224,223,3:7,7,3,64:2", "1,9,9,3:3,3,3,4:2:VALID", "1,10,9,3:3,3,3,4:dilations=2,3"]
)
def test_named_padding_is_told_in_pixels(text: str, layout: str) -> None:
    spec = parse(f"{text}:layout={layout}")
    named = spec.problem() | {"padding": str(spec.padding)}
    assert paddings(named) == [list(pair) for pair in spec.paddings]
    assert identity(named) == identity(spec.problem() | {"padding": [list(pair) for pair in spec.paddings]})


@given(problems)
def test_naming_is_idempotent_and_fits_itself(problem: dict[str, Any]) -> None:
    once = canonical(problem)
    assert canonical(once) == once
    assert compatible(once, once)
    assert identity(once) == identity(problem) == identity(json.loads(json.dumps(once)))
    assert canonical(united(once, once)) == once
