"""tf_slim: layers, losses and variables of a graph."""

import importlib
import os
from typing import Any, Dict

from ..making import Make, given


def _conv(rank: int) -> Any:
    return lambda m: (m.f(m.n, *(8,) * rank, 3), 4, 3)


def _in_plane(m: Make) -> Any:
    return m.f(m.n, 8, 8, 3), 3


def _pool(rank: int) -> Any:
    return lambda m: (m.f(m.n, *(8,) * rank, 3), 2)


def _dense(m: Make) -> Any:
    return m.f(m.n, 3), 4


def _variable(m: Make) -> Any:
    import tensorflow as tf

    return tf.compat.v1.get_variable("a_variable", [m.n, 3])


def _steps(m: Make) -> Any:
    import tensorflow as tf

    return tf.compat.v1.train.get_or_create_global_step()


def _loss(m: Make) -> Any:
    import tensorflow as tf

    loss = tf.reduce_sum(_variable(m) ** 2)
    return given(loss, _steps(m), 0.1, "SGD")


def _checkpoint(m: Make) -> Any:
    """A checkpoint, in the worker's own directory, and the variable that it holds."""
    import tensorflow as tf

    variable, place = _variable(m), os.path.join(os.getcwd(), "a_checkpoint")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        name, whole = tf.constant([variable.op.name]), tf.constant([""])
        save = tf.raw_ops.SaveV2(
            prefix=place, tensor_names=name, shape_and_slices=whole, tensors=[tf.constant(m.array(m.n, 3))]
        )
        session.run(save)
    return place, [variable]


def _slim(name: str) -> Any:
    return getattr(importlib.import_module("tf_slim"), name)


def _regularized(m: Make) -> Any:
    return _slim("l2_regularizer")(0.1), [_variable(m)]


def _collected(m: Make) -> Any:
    """Something in a collection, for what looks there."""
    import tensorflow as tf

    tf.compat.v1.get_variable("a_variable/weights", [m.n, 3])
    return given()


TABLE: Dict[str, Any] = {
    **{"conv%dd" % rank: _conv(rank) for rank in (1, 2, 3)},
    **{"convolution%dd" % rank: _conv(rank) for rank in (1, 2, 3)},
    **{"conv%dd_transpose" % rank: _conv(rank) for rank in (2, 3)},
    **{"convolution%dd_transpose" % rank: _conv(rank) for rank in (2, 3)},
    **{"%s_pool%dd" % (kind, rank): _pool(rank) for rank in (2, 3) for kind in ("avg", "max")},
    **dict.fromkeys(("elu", "fully_connected", "linear", "relu", "relu6"), _dense),
    **dict.fromkeys(("legacy_fully_connected", "legacy_linear", "legacy_relu"), _dense),
    "add_arg_scope": lambda m: lambda x: x,
    "add_model_variable": _variable,
    "apply_regularization": _regularized,
    "arg_scope": lambda m: given([_slim("conv2d")], padding="VALID"),
    "arg_scope_func_key": lambda m: _slim("conv2d"),
    "arg_scoped_arguments": lambda m: _slim("conv2d"),
    "assert_global_step": _steps,
    "assign_from_checkpoint": _checkpoint,
    "assign_from_checkpoint_fn": _checkpoint,
    "assign_from_values": lambda m: {_variable(m).op.name: m.array(m.n, 3)},
    "assign_from_values_fn": lambda m: {_variable(m).op.name: m.array(m.n, 3)},
    "batch_norm": lambda m: m.f(m.n, 4, 4, 3),
    "bias_add": lambda m: m.f(m.n, 4, 4, 3),
    "bucketize": lambda m: (m.f(4), [0.2, 0.4]),
    "conv2d_in_plane": _in_plane,
    "convolution2d_in_plane": _in_plane,
    "convolution": _conv(2),
    "dense_to_sparse": lambda m: m.ints([[1, 0], [2, 3]], "int64"),
    "dropout": lambda m: m.f(m.n, 3),
    "filter_variables": lambda m: given([_variable(m)], include_patterns=["a_"]),
    "flatten": lambda m: m.f(m.n, 4, 3),
    "gdn": lambda m: m.f(m.n, 4, 4, 3),
    "get_unique_variable": lambda m: _variable(m).op.name,
    "get_variable_full_name": _variable,
    "get_variables_by_name": lambda m: _variable(m).op.name,
    "get_variables_by_suffix": lambda m: _variable(m).op.name,
    "global_variable": lambda m: m.array(m.n, 3),
    "group_norm": lambda m: given(m.f(m.n, 4, 4, 4), groups=2),
    "images_to_sequence": lambda m: m.f(m.n, 4, 4, 3),
    "instance_norm": lambda m: m.f(m.n, 4, 4, 3),
    "layer_norm": lambda m: m.f(m.n, 3),
    "local_variable": lambda m: m.array(m.n, 3),
    "l1_regularizer": lambda m: 0.1,
    "l2_regularizer": lambda m: 0.1,
    "maxout": lambda m: (m.f(m.n, 4), 2),
    "model_variable": lambda m: given("a_variable", shape=[m.n, 3]),
    "one_hot_encoding": lambda m: (m.ints([0, 1, 2]), 3),
    "optimize_loss": _loss,
    "pool": lambda m: (m.f(m.n, 8, 8, 3), [2, 2], "MAX"),
    "recompute_grad": lambda m: lambda x: x,
    "repeat": lambda m: given(m.f(m.n, 3), 2, _slim("fully_connected"), 3, scope="a_scope"),
    "rev_block": lambda m: (m.f(m.n, 4), m.f(m.n, 4), lambda x: x + x, lambda x: x + x),
    "scale_gradient": lambda m: (m.f(m.n, 3), 0.5),
    "separable_conv2d": lambda m: (m.f(m.n, 8, 8, 3), 4, 3),
    "separable_convolution2d": lambda m: (m.f(m.n, 8, 8, 3), 4, 3),
    "sequence_to_images": lambda m: (m.f(4, m.n * 4, 3), 4),
    "softmax": lambda m: m.f(m.n, 3),
    "spatial_softmax": lambda m: m.f(m.n, 4, 4, 3),
    "stack": lambda m: given(m.f(m.n, 3), _slim("fully_connected"), [3, 4], scope="a_scope"),
    "sum_regularizer": lambda m: ([_slim("l2_regularizer")(0.1)],),
    "summarize_activation": lambda m: m.f(m.n, 3),
    "summarize_collection": lambda m: "a_collection",
    "summarize_tensor": lambda m: m.f(m.n, 3),
    "summarize_tensors": lambda m: ([m.f(m.n, 3)],),
    "summarize_variables": _collected,
    "summarize_weights": _collected,
    "unit_norm": lambda m: (m.f(m.n, 3), 1),
    "variable": lambda m: given("a_variable", shape=[m.n, 3]),
}
