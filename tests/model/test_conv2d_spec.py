"""A convolution on the command line: what is written is what is meant, and a mistake is one line that names it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tftrace.errors import TftraceError
from tftrace.model.conv2d_spec import (
    ACTIVATIONS,
    DIRECTIONS,
    DTYPES,
    LAYOUTS,
    Conv2dSpec,
    SpecError,
    from_problem,
    parse,
)

small = st.integers(1, 12)
pads = st.integers(0, 5)


@st.composite
def specs(draw: st.DrawFn) -> Conv2dSpec:
    groups, channels, per_group = draw(st.integers(1, 4)), draw(small), draw(small)
    direction = draw(st.sampled_from(DIRECTIONS))
    fused: tuple[str, ...] = ()
    if direction == "forward":
        fused = draw(st.sampled_from([(), ("bias",), *(("bias", activation) for activation in ACTIVATIONS)]))
    padding = draw(
        st.sampled_from(["SAME", "VALID"]) | st.tuples(st.tuples(pads, pads), st.tuples(pads, pads))
    )
    try:
        return Conv2dSpec(
            input=(draw(small), draw(st.integers(1, 300)), draw(st.integers(1, 300)), groups * channels),
            filter=(draw(small), draw(small), channels, groups * per_group),
            strides=(draw(small), draw(small)),
            padding=padding,
            dtype=draw(st.sampled_from(DTYPES)),
            dilations=(draw(st.integers(1, 3)), draw(st.integers(1, 3))),
            layout=draw(st.sampled_from(LAYOUTS)),
            direction=direction,
            fused=fused,
        )
    except SpecError as error:
        assume("does not fit" not in str(error))
        raise


@settings(deadline=None)
@given(specs())
def test_what_is_written_is_read_again(spec: Conv2dSpec) -> None:
    assert parse(str(spec)) == spec


@settings(deadline=None)
@given(specs())
def test_a_problem_of_the_ledger_is_the_same_convolution(spec: Conv2dSpec) -> None:
    problem = json.loads(json.dumps(spec.problem()))
    again = from_problem(problem)
    assert again.problem() == spec.problem()
    assert from_problem(problem | {"padding": spec.paddings}) == again


@settings(deadline=None)
@given(st.text(alphabet="0123456789,:=SAMEVLIDfloat -\x00", max_size=60))
def test_any_text_is_a_convolution_or_refused_in_one_line(text: str) -> None:
    try:
        spec = parse(text)
    except SpecError as error:
        refusal = error
    else:
        assert min(spec.output) >= 1
        return
    assert refusal.exit_code == 2
    assert "\n" not in str(refusal)


def test_parts_that_are_left_out_have_their_defaults() -> None:
    spec = parse("8,56,56,64:3,3,64,128")
    assert spec == Conv2dSpec((8, 56, 56, 64), (3, 3, 64, 128), (1, 1), "SAME", "float32")
    assert (spec.layout, spec.direction, spec.dilations, spec.groups) == ("NHWC", "forward", (1, 1), 1)
    assert str(spec) == "8,56,56,64:3,3,64,128:1:SAME:float32"


@pytest.mark.parametrize(
    ("text", "paddings", "output"),
    [
        ("1,224,224,3:7,7,3,64:2", ((2, 3), (2, 3)), (1, 112, 112, 64)),
        ("1,224,224,3:7,7,3,64:2:3", ((3, 3), (3, 3)), (1, 112, 112, 64)),
        ("1,224,224,3:7,7,3,64:2:valid", ((0, 0), (0, 0)), (1, 109, 109, 64)),
        ("1,10,20,3:3,5,3,4:2,1:1,2:half", ((1, 1), (2, 2)), (1, 5, 20, 4)),
        ("1,10,20,3:3,5,3,4:2,1:0,1,2,3", ((0, 1), (2, 3)), (1, 5, 21, 4)),
        ("1,10,10,3:3,3,3,4:1:VALID:float32:dilations=2,3", ((0, 0), (0, 0)), (1, 6, 4, 4)),
    ],
)
def test_padding_and_output_are_those_of_tensorflow(text: str, paddings: Any, output: Any) -> None:
    spec = parse(text)
    assert (spec.paddings, spec.output) == (paddings, output)


@pytest.mark.tf
@pytest.mark.parametrize(
    "text", ["2,9,10,6:3,4,6,5:2,3", "2,9,10,6:3,4,6,5:2,1:VALID:float32", "1,8,9,4:3,3,4,2:2:1,0,2,1"]
)
def test_the_output_is_what_tensorflow_makes(text: str) -> None:
    import tensorflow as tf

    spec = parse(text)
    explicit = [[0, 0], *map(list, spec.paddings), [0, 0]]
    y = tf.nn.conv2d(
        tf.zeros(spec.input), tf.zeros(spec.filter), list(spec.strides),
        spec.padding if isinstance(spec.padding, str) else explicit,
    )  # fmt: skip
    assert tuple(y.shape) == spec.output
    padded = tf.nn.conv2d(tf.ones(spec.input), tf.ones(spec.filter), list(spec.strides), explicit)
    named = spec.padding if isinstance(spec.padding, str) else explicit
    same = tf.nn.conv2d(tf.ones(spec.input), tf.ones(spec.filter), list(spec.strides), named)
    assert bool(tf.reduce_all(padded == same))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no convolution: write input:filter"),
        ("8,56,56,64", "is no convolution: write input:filter"),
        ("8,56,64:3,3,64,64", "the input N,H,W,C has four sizes, not 3"),
        ("8,56,56,64:3,3,64", "the filter KH,KW,C,K has four sizes, not 3"),
        ("8,56,0,64:3,3,64,64", "'0' is no whole number from 1"),
        ("8,56,-1,64:3,3,64,64", "'-1' is no whole number"),
        ("8,56,x,64:3,3,64,64", "'x' is no whole number"),
        ("8,56,56,64:3,3,64,64:1,1,1", "the strides are one number or two"),
        ("8,56,56,64:3,3,64,64:1:FULL", "the padding 'FULL' is not SAME, VALID or numbers"),
        ("8,56,56,64:3,3,64,64:1:1,2,3", "the padding is SAME, VALID, one number, two"),
        ("8,56,56,64:3,3,64,64:1:SAME:float8", "the dtype 'float8' is none of float16"),
        ("8,56,56,64:3,3,64,64:1:SAME:float32:x", "is no convolution: write"),
        ("8,56,56,64:3,3,64,64:layout=CHWN", "the layout 'CHWN' is none of NHWC, NCHW"),
        ("8,56,56,64:3,3,64,64:lay=NHWC", "the part 'lay=NHWC' is none of dilations=, layout="),
        ("8,56,56,64:3,3,64,64:layout=NHWC:layout=NCHW", "'layout=NCHW' stands twice"),
        ("8,56,56,64:3,3,64,64:layout=NHWC:VALID", "the part 'VALID' is none of"),
        ("8,56,56,64:3,3,64,64:fused=relu", "fused=relu is not bias, or bias and one of"),
        ("8,56,56,64:3,3,64,64:fused=bias:direction=backprop_input", "only a forward convolution"),
        ("8,56,56,64:3,3,63,64", "the filter takes 63 channels and the input has 64"),
        ("8,56,56,64:3,3,32,63", "63 output channels are not divisible by 2 groups"),
        ("8,5,5,64:7,7,64,64:1:VALID", "the filter does not fit into the input"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_it(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=re.escape(says)) as raised:
        parse(text)
    assert isinstance(raised.value, TftraceError)
    assert raised.value.exit_code == 2


PROBLEM: dict[str, Any] = {
    "op": "Conv2D", "direction": "forward", "input": [2, 16, 16, 8], "filter": [3, 3, 8, 16],
    "output": [2, 16, 16, 16], "strides": [1, 1], "dilations": [1, 1], "padding": [[1, 1], [1, 1]], "groups": 1,
    "layout": "NHWC", "dtype": "float32", "math": "float32", "fused": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "2,16,16,8:3,3,8,16:1:SAME:float32"),
        ({"padding": "VALID", "output": [2, 14, 14, 16]}, "2,16,16,8:3,3,8,16:1:VALID:float32"),
        ({"padding": [[0, 0], [1, 1], [1, 1], [0, 0]], "strides": [1, 1, 1, 1]}, "2,16,16,8:3,3,8,16:1:SAME:float32"),
        ({"padding": [[0, 0], [0, 0]], "output": None}, "2,16,16,8:3,3,8,16:1:VALID:float32"),
        ({"padding": [[2, 2], [2, 2]], "output": None}, "2,16,16,8:3,3,8,16:1:2,2,2,2:float32"),
        ({"op": "convolution", "layout": "nChw16c", "input": [2, 8, 16, 16], "output": [2, 16, 16, 16]},
         "2,16,16,8:3,3,8,16:1:SAME:float32"),
        ({"layout": "NCHW", "input": [2, 8, 16, 16]}, "2,16,16,8:3,3,8,16:1:SAME:float32:layout=NCHW"),
        ({"fused": ["BIAS", "RELU"]}, "2,16,16,8:3,3,8,16:1:SAME:float32:fused=bias,relu"),
        ({"fused": ["add", "bias", "relu"]}, "2,16,16,8:3,3,8,16:1:SAME:float32:fused=bias,relu"),
        ({"fused": ["ADD", "ADD", "RELU_FWD"]}, "2,16,16,8:3,3,8,16:1:SAME:float32:fused=bias,relu"),
        ({"fused": ["bias", "eltwise_relu"]}, "2,16,16,8:3,3,8,16:1:SAME:float32:fused=bias,relu"),
        ({"filter": [3, 3, 2, 16], "groups": 4}, "2,16,16,8:3,3,2,16:1:SAME:float32"),
    ],
)  # fmt: skip
def test_a_problem_from_any_source_becomes_a_convolution(change: dict[str, Any], text: str) -> None:
    assert str(from_problem(PROBLEM | change)) == text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"op": "MatMul", "direction": "other"}, "MatMul other is no 2-D convolution"),
        ({"op": "Conv3D"}, "Conv3D forward is no 2-D convolution"),
        ({"op": "deconvolution"}, "is no 2-D convolution"),
        ({"op": "convolution", "input": [2, 8, 16]}, "its input has 3 dimensions"),
        ({"input": None}, "the sizes of its input are not known"),
        ({"filter": []}, "the sizes of its filter are not known"),
        ({"input": [None, 16, 16, 8]}, "are not all known"),
        ({"dtype": None}, "its data type is not known"),
        ({"dtype": "float8_e5m2"}, "its data type is float8_e5m2"),
        ({"padding": None}, "its padding is not known in pixels"),
        ({"padding": "EXPLICIT"}, "its padding EXPLICIT is not known in pixels"),
        ({"padding": [[-1, 1], [1, 1]]}, "is not known in pixels"),
        ({"strides": None}, "its strides are not known"),
        ({"strides": [0, 1]}, "its strides [0, 1] are not positive"),
        ({"groups": 2}, "2 groups, but its sizes make 1"),
        ({"output": [2, 8, 8, 16]}, "is not what its other sizes give"),
        ({"fused": ["sum"]}, "it is fused with sum"),
        ({"mode": "convolution"}, "flips the filter"),
        ({"flipped": True}, "flips the filter"),
    ],
)  # fmt: skip
def test_a_problem_that_cannot_be_asked_for_says_why(change: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=re.escape(says)):
        from_problem(PROBLEM | change)
