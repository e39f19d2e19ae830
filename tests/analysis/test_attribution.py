"""What the framework makes for itself, by the names of kernels."""

from __future__ import annotations

import pytest

from tftrace.analysis.attribution import NOT_WATCHED, kind


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
        ("w2/Momentum/Initializer/zeros:Const", "optimizer slots"),
        ("range:Range", NOT_WATCHED),
    ],
)  # fmt: skip
def test_the_name_of_a_kernel_tells_what_it_was_made_for(kernel: str, what: str) -> None:
    assert kind(kernel) == what
