"""Arguments for functions whose signature does not tell what fits: one table a family of modules, by function name.

A recipe is a function of a `Make`; it returns `given(..)`, or a bare tuple or value for positional arguments. A list
of recipes is tried in order. A new family is a file with a TABLE and one line here.
"""

from typing import Any, Dict, Tuple

from . import keras_backend, keras_ops, layers, native, nn, slim

FAMILIES: Tuple[Tuple[str, Dict[str, Any]], ...] = (
    ("tf.keras.backend", keras_backend.TABLE),
    ("keras.backend", keras_backend.TABLE),
    ("tf_keras.backend", keras_backend.TABLE),
    ("keras.ops", keras_ops.TABLE),
    ("tf.keras.ops", keras_ops.TABLE),
    ("tf.compat.v1.layers", layers.TABLE),
    ("tf.layers", layers.TABLE),
    ("tf_slim", slim.TABLE),
    ("tf.nn", nn.TABLE),
    ("tf.compat.v1.nn", nn.TABLE),
    ("tf", native.TABLE),
)
GRAPH_FIRST = ("tf_slim", "tf.compat.v1.layers")


class Recipes:
    """The recipe for a function by its public name, None where its signature has to do."""

    def __call__(self, name: str) -> Any:
        module, _, leaf = name.rpartition(".")
        for family, table in FAMILIES:
            if module == family or module.startswith(family + "."):
                if family == "tf" and name in table:
                    return table[name]
                return table.get(leaf)
        return None

    def graph_first(self, name: str) -> bool:
        """Whether a function is made for graphs, so that it is called in one where both would do."""
        return name.startswith(tuple(g + "." for g in GRAPH_FIRST))


# where the functions are that run ops; the others manage files, devices, checkpoints, data sets, processes
WITH_OPS = (
    "math", "nn", "linalg", "image", "signal", "sparse", "strings", "random", "bitwise", "sets", "ragged",
    "quantization", "audio", "losses", "metrics", "manip", "dtypes", "experimental.numpy", "math.special",
    "nn.experimental", "random.experimental", "experimental.numpy.random",
)  # fmt: skip
NOT_CALLED = (
    "enable_",
    "disable_",
    "set_",
    "reset_",
    "init_scope",
    "load_",
    "import_",
    "numpy_function",
    "py_function",
)


def worth_calling(name: str) -> bool:
    """Whether a native function belongs into the index of what natives do."""
    path = name[3:]
    if path.startswith("compat.v1."):
        path = path[len("compat.v1.") :]
    module, _, leaf = path.rpartition(".")
    return (module == "" or module in WITH_OPS) and not leaf.startswith(NOT_CALLED)
