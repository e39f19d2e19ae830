"""tf.nn and tf.compat.v1.nn: positional arguments that both understand, unless told."""

from typing import Any, Dict

from ..making import Make, given


def _conv(*kernel: int, strides: Any = 1) -> Any:
    return lambda m: (m.f(m.n, *(8,) * (len(kernel) - 2), kernel[-2]), m.f(*kernel), strides, "SAME")


def _pool(rank: int, ksize: Any = 2) -> Any:
    return lambda m: (m.f(m.n, *(8,) * rank, 3), ksize, ksize, "SAME")


def _transposed(rank: int, strides: Any = 2) -> Any:
    def recipe(m: Make) -> Any:
        sizes = (8,) * rank
        return m.f(m.n, *(4,) * rank, 4), m.f(*(3,) * rank, 3, 4), [m.n, *sizes, 3], strides

    return recipe


def _labels(m: Make) -> Any:
    return m.ints([0, 2, 1][: m.n])


def _cell(m: Make) -> Any:
    """A cell of a recurrent network, in the least that tf.compat.v1.nn asks of one."""
    import tensorflow as tf

    class Cell(tf.compat.v1.nn.rnn_cell.RNNCell):  # type: ignore[misc]
        @property
        def state_size(self) -> int:
            return 3

        @property
        def output_size(self) -> int:
            return 3

        def call(self, inputs: Any, state: Any) -> Any:
            total = inputs + state
            return total, total

    return Cell()


def _sampler(m: Make) -> Any:
    return m.ints([[0], [1]], "int64"), 1, 2, True, 5


def _sampled(m: Make) -> Any:
    return given(
        weights=m.f(5, 3), biases=m.f(5), labels=m.ints([[0], [1]], "int64"), inputs=m.f(2, 3), num_sampled=2,
        num_classes=5,
    )  # fmt: skip


def _sparse_ids(m: Make) -> Any:
    import tensorflow as tf

    return tf.sparse.SparseTensor(
        m.ints([[0, 0], [1, 0]], "int64"), m.ints([0, 1], "int64"), m.ints([2, 1], "int64")
    )


def _sparse_labels(m: Make) -> Any:
    import tensorflow as tf

    return tf.sparse.SparseTensor(m.ints([[0, 0], [1, 0]], "int64"), m.ints([0, 1]), m.ints([2, 1], "int64"))


FOUR = [1, 1, 1, 1]
TABLE: Dict[str, Any] = {
    "all_candidate_sampler": lambda m: (m.ints([[0], [1]], "int64"), 1, 5, True),
    "atrous_conv2d": lambda m: (m.f(m.n, 8, 8, 3), m.f(3, 3, 3, 4), 2, "SAME"),
    "atrous_conv2d_transpose": lambda m: (m.f(m.n, 8, 8, 4), m.f(3, 3, 3, 4), [m.n, 8, 8, 3], 2, "SAME"),
    "avg_pool": _pool(2),
    "avg_pool1d": _pool(1),
    "avg_pool2d": _pool(2),
    "avg_pool3d": _pool(3),
    "avg_pool_v2": _pool(2),
    "batch_norm_with_global_normalization": lambda m: (
        m.f(m.n, 4, 4, 3), m.f(3), m.f(3), m.f(3), m.f(3), 0.001, True
    ),
    "batch_normalization": lambda m: (m.f(m.n, 3), m.f(3), m.f(3), m.f(3), m.f(3), 0.001),
    "bias_add": lambda m: (m.f(m.n, 3), m.f(3)),
    "bidirectional_dynamic_rnn": lambda m: given(_cell(m), _cell(m), m.f(m.n, 4, 3), dtype="float32"),
    "collapse_repeated": lambda m: (m.ints([[0, 0, 1], [1, 1, 2]]), m.ints([3, 3])),
    "compute_accidental_hits": lambda m: (m.ints([[0], [1]], "int64"), m.ints([0, 2], "int64"), 1),
    "compute_average_loss": lambda m: m.f(m.n),
    "conv1d": _conv(3, 3, 4),
    "conv1d_transpose": _transposed(1),
    "conv2d": _conv(3, 3, 3, 4, strides=FOUR),
    "conv2d_backprop_filter": lambda m: given(m.f(m.n, 8, 8, 3), [3, 3, 3, 4], m.f(m.n, 8, 8, 4), FOUR, "SAME"),
    "conv2d_backprop_input": lambda m: given([m.n, 8, 8, 3], m.f(3, 3, 3, 4), m.f(m.n, 8, 8, 4), FOUR, "SAME"),
    "conv2d_transpose": _transposed(2, [1, 2, 2, 1]),
    "conv3d": _conv(3, 3, 3, 3, 4, strides=[1, 1, 1, 1, 1]),
    "conv3d_backprop_filter": lambda m: given(
        m.f(m.n, 8, 8, 8, 3), [3, 3, 3, 3, 4], m.f(m.n, 8, 8, 8, 4), [1, 1, 1, 1, 1], "SAME"
    ),
    "conv3d_backprop_filter_v2": lambda m: given(
        m.f(m.n, 8, 8, 8, 3), [3, 3, 3, 3, 4], m.f(m.n, 8, 8, 8, 4), [1, 1, 1, 1, 1], "SAME"
    ),
    "conv3d_transpose": _transposed(3, [1, 2, 2, 2, 1]),
    "conv_transpose": _transposed(2),
    "convolution": lambda m: (m.f(m.n, 8, 8, 3), m.f(3, 3, 3, 4)),
    "ctc_beam_search_decoder": lambda m: (m.f(6, 2, 4), m.ints([6, 6])),
    "ctc_beam_search_decoder_v2": lambda m: (m.f(6, 2, 4), m.ints([6, 6])),
    "ctc_greedy_decoder": lambda m: (m.f(6, 2, 4), m.ints([6, 6])),
    "ctc_loss": [
        lambda m: given(m.ints([[0, 1], [1, 0]]), m.f(6, 2, 4), m.ints([2, 1]), m.ints([6, 6]), blank_index=3),
        lambda m: given(_sparse_labels(m), m.f(6, 2, 4), m.ints([6, 6])),
    ],
    "ctc_loss_v2": lambda m: given(
        m.ints([[0, 1], [1, 0]]), m.f(6, 2, 4), m.ints([2, 1]), m.ints([6, 6]), blank_index=3
    ),
    "ctc_unique_labels": lambda m: m.ints([[0, 1], [1, 0]]),
    "depth_to_space": lambda m: (m.f(m.n, 4, 4, 8), 2),
    "depthwise_conv2d": _conv(3, 3, 3, 2, strides=FOUR),
    "depthwise_conv2d_native": _conv(3, 3, 3, 2, strides=FOUR),
    "depthwise_conv2d_backprop_filter": lambda m: (m.f(m.n, 8, 8, 3), [3, 3, 3, 2], m.f(m.n, 8, 8, 6), FOUR, "SAME"),
    "depthwise_conv2d_native_backprop_filter": lambda m: (
        m.f(m.n, 8, 8, 3), [3, 3, 3, 2], m.f(m.n, 8, 8, 6), FOUR, "SAME"
    ),
    "depthwise_conv2d_backprop_input": lambda m: ([m.n, 8, 8, 3], m.f(3, 3, 3, 2), m.f(m.n, 8, 8, 6), FOUR, "SAME"),
    "depthwise_conv2d_native_backprop_input": lambda m: (
        [m.n, 8, 8, 3], m.f(3, 3, 3, 2), m.f(m.n, 8, 8, 6), FOUR, "SAME"
    ),
    "dilation2d": [
        lambda m: (m.f(m.n, 8, 8, 3), m.f(3, 3, 3), FOUR, "SAME", "NHWC", FOUR),
        lambda m: (m.f(m.n, 8, 8, 3), m.f(3, 3, 3), FOUR, FOUR, "SAME"),
    ],
    "dropout": [lambda m: given(m.f(m.n, 3), rate=0.5), lambda m: (m.f(m.n, 3), 0.5)],
    "dynamic_rnn": lambda m: given(_cell(m), m.f(m.n, 4, 3), dtype="float32"),
    "embedding_lookup": lambda m: (m.f(4, 3), m.ints([0, 2])),
    "embedding_lookup_sparse": lambda m: (m.f(4, 3), _sparse_ids(m), None),
    "erosion2d": [
        lambda m: (m.f(m.n, 8, 8, 3), m.f(3, 3, 3), FOUR, "SAME", "NHWC", FOUR),
        lambda m: (m.f(m.n, 8, 8, 3), m.f(3, 3, 3), FOUR, FOUR, "SAME"),
    ],
    "fixed_unigram_candidate_sampler": lambda m: given(
        m.ints([[0], [1]], "int64"), 1, 2, True, 5, unigrams=[1.0, 1.0, 1.0, 1.0, 1.0]
    ),
    "fractional_avg_pool": lambda m: (m.f(m.n, 8, 8, 3), [1.0, 1.4, 1.4, 1.0]),
    "fractional_max_pool": lambda m: (m.f(m.n, 8, 8, 3), [1.0, 1.4, 1.4, 1.0]),
    "fused_batch_norm": lambda m: (m.f(m.n, 4, 4, 3), m.f(3), m.f(3)),
    "general_dropout": lambda m: given(m.f(m.n, 3), 0.5, lambda shape, dtype: m.f(m.n, 3)),
    "in_top_k": [lambda m: (m.ints([0] * m.n), m.f(m.n, 3), 2), lambda m: (m.f(m.n, 3), m.ints([0] * m.n), 2)],
    "learned_unigram_candidate_sampler": _sampler,
    "local_response_normalization": lambda m: m.f(m.n, 4, 4, 3),
    "log_poisson_loss": lambda m: (m.f(m.n, 3), m.f(m.n, 3)),
    "log_uniform_candidate_sampler": _sampler,
    "lrn": lambda m: m.f(m.n, 4, 4, 3),
    "max_pool": _pool(2),
    "max_pool1d": _pool(1),
    "max_pool2d": _pool(2),
    "max_pool3d": _pool(3),
    "max_pool_v2": _pool(2),
    "max_pool_with_argmax": _pool(2, [1, 2, 2, 1]),
    "moments": lambda m: (m.f(m.n, 3), [0]),
    "nce_loss": _sampled,
    "normalize_moments": lambda m: (m.f(), m.f(3), m.f(3), None),
    "pool": lambda m: (m.f(m.n, 8, 8, 3), [2, 2], "MAX"),
    "quantized_avg_pool": lambda m: None,
    "raw_rnn": lambda m: None,
    "relu_layer": lambda m: (m.f(m.n, 3), m.f(3, 4), m.f(4)),
    "safe_embedding_lookup_sparse": lambda m: (m.f(4, 3), _sparse_ids(m)),
    "sampled_softmax_loss": _sampled,
    "scale_regularization_loss": lambda m: m.f(),
    "separable_conv2d": lambda m: (m.f(m.n, 8, 8, 3), m.f(3, 3, 3, 2), m.f(1, 1, 6, 4), FOUR, "SAME"),
    "sigmoid_cross_entropy_with_logits": lambda m: given(labels=m.f(m.n, 3), logits=m.f(m.n, 3)),
    "softmax_cross_entropy_with_logits": lambda m: given(labels=m.probabilities(m.n, 3), logits=m.f(m.n, 3)),
    "softmax_cross_entropy_with_logits_v2": lambda m: given(labels=m.probabilities(m.n, 3), logits=m.f(m.n, 3)),
    "space_to_batch": [
        lambda m: (m.f(m.n, 4, 4, 3), [2, 2], [[0, 0], [0, 0]]),
        lambda m: given(m.f(m.n, 4, 4, 3), [[0, 0], [0, 0]], block_size=2),
    ],
    "space_to_depth": lambda m: (m.f(m.n, 4, 4, 3), 2),
    "sparse_softmax_cross_entropy_with_logits": lambda m: given(labels=_labels(m), logits=m.f(m.n, 3)),
    "static_bidirectional_rnn": lambda m: given(_cell(m), _cell(m), [m.f(m.n, 3), m.f(m.n, 3)], dtype="float32"),
    "static_rnn": lambda m: given(_cell(m), [m.f(m.n, 3), m.f(m.n, 3)], dtype="float32"),
    "sufficient_statistics": lambda m: (m.f(m.n, 3), [0]),
    "top_k": lambda m: (m.x(m.n, 3), 2),
    "uniform_candidate_sampler": _sampler,
    "weighted_cross_entropy_with_logits": lambda m: given(m.f(m.n, 3), m.f(m.n, 3), pos_weight=2.0),
    "weighted_moments": lambda m: (m.f(m.n, 3), [0], m.f(m.n, 3)),
    "with_space_to_batch": lambda m: given(
        m.f(m.n, 8, 8, 3), [2, 2], "VALID", lambda inputs, num_spatial_dims, padding: inputs * 2.0, filter_shape=[1, 1]
    ),
    "xw_plus_b": lambda m: (m.f(m.n, 3), m.f(3, 4), m.f(4)),
}  # fmt: skip
