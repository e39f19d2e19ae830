"""What the framework makes for itself, by the names of kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.views.traces import Builder, conv_site
from tftrace.analysis import fates
from tftrace.analysis.attribution import ALIKE, NOT_WATCHED, OPTIMIZER, framework_made, kernel_time, kind
from tftrace.api import load


@pytest.mark.parametrize(
    ("kernel", "what"),
    [
        ("_send_Reshape/shape_0:_Send", "transfers between devices"),
        ("_send_w0/Momentum/Initializer/zeros_0:_Send", "transfers between devices"),
        ("Conv2D-0-TransposeNHWCToNCHW-LayoutOptimizer:Transpose", "layout transposes"),
        ("StatefulPartitionedCall/net/Conv2D-0-0-TransposeNCHWToNHWC-LayoutOptimizer:Transpose", "layout transposes"),
        ("ConstantFolding/gradients/ShapeN-matshapes-1:Const", "folded constants"),
        ("truediv/_1__cf__1:Const", "folded constants"),
        ("ArithmeticOptimizer/AddOpsRewrite_add:AddN", "Grappler's own nodes"),
        ("IteratorGetNext:IteratorGetNext", "iterator and tf.data"),
        ("TensorSliceDataset/_1:TensorSliceDataset", "iterator and tf.data"),
        ("Placeholder/_4:Placeholder", "iterator and tf.data"),
        ("copy.12", "copies that XLA made"),
        ("w2/Momentum/Initializer/zeros:Const", "optimizer slots"),
        ("training/Adam/dense/kernel/m/Assign:AssignVariableOp", "optimizer slots"),
        ("gradient_tape/m_1/block/dense/Exp:Exp", NOT_WATCHED),
        ("range:Range", NOT_WATCHED),
    ],
)  # fmt: skip
def test_the_name_of_a_kernel_tells_what_it_was_made_for(kernel: str, what: str) -> None:
    assert kind(kernel) == what


def test_a_node_that_only_the_graph_that_ran_holds_is_the_optimizers_whatever_its_name() -> None:
    b = Builder()
    added = [(b.site(op, mode="function", node="x", fate="added"), op) for op in ("Transpose", "Mul")]
    own = [(conv_site(b), "Conv2D"), (b.site("Range", mode="function", node="y"), "Range")]
    for at, (site, op) in enumerate([*added, *own]):
        kernel = b.event("kernel", f"named_by_nobody_{at}:{op}", 1000 * at, 500)
        b.call(site, 1000 * at, 500, [kernel])
    time = kernel_time(b.trace())
    assert time is not None
    assert (time["yours_us"], time["total_us"]) == (0.5, 2.0)
    assert {row["kind"]: row["names"] for row in time["framework_made"]} == {
        "layout transposes": ["named_by_nobody_0:Transpose"],
        OPTIMIZER: ["named_by_nobody_1:Mul"],
        NOT_WATCHED: ["named_by_nobody_3:Range"],
    }
    assert fates.fates(b.trace()) == []  # nobody's line made it: it is not told as an op that did not run


def test_a_kernel_with_the_name_of_nodes_of_several_lines_is_not_said_to_be_nobodys() -> None:
    b = Builder()
    b.site("Range", mode="function", node="range", python_file="a.py", python_line=1)
    b.site("Range", mode="function", node="range", python_file="a.py", python_line=2)
    kernel = b.event("kernel", "range:Range", 1000, 500)
    b.call(b.site("Range", mode="function", node="range"), 1000, 500, [kernel])
    time = kernel_time(b.trace())
    assert time is not None
    assert {row["kind"]: row["names"] for row in time["framework_made"]} == {ALIKE: ["range:Range"]}


RECORDED = Path(__file__).parents[2] / "traces" / "examples"


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("five_modes_eager", {}),
        ("five_modes_function", {}),
        ("five_modes_session", {"transfers between devices"}),
        ("five_modes_xla", {"transfers between devices"}),
        ("five_modes_fit", {"transfers between devices"}),
        ("h200_five_modes_function", {"layout transposes"}),
        ("h200_five_modes_xla", {"transfers between devices"}),
    ],
)
def test_of_each_recorded_mode_all_but_a_hundredth_leads_to_lines_and_the_rest_is_listed_by_name(
    name: str, rest: set[str]
) -> None:
    trace = load(RECORDED / name)
    time = kernel_time(trace)
    assert time is not None
    assert time["share"] >= 0.99
    assert {row["kind"] for row in time["framework_made"]} == set(rest)
    made = framework_made(trace)
    listed = {n for row in time["framework_made"] for n in row["names"]}
    assert listed == set(made.kernel[~made.yours])
    assert sum(row["total_us"] for row in time["framework_made"]) == pytest.approx(
        time["total_us"] - time["yours_us"], abs=0.01
    )
