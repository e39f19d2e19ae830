"""tf.keras.backend of Keras 2 and Keras 3."""

from typing import Any, Dict

import numpy

from ..making import Make, given


def _conv(*kernel: int) -> Any:
    return lambda m: (m.f(m.n, *(8,) * (len(kernel) - 2), kernel[-2]), m.f(*kernel))


def _random(m: Make) -> Any:
    return ([m.n, 3],)


def _step(inputs: Any, states: Any) -> Any:
    return inputs + states[0], [inputs + states[0]]


def _local(rank: int) -> Any:
    def recipe(m: Make) -> Any:
        if rank == 1:
            return given(m.f(m.n, 6, 3), m.f(4, 9, 2), (3,), (1,), data_format="channels_last")
        return given(m.f(m.n, 6, 6, 3), m.f(16, 27, 2), (3, 3), (1, 1), (4, 4), data_format="channels_last")

    return recipe


def _function(m: Make) -> Any:
    """A model's input and output, which is what K.function stands between."""
    import tensorflow as tf

    x = tf.keras.Input((3,))
    return [x], [x * 2.0]


def _gradients(m: Make) -> Any:
    x = m.f(m.n, 3)
    return x * x, x


def _ctc(m: Make) -> Any:
    return m.ints([[0, 1], [1, 0]]), m.probabilities(2, 6, 4), m.ints([[6], [6]]), m.ints([[2], [1]])


TABLE: Dict[str, Any] = {
    "arange": lambda m: (1, 5),
    "batch_dot": lambda m: (m.f(m.n, 3), m.f(m.n, 3)),
    "batch_get_value": lambda m: ([m.v(m.n, 3), m.v(3)],),
    "batch_normalization": lambda m: (m.f(m.n, 3), m.f(3), m.f(3), m.f(3), m.f(3)),
    "batch_set_value": lambda m: ([(m.v(m.n, 3), m.array(m.n, 3, dtype="float32"))],),
    "bias_add": lambda m: (m.f(m.n, 3), m.f(3)),
    "binary_crossentropy": lambda m: (m.one_hot(m.n, 3), m.probabilities(m.n, 3)),
    "binary_focal_crossentropy": lambda m: (m.one_hot(m.n, 3), m.probabilities(m.n, 3)),
    "cast": lambda m: (m.x(m.n, 3), "float64" if m.dtype != "float64" else "float32"),
    "cast_to_floatx": lambda m: m.x(m.n, 3, dtype="float64" if m.dtype == "float32" else m.dtype),
    "categorical_crossentropy": lambda m: (m.one_hot(m.n, 3), m.probabilities(m.n, 3)),
    "categorical_focal_crossentropy": lambda m: (m.one_hot(m.n, 3), m.probabilities(m.n, 3)),
    "concatenate": lambda m: ([m.x(m.n, 3), m.x(m.n, 3)],),
    "constant": lambda m: ([1.0, 2.0],),
    "conv1d": _conv(3, 3, 4),
    "conv2d": _conv(3, 3, 3, 4),
    "conv2d_transpose": lambda m: (m.f(m.n, 8, 8, 4), m.f(3, 3, 3, 4), (m.n, 10, 10, 3)),
    "conv3d": _conv(3, 3, 3, 3, 4),
    "ctc_batch_cost": _ctc,
    "ctc_decode": lambda m: (m.probabilities(2, 6, 4), m.ints([6, 6])),
    "ctc_label_dense_to_sparse": lambda m: (m.ints([[0, 1], [1, 0]]), m.ints([2, 1])),
    "depthwise_conv2d": _conv(3, 3, 3, 2),
    "dot": lambda m: (m.x(m.n, 3), m.x(3, 4)),
    "eval": lambda m: m.v(m.n, 3),
    "eye": lambda m: 3,
    "foldl": lambda m: (lambda a, b: a + b, m.x(m.n, 3)),
    "foldr": lambda m: (lambda a, b: a + b, m.x(m.n, 3)),
    "function": _function,
    "get_uid": lambda m: "a_prefix",
    "get_value": lambda m: m.f(m.n, 3),
    "gradients": _gradients,
    "in_test_phase": lambda m: (m.x(m.n, 3), m.x(m.n, 3)),
    "in_top_k": lambda m: (m.f(m.n, 3), m.ints([0] * m.n), 2),
    "in_train_phase": lambda m: (m.x(m.n, 3), m.x(m.n, 3)),
    "is_float_dtype": lambda m: "float32",
    "is_int_dtype": lambda m: "int32",
    "is_keras_tensor": lambda m: m.x(m.n, 3),
    "learning_phase_scope": lambda m: 0,
    "local_conv1d": _local(1),
    "local_conv2d": _local(2),
    "manual_variable_initialization": lambda m: False,
    "map_fn": lambda m: (lambda a: a + 1.0 if a.dtype.is_floating else a, m.x(m.n, 3)),
    "moving_average_update": lambda m: (m.v(3), m.f(3), 0.9),
    "normalize_batch_in_training": lambda m: (m.f(m.n, 8, 8, 3), m.f(3), m.f(3), [0, 1, 2]),
    "one_hot": lambda m: (m.ints([0, 1, 2]), 3),
    "ones": _random,
    "placeholder": lambda m: given(shape=(2, 3)),
    "pool2d": lambda m: (m.f(m.n, 8, 8, 3), (2, 2)),
    "pool3d": lambda m: (m.f(m.n, 8, 8, 8, 3), (2, 2, 2)),
    "pow": lambda m: (m.x(m.n, 3), 2),
    "print_tensor": lambda m: m.x(m.n, 3),
    "random_bernoulli": lambda m: given([m.n, 3], p=0.5),
    "random_binomial": lambda m: given([m.n, 3], p=0.5),
    "random_normal": _random,
    "random_normal_variable": lambda m: ([m.n, 3], 0.0, 1.0),
    "random_uniform": _random,
    "random_uniform_variable": lambda m: ([m.n, 3], 0.0, 1.0),
    "repeat": lambda m: (m.x(m.n, 3), 2),
    "repeat_elements": lambda m: (m.x(m.n, 3), 2, 1),
    "reshape": lambda m: (m.x(m.n, 3), [-1]),
    "resize_images": lambda m: (m.f(m.n, 4, 4, 3), 2, 2, "channels_last"),
    "resize_volumes": lambda m: (m.f(m.n, 4, 4, 4, 3), 2, 2, 2, "channels_last"),
    "result_type": lambda m: ("float32", "int32"),
    "rnn": lambda m: (_step, m.f(m.n, 4, 3), [m.f(m.n, 3)]),
    "separable_conv2d": lambda m: (m.f(m.n, 8, 8, 3), m.f(3, 3, 3, 2), m.f(1, 1, 6, 4)),
    "set_epsilon": lambda m: 1e-6,
    "set_floatx": lambda m: "float64",
    "set_image_data_format": lambda m: "channels_first",
    "set_learning_phase": lambda m: 1,
    "set_value": lambda m: (m.v(m.n, 3), m.array(m.n, 3, dtype="float32")),
    "softmax": lambda m: m.f(m.n, 3),
    "sparse_categorical_crossentropy": lambda m: (m.ints([0, 2, 1][: m.n]), m.probabilities(m.n, 3)),
    "stack": lambda m: ([m.x(m.n, 3), m.x(m.n, 3)],),
    "spatial_2d_padding": lambda m: m.x(m.n, 4, 4, 3),
    "spatial_3d_padding": lambda m: m.x(m.n, 4, 4, 4, 3),
    "squeeze": lambda m: (m.x(m.n, 1, 3), 1),
    "standardize_dtype": lambda m: "float32",
    "stop_gradient": lambda m: m.x(m.n, 3),
    "switch": lambda m: (m.b(m.n, 3), m.x(m.n, 3), m.x(m.n, 3)),
    "temporal_padding": lambda m: m.x(m.n, 4, 3),
    "tile": lambda m: (m.x(m.n, 3), [1, 2]),
    "to_dense": lambda m: m.sparse(),
    "update": lambda m: (m.v(m.n, 3), m.f(m.n, 3)),
    "update_add": lambda m: (m.v(m.n, 3), m.f(m.n, 3)),
    "update_sub": lambda m: (m.v(m.n, 3), m.f(m.n, 3)),
    "variable": lambda m: numpy.ones([m.n, 3], "float32"),
    "zeros": _random,
}
