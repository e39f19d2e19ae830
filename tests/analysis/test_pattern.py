"""Which executions a pattern means, and what is said where it means none."""

from __future__ import annotations

import pytest

from tests.views.traces import Builder, eager_convs, function_run
from tftrace.analysis.pattern import match, split
from tftrace.errors import InputError, UsageError


def matched(pattern: str) -> int:
    return int(match(eager_convs(3), pattern).calls.sum())


@pytest.mark.parametrize(
    "pattern",
    [
        "conv2d", "CONV2D", "Conv*", "gen_nn_ops.conv2d", "co?v2d", "api:tf.nn.conv2d", "API:tf.nn.*",
        "line:train.py:12", "line:project/train.py:12", "line:train.py", "library:convolution", "library:brg_conv*",
        "library:onednn", "library:convolution_direct",
    ],
)  # fmt: skip
def test_every_way_to_mean_the_convolutions(pattern: str) -> None:
    assert matched(pattern) == 3


@pytest.mark.parametrize(
    "pattern", ["conv", "nn_ops.conv2d", "api:conv2d", "line:rain.py:12", "line:train.py:1"]
)
def test_a_part_of_a_name_is_not_the_name(pattern: str) -> None:
    with pytest.raises(InputError, match="no execution matches"):
        matched(pattern)


@pytest.mark.parametrize("pattern", ["kernel:Conv2D", "kernel:_Mkl*", "kernel:Conv2D:_MklNativeConv2D"])
def test_a_kernel_is_found_by_either_side_of_its_name(pattern: str) -> None:
    trace = function_run()
    found = match(trace, pattern)
    assert int(found.calls.sum()) == 2
    assert [trace.sites.op[s] for s in found.sites] == ["Conv2D"]


def test_a_similar_op_is_not_meant() -> None:
    b = Builder()
    for op in ("Conv2D", "Conv2DBackpropInput", "DepthwiseConv2dNative"):
        b.call(b.site(op), 0, 10, [])
    assert match(b.trace(), "conv2d").sites.tolist() == [0]
    assert match(b.trace(), "*conv2d*").sites.tolist() == [0, 1, 2]


def test_a_node_that_never_ran_does_not_count() -> None:
    b = Builder()
    b.site("Conv2D", mode="function", node="Conv2D")
    b.call(b.site("Relu"), 0, 10, [])
    with pytest.raises(InputError, match="conv2d: made, but never executed while it was traced"):
        match(b.trace(), "conv2d")


def test_a_node_that_ran_within_a_fused_kernel_is_told_where() -> None:
    b = Builder()
    b.site("Conv2D", mode="function", node="Conv2D")
    for name in ("conv/Relu:_FusedConv2D", "dense/BiasAdd:_FusedMatMul"):
        b.call(b.site("Relu"), 0, 10, [b.event("kernel", name, 0, 10)])
    with pytest.raises(InputError, match=r"only executions count; .* try 'kernel:_FusedConv2D'$"):
        match(b.trace(), "conv2d")


def test_a_misspelt_op_is_told_what_comes_close() -> None:
    with pytest.raises(InputError, match=r"no execution matches; close to it: Conv2D"):
        matched("konv2d")
    with pytest.raises(InputError, match="'tftrace summary' shows what ran"):
        matched("zzzzzz")


def test_a_trace_without_any_call_says_so() -> None:
    with pytest.raises(InputError, match="holds no op call at all; did the script run TensorFlow"):
        match(Builder().trace(), "conv2d")


@pytest.mark.parametrize("pattern", ["", "  ", "api:", "kernel: "])
def test_an_empty_pattern_is_wrong_usage(pattern: str) -> None:
    with pytest.raises(UsageError, match="the pattern is empty"):
        split(pattern)


def test_an_unknown_prefix_is_wrong_usage_and_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"there is no colour:; .* api:, line:, kernel:, library:"):
        split("colour:red")


def test_names_of_a_trace_cannot_write_to_the_terminal() -> None:
    b = Builder()
    b.call(b.site("Con\x1b[31mv2D\n" + "x" * 200), 0, 10, [])
    with pytest.raises(InputError) as error:
        match(b.trace(), "con\x1b[31mv2dx")
    assert str(error.value).isprintable()
