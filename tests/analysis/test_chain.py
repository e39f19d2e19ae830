"""The chain of a group: eight layers, each observed with its evidence or unobserved with its reason."""

from __future__ import annotations

import json

import pytest

from tests.analysis.contracts import check
from tests.views.traces import CONV_FRAMES, Builder, add_eager_conv, conv_site, eager_convs, function_run
from tftrace.analysis import chain
from tftrace.model.layers import LAYERS


def entries(group: chain.Group) -> dict[str, chain.Entry]:
    assert [e.layer for e in group.chain] == list(LAYERS)
    return {e.layer: e for e in group.chain}


def test_eager_calls_of_one_problem_are_one_group() -> None:
    (group,) = chain.why(eager_convs(3), "conv2d")
    assert (group.count, group.op, group.mode, group.warm_up) == (3, "Conv2D", "eager", 1)
    assert group.total_us == 270.0
    assert (group.python.file, group.python.line) == ("/home/user/project/train.py", 12)  # type: ignore[union-attr]
    assert group.caller is None
    assert group.shapes == [[8, 32, 32, 3], [3, 3, 3, 16]]
    found = entries(group)
    assert {layer: e.name for layer, e in found.items()} == {
        "python": "train.py:12", "api": "tf.nn.conv2d", "gen_op": "gen_nn_ops.conv2d",
        "runtime": "TFE_Py_FastPathExecute", "kernel": None, "stream_executor": None, "library": "convolution",
        "device": "convolution",
    }  # fmt: skip
    assert {layer: (e.evidence, e.rule, e.parent) for layer, e in found.items() if e.evidence} == {
        "python": ("measured", None, None),  # nothing lies above it
        "api": ("measured", "python stack", "python"),
        "gen_op": ("measured", "python stack", "api"),
        "runtime": ("measured", "python stack", "gen_op"),
        "library": ("measured", "range id", "runtime"),
        "device": ("inferred", "overlap", "library"),
    }
    assert "tf_profiler off" in str(found["kernel"].reason)
    assert found["stream_executor"].reason == "runs only on a GPU; this run had none"


def test_library_call_is_told_with_implementation_and_stack() -> None:
    (group,) = chain.why(eager_convs(3), "conv2d")
    assert group.library is not None
    assert group.library.name == "oneDNN"
    assert group.library.implementation == "brg_conv_fwd:avx512_core"
    assert group.library.algorithm == "convolution_direct"
    assert group.native_stack[0]["function"].startswith("dnnl::impl::primitive_execute")
    assert group.native_stacks == 1


def test_a_group_carries_the_weakest_of_its_links_and_counts_them_all() -> None:
    """A call that was not stack-sampled is not measured by its neighbours."""
    b = Builder()
    site, stack = conv_site(b), b.stack("native", *CONV_FRAMES)
    for i in range(3):
        add_eager_conv(b, site, stack, 100_000 * i)
    weak = next(r for r in b.rows["links"] if r["rule"] == "range id")
    weak.update(rule="containment", evidence="joined")
    (group,) = chain.why(b.trace(), "conv2d")
    library = entries(group)["library"]
    assert library.evidence == "joined"
    assert library.evidence_counts == {"measured": 2, "joined": 1}
    assert library.rule == "containment"


def test_another_implementation_is_another_group_the_costliest_first() -> None:
    b = Builder()
    site, stack = conv_site(b), b.stack("native", *CONV_FRAMES)
    for i, implementation in enumerate(("gemm:jit", "brg_conv_fwd:avx2", "brg_conv_fwd:avx2")):
        add_eager_conv(b, site, stack, 100_000 * i, implementation=implementation)
    groups = chain.why(b.trace(), "conv2d")
    assert [(g.count, g.library.implementation) for g in groups if g.library] == [
        (2, "brg_conv_fwd:avx2"),
        (1, "gemm:jit"),
    ]


def test_a_node_names_the_line_that_made_it_and_the_line_that_ran_it() -> None:
    (group,) = chain.why(function_run(), "conv2d")
    assert (group.mode, group.count, group.node) == ("function", 2, "Conv2D")
    assert (group.python.line, group.caller.line) == (12, 40)  # type: ignore[union-attr]
    found = entries(group)
    assert found["kernel"].name == "Conv2D:_MklNativeConv2D"
    assert (found["library"].rule, found["library"].parent) == ("native stack", "kernel")


@pytest.mark.parametrize("pattern", ["conv2d", "*", "library:*"])
def test_documents_fit_their_contract(pattern: str) -> None:
    for trace in (eager_convs(2), function_run()):
        document = chain.document(trace, pattern)
        check(document, "why")
        json.dumps(document, allow_nan=False)
