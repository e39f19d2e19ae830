"""Arguments that fit a signature: by the names of its parameters, over several shapes and dtypes.

Where names do not tell, `recipes` has the arguments. Only what a function requires is given: the rest keeps its
defaults, so that what is traced is the plain call.
"""

import inspect
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy

Arguments = Tuple[Tuple[Any, ...], Dict[str, Any]]


def given(*args: Any, **keywords: Any) -> Arguments:
    return args, keywords


class Make:
    """Makes values of one dtype, the same ones each time. `n` is the size of the batch; in a graph tensors are
    placeholders with their values as defaults, so that nothing folds them away."""

    def __init__(self, dtype: str = "float32", n: int = 2, graph: bool = False) -> None:
        self.dtype, self.n, self.graph = dtype, n, graph
        self.shape: Tuple[int, ...] = (n, 3)  # of the tensors that the generic rules make
        self.tensors: List[Any] = []
        self._random = numpy.random.RandomState(7)

    def tensor(self, array: Any, dtype: Optional[str] = None) -> Any:
        import tensorflow as tf

        array = numpy.asarray(array)
        if self.graph and array.dtype.kind != "O":
            value = tf.compat.v1.placeholder_with_default(array.astype(dtype or array.dtype), array.shape)
        else:
            value = tf.constant(array, dtype=dtype)
        self.tensors.append(value)
        return value

    def array(self, *shape: int, dtype: Optional[str] = None, low: float = 0.1, high: float = 0.9) -> Any:
        """Between 0.1 and 0.9 unless told: inside the domain of nearly every function of mathematics."""
        dtype = dtype or self.dtype
        if dtype == "string":
            return numpy.array(["a b", "c", "dd e", "f"], dtype=object)[: shape[0] if shape else 1].repeat(1)
        if dtype == "bool":
            return self._random.uniform(size=shape) > 0.5
        if dtype.startswith(("int", "uint")):
            return self._random.randint(1, 4, size=shape).astype(dtype)
        values = self._random.uniform(low, high, size=shape)
        if dtype.startswith("complex"):
            return (values + 1j * self._random.uniform(low, high, size=shape)).astype(dtype)
        return values.astype(dtype)

    def x(self, *shape: int, dtype: Optional[str] = None, low: float = 0.1, high: float = 0.9) -> Any:
        """A tensor of the case's dtype."""
        dtype = dtype or self.dtype
        if dtype == "string":
            return self.strings(*shape)
        if dtype == "bfloat16":
            import tensorflow as tf

            return self.tensor(self.array(*shape, dtype="float32", low=low, high=high), tf.bfloat16.name)
        return self.tensor(self.array(*shape, dtype=dtype, low=low, high=high), dtype)

    def f(self, *shape: int, low: float = 0.1, high: float = 0.9) -> Any:
        """A tensor of floats whatever the case's dtype."""
        return self.x(*shape, dtype=self.float, low=low, high=high)

    @property
    def float(self) -> str:
        return self.dtype if self.dtype.startswith(("float", "bfloat")) else "float32"

    def i(self, *shape: int, high: int = 3, dtype: str = "int32") -> Any:
        return self.tensor(self._random.randint(0, high, size=shape), dtype)

    def ints(self, values: Any, dtype: str = "int32") -> Any:
        return self.tensor(numpy.array(values), dtype)

    def b(self, *shape: int) -> Any:
        return self.tensor(numpy.indices(shape).sum(0) % 2 == 0 if shape else numpy.True_, "bool")

    def probabilities(self, *shape: int) -> Any:
        values = self._random.uniform(0.1, 0.9, size=shape)
        return self.tensor((values / values.sum(-1, keepdims=True)), self.float)

    def one_hot(self, rows: int, classes: int) -> Any:
        return self.tensor(numpy.eye(classes)[numpy.arange(rows) % classes], self.float)

    def strings(self, *shape: int) -> Any:
        import tensorflow as tf

        words = ["a b", "c", "dd e", "f"]
        count = int(numpy.prod(shape)) if shape else 1
        listed = [words[k % 4] for k in range(count)]
        value = tf.reshape(tf.constant(listed), shape) if shape else tf.constant(words[0])
        self.tensors.append(value)
        return value

    def v(self, *shape: int) -> Any:
        import tensorflow as tf

        value = tf.Variable(self.array(*shape, dtype=self.float))
        self.tensors.append(value)
        return value

    def sparse(self) -> Any:
        import tensorflow as tf

        value = tf.sparse.SparseTensor(
            self.ints([[0, 0], [1, 2]], "int64"), self.x(2), self.ints([2, 3], "int64")
        )
        self.tensors += [value.indices, value.values, value.dense_shape]
        return value

    def ragged(self) -> Any:
        import tensorflow as tf

        value = tf.RaggedTensor.from_row_lengths(self.x(4), self.ints([3, 1], "int64"))
        self.tensors.append(value.values)
        return value


class Template(NamedTuple):
    """What the tensors that the generic rules make look like."""

    shape: Callable[[int], Tuple[int, ...]]
    dtype: str


def _fixed(*shape: int) -> Callable[[int], Tuple[int, ...]]:
    return lambda n: shape


MATRIX = Template(lambda n: (n, 3), "float32")
TEMPLATES: Tuple[Template, ...] = (
    MATRIX,
    Template(lambda n: (n, 8, 8, 3), "float32"),
    Template(_fixed(4), "float32"),
    Template(lambda n: (n, 4, 3), "float32"),
    Template(lambda n: (n, 3, 3), "float32"),
    Template(lambda n: (n, 3), "int32"),
    Template(_fixed(4), "int32"),
    Template(lambda n: (n, 3), "bool"),
    Template(lambda n: (n, 3), "complex64"),
    Template(lambda n: (n, 3, 3), "complex64"),
    Template(lambda n: (n, 4, 4, 4, 3), "float32"),
    Template(_fixed(), "float32"),
    Template(_fixed(), "int32"),
    Template(_fixed(2), "string"),
    Template(_fixed(), "string"),
    Template(lambda n: (n, 8, 8, 3), "uint8"),
    Template(lambda n: (8, 8, 3), "uint8"),
)
# once a template has worked: the same shape in other dtypes, and with another batch
VARIATIONS: Tuple[Tuple[str, int], ...] = (("float64", 3), ("int32", 3), ("bool", 3))
# .. and one that tells functions apart which real numbers do not: transpose and adjoint
STRICTER = (*VARIATIONS, ("complex64", 2))

TENSORS = {
    "x", "x1", "x2", "a", "b", "y", "z", "input", "inputs", "tensor", "input_tensor", "value", "features", "logits", "arg",
    "image", "images", "data", "t", "array", "ary", "arr", "m", "signal", "signals", "matrix", "params", "operand", "tensor_in",
    "labels", "predictions", "targets", "target", "output", "y_true", "y_pred", "images1", "images2", "img1", "img2",
    "real", "imag", "concentration", "variable", "e", "f", "q", "xp", "values", "grad", "abs", "input_data", "embedding", "other",
    "mean", "variance", "var", "beta", "gamma", "scale", "offset", "rhs", "lhs", "true_fn_value", "p", "weights", "reference",
    "then_expression", "else_expression", "update", "old_tensor", "new_tensor", "initial_value", "elems", "stfts", "spectrogram", "v",
    "left", "right", "first", "second", "query", "key", "ref", "mat",
}  # fmt: skip

Rule = Callable[[Make], Any]
RULES: Dict[str, Rule] = {
    "axis": lambda m: -1 if m.shape else 0,
    "axes": lambda m: [0],
    "dim": lambda m: 0,
    "dims": lambda m: [m.n, 3],
    "shape": lambda m: [m.n, 3],
    "output_shape": lambda m: [m.n, 3],
    "dtype": lambda m: "float32",
    "perm": lambda m: list(range(len(m.shape)))[::-1],
    "pattern": lambda m: list(range(len(m.shape)))[::-1],
    "name": lambda m: "a_name",
    "seed": lambda m: [1, 2],
    "num_classes": lambda m: 3,
    "depth": lambda m: 3,
    "num_segments": lambda m: 4,
    "segment_ids": lambda m: m.tensor(numpy.arange(m.shape[0] if m.shape else 1), "int32"),
    "indices": lambda m: m.ints([0, 1]),
    "ids": lambda m: m.ints([0, 1]),
    "k": lambda m: 2,
    "n": lambda m: 2,
    "num": lambda m: 3,
    "rep": lambda m: 2,
    "repeats": lambda m: 2,
    "multiples": lambda m: [1] * max(len(m.shape), 1),
    "alpha": lambda m: 0.5,
    "delta": lambda m: 0.5,
    "factor": lambda m: 0.5,
    "rate": lambda m: 0.5,
    "level": lambda m: 0.5,
    "keep_prob": lambda m: 0.5,
    "epsilon": lambda m: 0.001,
    "variance_epsilon": lambda m: 0.001,
    "momentum": lambda m: 0.9,
    "decay": lambda m: 0.9,
    "min": lambda m: 0.2,
    "max": lambda m: 0.7,
    "min_value": lambda m: 0.2,
    "max_value": lambda m: 0.7,
    "x_min": lambda m: 0.2,
    "x_max": lambda m: 0.7,
    "clip_value_min": lambda m: 0.2,
    "clip_value_max": lambda m: 0.7,
    "clip_norm": lambda m: 1.0,
    "fn": lambda m: lambda *a: a[0] + a[-1],
    "f": lambda m: lambda *a: a[0] + a[-1],
    "func": lambda m: lambda *a: a[0],
    "pred": lambda m: m.b(),
    "condition": lambda m: m.b(*m.shape),
    "cond": lambda m: m.b(*m.shape),
    "true_fn": lambda m: lambda *a: m.x(*m.shape),
    "false_fn": lambda m: lambda *a: m.x(*m.shape),
    "mask": lambda m: m.b(*m.shape),
    "size": lambda m: [4, 4],
    "sizes": lambda m: [4, 4],
    "new_height": lambda m: 4,
    "target_height": lambda m: 4,
    "target_width": lambda m: 4,
    "offset_height": lambda m: 1,
    "offset_width": lambda m: 1,
    "central_fraction": lambda m: 0.5,
    "lower": lambda m: 0.5,
    "upper": lambda m: 1.5,
    "contrast_factor": lambda m: 1.2,
    "saturation_factor": lambda m: 1.2,
    "padding": lambda m: "SAME",
    "paddings": lambda m: [[1, 1]] * max(len(m.shape), 1),
    "pad_width": lambda m: [[1, 1]] * max(len(m.shape), 1),
    "strides": lambda m: 1,
    "stride": lambda m: 1,
    "ksize": lambda m: 2,
    "pool_size": lambda m: 2,
    "kernel_size": lambda m: 3,
    "block_size": lambda m: 2,
    "start": lambda m: 1,
    "stop": lambda m: 5,
    "limit": lambda m: 5,
    "begin": lambda m: [0] * max(len(m.shape), 1),
    "end": lambda m: [1] * max(len(m.shape), 1),
    "num_or_size_splits": lambda m: [1, 2],
    "indices_or_sections": lambda m: 1,
    "lengths": lambda m: m.ints([1, 2]),
    "seq_lengths": lambda m: m.ints([1] * m.n),
    "sequence_length": lambda m: m.ints([1] * m.n),
    "bins": lambda m: m.ints([1, 2, 3]).numpy().tolist(),
    "boundaries": lambda m: [0.2, 0.4],
    "value_range": lambda m: [0.0, 1.0],
    "pattern_str": lambda m: "a",
    "rewrite": lambda m: "b",
    "diagonal": lambda m: m.x(3),
    "num_rows": lambda m: 3,
    "num_lower": lambda m: 1,
    "num_upper": lambda m: 1,
    "equation": lambda m: "ij,ij->ij",
    "subscripts": lambda m: "ij,ij->ij",
    "ord": lambda m: 2,
    "shift": lambda m: 1,
    "num_buckets": lambda m: 5,
    "frame_length": lambda m: 2,
    "frame_step": lambda m: 1,
    "fft_length": lambda m: [4],
    "window_length": lambda m: 4,
    "max_val": lambda m: 1.0,
    "minval": lambda m: 0,
    "maxval": lambda m: 5,
    "low": lambda m: 0.0,
    "high": lambda m: 1.0,
    "lam": lambda m: 2.0,
    "num_samples": lambda m: 2,
    "size_": lambda m: 3,
    "value_": lambda m: 0.5,
    "gain": lambda m: 1.0,
    "x_shape": lambda m: [m.n, 3],
    "shape_x": lambda m: [m.n, 3],
    "shape_y": lambda m: [1, 3],
    "static_shape": lambda m: [m.n, 3],
    "newshape": lambda m: [-1],
    "source": lambda m: 0,
    "destination": lambda m: -1,
    "axis1": lambda m: 0,
    "axis2": lambda m: 1,
    "sp_input": lambda m: m.sparse(),
    "sp_a": lambda m: m.sparse(),
    "sp_b": lambda m: m.sparse(),
    "rt_input": lambda m: m.ragged(),
    "tuple": lambda m: (m.x(*m.shape), m.x(*m.shape)),
    "tensors": lambda m: [m.x(*m.shape), m.x(*m.shape)],
    "arrays": lambda m: [m.x(*m.shape), m.x(*m.shape)],
    "arys": lambda m: [m.x(*m.shape), m.x(*m.shape)],
    "tup": lambda m: [m.x(*m.shape), m.x(*m.shape)],
    "xs": lambda m: [m.x(*m.shape), m.x(*m.shape)],
    "t_list": lambda m: [m.x(*m.shape), m.x(*m.shape)],
    "sequence": lambda m: [m.x(*m.shape), m.x(*m.shape)],
    "body": lambda m: lambda *a: a,
    "loop_vars": lambda m: [m.ints(0)],
    "data_format": lambda m: "channels_last",
    "filters": lambda m: m.x(3, 3, 3, 4),
    "filter": lambda m: m.x(3, 3, 3, 4),
    "kernel": lambda m: m.x(3, 3, 3, 4),
    "bias": lambda m: m.x(m.shape[-1] if m.shape else 1),
}


def required(function: Any, also_none: bool) -> Optional[List[inspect.Parameter]]:
    """The parameters that have to be given, None where the signature is not known; with `also_none` those too that
    default to None but are tensors by their name."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.VAR_KEYWORD,)
    return [
        p
        for p in parameters
        if p.kind not in kinds
        and (p.default is inspect.Parameter.empty or (also_none and p.default is None and p.name in TENSORS))
    ]


def by_signature(parameters: List[inspect.Parameter], make: Make) -> Optional[Arguments]:
    """Arguments for these parameters, None where one of them is not understood."""
    args: List[Any] = []
    keywords: Dict[str, Any] = {}
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            args += [make.x(*make.shape), make.x(*make.shape)]
            continue
        value = by_name(parameter.name, make)
        if value is None:
            return None
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY or keywords:
            keywords[parameter.name] = value
        elif parameter.default is not inspect.Parameter.empty:
            keywords[parameter.name] = value
        else:
            args.append(value)
    return tuple(args), keywords


def by_name(name: str, make: Make) -> Any:
    rule = RULES.get(name)
    if rule is not None:
        return rule(make)
    if name in TENSORS or name.rstrip("0123456789_") in TENSORS:
        return make.x(*make.shape)
    return None


def attempts(function: Any, recipe: Any, graph: bool) -> Iterator[Tuple[str, Callable[[Make], Optional[Arguments]], Make]]:
    """(kind, builder, maker): what to try, in order, until one call succeeds."""
    if recipe is not None:
        for one in recipe if isinstance(recipe, (list, tuple)) else [recipe]:
            for dtype in ("float32", "int32"):
                yield "recipe", one, Make(dtype, graph=graph)
        return
    for also_none in (False, True):
        parameters = required(function, also_none)
        if parameters is None:
            return
        if also_none and len(parameters) == len(required(function, False) or []):
            return

        def build(make: Make, parameters: List[inspect.Parameter] = parameters) -> Optional[Arguments]:
            return by_signature(parameters, make)

        for template in TEMPLATES:
            make = Make(template.dtype, graph=graph)
            make.shape = template.shape(make.n)
            yield "signature", build, make
            if not parameters:
                return


def varied(make: Make, variations: Tuple[Tuple[str, int], ...] = VARIATIONS) -> Iterator[Make]:
    """Makers of the other dtypes and another batch, after `make` has worked."""
    for dtype, n in variations:
        other = Make(dtype, n, make.graph)
        other.shape = (n, *make.shape[1:]) if len(make.shape) > 1 else make.shape
        if dtype != make.dtype:
            yield other
