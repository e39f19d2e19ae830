"""Which ops are work, and which only prepare, move or keep what others work on."""

from __future__ import annotations

from typing import Final

SHAPES: Final = frozenset({"Shape", "ShapeN", "Size", "Rank", "VariableShape"})
"""Ops whose result depends on the shape of a tensor, not on what is in it."""

KEEPS: Final = frozenset(
    {"ReadVariableOp", "VarHandleOp", "VarIsInitializedOp", "DisableCopyOnRead", "Identity", "ResourceGather"}
)
"""Ops that hand on what is kept somewhere."""

MOVES: Final = SHAPES | frozenset(
    """
    Reshape Transpose ConjugateTranspose ExpandDims Squeeze Cast Bitcast Identity IdentityN Pack Unpack
    ConcatV2 Concat Split SplitV Slice StridedSlice Tile BroadcastTo Fill Range LinSpace ZerosLike OnesLike
    Pad PadV2 MirrorPad ReverseV2 Gather GatherV2 GatherNd ScatterNd Where StopGradient PreventGradient Copy
    DeepCopy EnsureShape BroadcastArgs VarHandleOp AssignVariableOp ReadVariableOp AssignAddVariableOp
    AssignSubVariableOp VarIsInitializedOp VariableV2 Assign AssignAdd AssignSub IsVariableInitialized
    ResourceGather DestroyResourceOp DisableCopyOnRead TensorListFromTensor TensorListReserve
    TensorListGetItem TensorListSetItem TensorListStack TensorListLength TensorListElementShape
    TensorListPushBack TensorListPopBack EmptyTensorList TensorArrayV3 TensorArrayReadV3 TensorArrayWriteV3
    TensorArrayScatterV3 TensorArrayGatherV3 TensorArraySizeV3 CheckNumerics SparseToDense SparseReorder Assert Print
    PrintV2 StringFormat function
    """.split()  # noqa: SIM905
)
"""Ops that shape, move, convert or keep values."""

ARITHMETIC: Final = frozenset(
    """
    Add AddV2 Sub Mul MulNoNan Div DivNoNan RealDiv FloorDiv FloorMod TruncateMod TruncateDiv Neg Abs Sign
    Square Sqrt Rsqrt Reciprocal Inv Pow Exp Expm1 Log Log1p Maximum Minimum Round Rint Floor Ceil
    SquaredDifference AddN Sum Prod Mean Max Min All Any EuclideanNorm LogicalAnd LogicalOr LogicalNot Equal
    NotEqual Greater GreaterEqual Less LessEqual ApproximateEqual SelectV2 Select IsNan IsInf IsFinite
    ClipByValue Xdivy Xlogy Xlog1py Sin Cos Tan Tanh Sigmoid Conj Real Imag Complex ComplexAbs
    """.split()  # noqa: SIM905
)
"""Element by element arithmetic, comparisons, and plain reductions: what formulas are made of."""

EFFECTS: Final = ("Assign", "Print", "Assert", "Write", "Scatter", "Insert", "Delete", "Enqueue", "Resource")
"""Beginnings of ops that count although their result goes nowhere."""


def is_plain(op: str) -> bool:
    """Whether an op is none that a function would be known for."""
    return op in MOVES or op in ARITHMETIC


def has_effect(op: str) -> bool:
    return op.startswith(EFFECTS)
