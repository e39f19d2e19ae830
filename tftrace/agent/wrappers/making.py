"""Makes the values that functions are called with: of one dtype, the same ones each time."""

from typing import Any, Dict, List, Optional, Tuple

import numpy

Arguments = Tuple[Tuple[Any, ...], Dict[str, Any]]


def given(*args: Any, **keywords: Any) -> Arguments:
    return args, keywords


def fed(graph: Any) -> Dict[str, Any]:
    """Values of the placeholders of a graph, by name."""
    found: Dict[str, Any] = getattr(graph, "_tftrace_fed", {})
    if not found:
        graph._tftrace_fed = found
    return found


class Make:
    """Makes values of one dtype, the same ones each time. `n` is the size of the batch; in a graph tensors are
    placeholders that are fed, so that nothing folds them away."""

    def __init__(self, dtype: str = "float32", n: int = 2, graph: bool = False) -> None:
        self.dtype, self.n, self.graph = dtype, n, graph
        self.shape: Tuple[int, ...] = (n, 3)  # of the tensors that the generic rules make
        self.tensors: List[Any] = []
        self._random = numpy.random.RandomState(7)

    def tensor(self, array: Any, dtype: Optional[str] = None) -> Any:
        import tensorflow as tf

        array = numpy.asarray(array)
        if self.graph and array.dtype.kind != "O":
            value = tf.compat.v1.placeholder(dtype or array.dtype, array.shape)
            fed(value.graph)[value.name] = array
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
