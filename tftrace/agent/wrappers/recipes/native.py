"""TensorFlow's own functions outside tf.nn: by full name where a name means several things, else by its last part."""

from typing import Any, Dict

import numpy

from ..making import Make, given

JPEG = "jpeg"
PNG = "png"


def _image(kind: str) -> Any:
    def recipe(m: Make) -> Any:
        import tensorflow as tf

        pixels = tf.constant(numpy.arange(48, dtype="uint8").reshape(4, 4, 3))
        return tf.image.encode_jpeg(pixels) if kind == JPEG else tf.image.encode_png(pixels)

    return recipe


def _boxes(m: Make) -> Any:
    return m.tensor([[0.0, 0.0, 0.5, 0.5], [0.1, 0.1, 0.9, 0.9], [0.0, 0.1, 0.5, 0.6]], "float32")


def _dense_sparse(m: Make) -> Any:
    return m.sparse(), m.x(3, 2)


def _scatter(m: Make) -> Any:
    return m.x(4), m.ints([[0], [2]]), m.x(2)


def _ref_scatter(m: Make) -> Any:
    return m.v(4), m.ints([0, 2]), m.f(2)


def _spd(m: Make) -> Any:
    eye = numpy.eye(3) * 2 + 0.1
    return m.tensor(numpy.stack([eye] * m.n), m.float)


def _tridiagonal(m: Make) -> Any:
    return m.tensor(numpy.array([[0.1, 0.1, 0.0], [2.0, 2.0, 2.0], [0.0, 0.1, 0.1]]), m.float)


def _gradient(m: Make) -> Any:
    x = m.f(m.n, 3)
    return x * x, x


def _lu(m: Make) -> Any:
    import tensorflow as tf

    lower_upper, perm = tf.linalg.lu(_spd(m))
    return lower_upper, perm


TABLE: Dict[str, Any] = {
    "tf.slice": lambda m: (m.x(m.n, 3), [0, 1], [1, 2]),
    "accumulate_n": lambda m: ([m.x(m.n, 3), m.x(m.n, 3)],),
    "add_n": lambda m: ([m.x(m.n, 3), m.x(m.n, 3)],),
    "adjust_jpeg_quality": lambda m: (m.f(4, 4, 3), 80),
    "argsort": lambda m: m.x(m.n, 3),
    "as_dtype": lambda m: "float32",
    "assert_rank": lambda m: (m.x(m.n, 3), 2),
    "assert_rank_at_least": lambda m: (m.x(m.n, 3), 1),
    "assert_rank_in": lambda m: (m.x(m.n, 3), [1, 2]),
    "assert_type": lambda m: (m.x(m.n, 3), m.dtype),
    "assign": lambda m: (m.v(m.n, 3), m.f(m.n, 3)),
    "assign_add": lambda m: (m.v(m.n, 3), m.f(m.n, 3)),
    "assign_sub": lambda m: (m.v(m.n, 3), m.f(m.n, 3)),
    "banded_triangular_solve": lambda m: (m.f(2, 3), m.f(3, 1)),
    "batch_to_space": [
        lambda m: (m.f(4, 2, 2, 3), [2, 2], [[0, 0], [0, 0]]),
        lambda m: given(m.f(4, 2, 2, 3), [[0, 0], [0, 0]], block_size=2),
    ],
    "batch_to_space_nd": lambda m: (m.f(4, 2, 2, 3), [2, 2], [[0, 0], [0, 0]]),
    "bincount": lambda m: m.ints([0, 1, 1, 2]),
    "bitcast": lambda m: (m.f(m.n, 3), "int32" if m.float == "float32" else "int64"),
    "boolean_mask": lambda m: (m.x(m.n, 3), numpy.array([True, False, True][: m.n])),
    "broadcast_to": lambda m: (m.x(3), [m.n, 3]),
    "case": lambda m: ([(m.b(), lambda: m.x(3))], lambda: m.x(3)),
    "cast": lambda m: (m.x(m.n, 3), "float64" if m.dtype != "float64" else "float32"),
    "cholesky": _spd,
    "cholesky_solve": lambda m: (_spd(m), m.f(m.n, 3, 1)),
    "clip_by_global_norm": lambda m: ([m.f(m.n, 3), m.f(3)], 1.0),
    "combined_non_max_suppression": lambda m: (m.f(1, 3, 1, 4), m.f(1, 3, 1), 2, 2),
    "compute_weighted_loss": lambda m: m.f(m.n, 3),
    "concat": lambda m: ([m.x(m.n, 3), m.x(m.n, 3)], 0),
    "cond": lambda m: (m.b(), lambda: m.x(3) if not m.graph else 1.0, lambda: m.x(3) if not m.graph else 2.0),
    "confusion_matrix": lambda m: (m.ints([0, 1, 2]), m.ints([0, 2, 2])),
    "convert_to_tensor": lambda m: [[1.0, 2.0]],
    "cosine_distance": lambda m: given(m.f(m.n, 3), m.f(m.n, 3), axis=1),
    "crop_and_resize": lambda m: given(m.f(m.n, 8, 8, 3), _boxes(m), m.ints([0, 0, 1]), [4, 4]),
    "crop_to_bounding_box": lambda m: (m.f(m.n, 8, 8, 3), 1, 1, 4, 4),
    "cross": lambda m: (m.x(m.n, 3), m.x(m.n, 3)),
    "decode_and_crop_jpeg": lambda m: (_image(JPEG)(m), [0, 0, 2, 2]),
    "decode_image": _image(PNG),
    "decode_jpeg": _image(JPEG),
    "decode_png": _image(PNG),
    "depth_to_space": lambda m: (m.f(m.n, 4, 4, 8), 2),
    "diag": lambda m: m.x(3),
    "draw_bounding_boxes": lambda m: (m.f(1, 8, 8, 3), m.f(1, 2, 4), m.f(2, 3)),
    "dynamic_partition": lambda m: (m.x(4), m.ints([0, 1, 0, 1]), 2),
    "dynamic_stitch": lambda m: ([m.ints([0, 2]), m.ints([1, 3])], [m.x(2), m.x(2)]),
    "edit_distance": lambda m: None,
    "eigh_tridiagonal": lambda m: (m.f(3), m.f(2)),
    "einsum": lambda m: ("ij,ij->ij", m.x(m.n, 3), m.x(m.n, 3)),
    "extract_glimpse": lambda m: (m.f(m.n, 8, 8, 3), [4, 4], m.f(m.n, 2)),
    "extract_image_patches": lambda m: (m.f(m.n, 8, 8, 3), [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"),
    "extract_jpeg_shape": _image(JPEG),
    "extract_patches": lambda m: (m.f(m.n, 8, 8, 3), [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID"),
    "extract_volume_patches": lambda m: (m.f(m.n, 4, 4, 4, 3), [1, 2, 2, 2, 1], [1, 2, 2, 2, 1], "VALID"),
    "eye": lambda m: 3,
    "fill": lambda m: ([m.n, 3], 0.5),
    "foldl": lambda m: (lambda a, b: a + b, m.x(m.n, 3)),
    "foldr": lambda m: (lambda a, b: a + b, m.x(m.n, 3)),
    "full": lambda m: ([m.n, 3], 0.5),
    "full_like": lambda m: (m.x(m.n, 3), 1),
    "gather": lambda m: (m.x(m.n, 3), m.ints([0, 1])),
    "gather_nd": lambda m: (m.x(m.n, 3), m.ints([[0, 1], [1, 2]])),
    "get_variable": lambda m: given("a_variable", shape=[m.n, 3]),
    "gradients": _gradient,
    "grayscale_to_rgb": lambda m: m.f(m.n, 4, 4, 1),
    "guarantee_const": lambda m: m.x(m.n, 3),
    "hessians": _gradient,
    "histogram_fixed_width": lambda m: (m.f(4), [0.0, 1.0]),
    "identity_n": lambda m: ([m.x(m.n, 3), m.x(3)],),
    "invert_permutation": lambda m: m.ints([2, 0, 1]),
    "inverse_mdct": lambda m: m.f(4, 4),
    "linspace": lambda m: (0.0, 1.0, 4),
    "lin_space": lambda m: (0.0, 1.0, 4),
    "lu_matrix_inverse": _lu,
    "lu_reconstruct": _lu,
    "lu_solve": lambda m: (*_lu(m), m.f(m.n, 3, 1)),
    "map_fn": lambda m: (lambda a: a + a, m.x(m.n, 3)),
    "matmul": lambda m: (m.x(m.n, 3), m.x(3, 4)),
    "matrix_inverse": _spd,
    "matrix_solve": lambda m: (_spd(m), m.f(m.n, 3, 1)),
    "matrix_triangular_solve": lambda m: (_spd(m), m.f(m.n, 3, 1)),
    "matvec": lambda m: (m.x(m.n, 3), m.x(3)),
    "mdct": lambda m: (m.f(16), 4),
    "mean_pairwise_squared_error": lambda m: (m.f(m.n, 3), m.f(m.n, 3)),
    "meshgrid": lambda m: (m.x(3), m.x(2)),
    "mfccs_from_log_mel_spectrograms": lambda m: m.f(2, 8),
    "multi_dot": lambda m: ([m.f(m.n, 3), m.f(3, 4)],),
    "multinomial": lambda m: (m.f(m.n, 3), 2),
    "non_max_suppression": lambda m: (_boxes(m), m.f(3), 2),
    "non_max_suppression_overlaps": lambda m: (m.f(3, 3), m.f(3), 2),
    "non_max_suppression_padded": lambda m: (_boxes(m), m.f(3), 2),
    "non_max_suppression_with_scores": lambda m: (_boxes(m), m.f(3), 2),
    "norm": lambda m: m.f(m.n, 3),
    "one_hot": lambda m: (m.ints([0, 1, 2]), 3),
    "pad": lambda m: (m.x(m.n, 3), [[1, 1], [0, 1]]),
    "pad_to_bounding_box": lambda m: (m.f(m.n, 4, 4, 3), 1, 1, 8, 8),
    "parallel_stack": lambda m: ([m.x(3), m.x(3)],),
    "per_image_standardization": lambda m: m.f(m.n, 4, 4, 3),
    "placeholder": lambda m: "float32",
    "polyval": lambda m: ([m.x(3), m.x(3)], m.x(3)),
    "psnr": lambda m: (m.f(m.n, 4, 4, 3), m.f(m.n, 4, 4, 3), 1.0),
    "quantize": lambda m: (m.f(4), 0.0, 1.0, "quint8"),
    "quantize_and_dequantize": lambda m: (m.f(4), 0.0, 1.0),
    "quantize_and_dequantize_v2": lambda m: (m.f(4), 0.0, 1.0),
    "random_brightness": lambda m: (m.f(4, 4, 3), 0.2),
    "random_crop": lambda m: (m.f(4, 4, 3), [2, 2, 3]),
    "random_hue": lambda m: (m.f(4, 4, 3), 0.2),
    "range": lambda m: (1, 5),
    "repeat": lambda m: (m.x(m.n, 3), 2, 0),
    "reshape": lambda m: (m.x(m.n, 3), [-1]),
    "resize": lambda m: (m.f(m.n, 4, 4, 3), [8, 8]),
    "resize_area": lambda m: (m.f(m.n, 4, 4, 3), [8, 8]),
    "resize_bicubic": lambda m: (m.f(m.n, 4, 4, 3), [8, 8]),
    "resize_bilinear": lambda m: (m.f(m.n, 4, 4, 3), [8, 8]),
    "resize_images": lambda m: (m.f(m.n, 4, 4, 3), [8, 8]),
    "resize_nearest_neighbor": lambda m: (m.f(m.n, 4, 4, 3), [8, 8]),
    "resize_with_crop_or_pad": lambda m: (m.f(m.n, 4, 4, 3), 8, 8),
    "resize_image_with_crop_or_pad": lambda m: (m.f(m.n, 4, 4, 3), 8, 8),
    "resize_with_pad": lambda m: (m.f(m.n, 4, 4, 3), 8, 8),
    "reverse": lambda m: (m.x(m.n, 3), [1]),
    "reverse_sequence": lambda m: given(m.x(m.n, 3), m.ints([2] * m.n), seq_axis=1),
    "roll": lambda m: (m.x(m.n, 3), 1, 0),
    "scalar_mul": lambda m: (2.0, m.f(m.n, 3)),
    "scan": lambda m: (lambda a, b: a + b, m.x(m.n, 3)),
    "scatter_add": _ref_scatter,
    "scatter_div": _ref_scatter,
    "scatter_max": _ref_scatter,
    "scatter_min": _ref_scatter,
    "scatter_mul": _ref_scatter,
    "scatter_nd": lambda m: (m.ints([[0], [2]]), m.x(2), [4]),
    "scatter_nd_add": lambda m: (m.v(4), m.ints([[0], [2]]), m.f(2)),
    "scatter_nd_sub": lambda m: (m.v(4), m.ints([[0], [2]]), m.f(2)),
    "scatter_nd_update": lambda m: (m.v(4), m.ints([[0], [2]]), m.f(2)),
    "scatter_sub": _ref_scatter,
    "scatter_update": _ref_scatter,
    "searchsorted": lambda m: (m.tensor([1.0, 2.0, 3.0], m.float), m.f(4)),
    "sequence_mask": lambda m: m.ints([1, 2]),
    "setdiff1d": lambda m: (m.ints([1, 2, 3]), m.ints([2])),
    "sigmoid_cross_entropy": lambda m: (m.ints([[0, 1, 1]] * m.n), m.f(m.n, 3)),
    "softmax_cross_entropy": lambda m: (m.one_hot(m.n, 3), m.f(m.n, 3)),
    "sparse_softmax_cross_entropy": lambda m: (m.ints([0, 2, 1][: m.n]), m.f(m.n, 3)),
    "solve": lambda m: (_spd(m), m.f(m.n, 3, 1)),
    "space_to_batch": lambda m: (m.f(m.n, 4, 4, 3), [2, 2], [[0, 0], [0, 0]]),
    "space_to_batch_nd": lambda m: (m.f(m.n, 4, 4, 3), [2, 2], [[0, 0], [0, 0]]),
    "space_to_depth": lambda m: (m.f(m.n, 4, 4, 3), 2),
    "sparse_dense_matmul": _dense_sparse,
    "sparse_tensor_dense_matmul": _dense_sparse,
    "tf.split": lambda m: (m.x(m.n, 4), 2, 1),
    "tf.compat.v1.split": lambda m: (m.x(m.n, 4), 2, 1),
    "squeeze": lambda m: m.x(m.n, 1, 3),
    "ssim": lambda m: (m.f(m.n, 16, 16, 3), m.f(m.n, 16, 16, 3), 1.0),
    "stack": lambda m: ([m.x(m.n, 3), m.x(m.n, 3)],),
    "stateless_random_crop": lambda m: (m.f(4, 4, 3), [2, 2, 3], [1, 2]),
    "stateless_random_brightness": lambda m: (m.f(4, 4, 3), 0.2, [1, 2]),
    "stateless_random_hue": lambda m: (m.f(4, 4, 3), 0.2, [1, 2]),
    "strided_slice": lambda m: (m.x(m.n, 3), [0, 0], [1, 2]),
    "substr": lambda m: (m.strings(2), 0, 1),
    "switch_case": lambda m: (m.ints(0), [lambda: 1.0, lambda: 2.0]),
    "tensor_diag": lambda m: m.x(3),
    "tensor_scatter_nd_add": _scatter,
    "tensor_scatter_nd_max": _scatter,
    "tensor_scatter_nd_min": _scatter,
    "tensor_scatter_nd_sub": _scatter,
    "tensor_scatter_nd_update": _scatter,
    "tensordot": lambda m: (m.x(m.n, 3), m.x(3, 4), 1),
    "tile": lambda m: (m.x(m.n, 3), [1, 2]),
    "to_dense": lambda m: m.sparse(),
    "top_k": lambda m: (m.x(m.n, 3), 2),
    "total_variation": lambda m: m.f(m.n, 4, 4, 3),
    "tri": lambda m: 3,
    "triangular_solve": lambda m: (_spd(m), m.f(m.n, 3, 1)),
    "tridiagonal_matmul": lambda m: given(_tridiagonal(m), m.f(3, 1), diagonals_format="compact"),
    "tridiagonal_solve": lambda m: (_tridiagonal(m), m.f(3)),
    "unstack": lambda m: m.x(m.n, 3),
    "vectorized_map": lambda m: (lambda a: a + a, m.x(m.n, 3)),
    "where": lambda m: (m.b(m.n, 3), m.x(m.n, 3), m.x(m.n, 3)),
    "where_v2": lambda m: (m.b(m.n, 3), m.x(m.n, 3), m.x(m.n, 3)),
    "while_loop": lambda m: (lambda i: i < 3, lambda i: i + 1, [m.ints(0)]),
}
