"""What came of a call: its values and effects as arrays, whether two are the same, the kernels that ran."""

import inspect
import itertools
import random
from typing import Any, Dict, List, Optional, Tuple

import numpy

from . import calls
from .making import fed

MOST_OF_A_GENERATOR = 16


class NotRunError(Exception):
    """What a call gives has to be run by others."""


def seed() -> None:
    import tensorflow as tf

    random.seed(7)
    numpy.random.seed(7)
    tf.random.set_seed(7)


def consumed(result: Any) -> Any:
    """A lazy result is nothing until it is asked for, and a generator may have no end. Raises NotRunError."""
    if inspect.iscoroutine(result) or inspect.isasyncgen(result):
        if inspect.iscoroutine(result):
            result.close()
        raise NotRunError("it gives a coroutine, which runs nothing by itself")
    if inspect.isgenerator(result):
        return list(itertools.islice(result, MOST_OF_A_GENERATOR))
    return list(result) if isinstance(result, (map, filter, zip)) else result


def leaves(result: Any) -> List[Any]:
    return [v for v in calls.flat(result) if v is not None]


def array(value: Any) -> Any:
    """A numpy array of a value, None where it has none that can be compared."""
    try:
        dtype = getattr(value, "dtype", None)
        if dtype is not None and getattr(dtype, "name", "") in ("resource", "variant"):
            return None
        value = value.numpy() if hasattr(value, "numpy") else value
        result = numpy.asarray(value)
        return None if result.dtype.kind == "O" and not isinstance(value, (bytes, numpy.ndarray)) else result
    except Exception:
        return None


def effects(args: Tuple[Any, ...], keywords: Dict[str, Any]) -> List[Any]:
    """What variables among the arguments hold now."""
    found = [v for v in calls.flat([list(args), list(keywords.values())]) if hasattr(v, "assign")]
    return [array(v) for v in found]


def equal(left: Optional[List[Any]], right: Optional[List[Any]]) -> Optional[bool]:
    """Bit for bit, NaN equal to NaN; None where nothing can be compared."""
    if left is None or right is None:
        return None
    left, right = [v for v in left if v is not None], [v for v in right if v is not None]
    if not left and not right:
        return None
    if len(left) != len(right):
        return False
    for a, b in zip(left, right):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        if not (
            numpy.array_equal(a, b) or (a.dtype.kind in "fc" and numpy.array_equal(a, b, equal_nan=True))
        ):
            return False
    return True


def kernels_of(metadata: Any) -> List[str]:
    """Op types of the graphs that the runtime really ran, after it chose: _MklNativeConv2D for Conv2D."""
    found: Dict[str, None] = {}
    for graph in metadata.partition_graphs:
        for node in graph.node:
            if node.op not in calls.NO_WORK and not node.op.startswith(
                ("_Send", "_Recv", "_HostSend", "_HostRecv")
            ):
                found[node.op] = None
    return list(found)


def evaluate(graph: Any, wanted: List[Any], kernels: bool) -> Tuple[Optional[List[Any]], List[str]]:
    """The values of tensors of a graph, and the kernels that ran for them; None where it cannot be run."""
    import tensorflow as tf

    v1 = tf.compat.v1
    fetched = [v for v in wanted if isinstance(v, (tf.Tensor, tf.Operation))]
    if not fetched:
        return None, []
    try:
        with graph.as_default(), v1.Session(graph=graph) as session:
            session.run(
                [v1.global_variables_initializer(), v1.local_variables_initializer(), v1.tables_initializer()]
            )
            options = v1.RunOptions(output_partition_graphs=True) if kernels else None
            metadata = v1.RunMetadata() if kernels else None
            values = session.run(fetched, fed(graph), options=options, run_metadata=metadata)
    except Exception:
        return None, []
    return [array(v) for v in values if v is not None], kernels_of(metadata) if kernels else []


def line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return ("%s: %s" % (type(error).__name__, text) if text else type(error).__name__)[:400]


def out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def reason_of(errors: List[str]) -> str:
    """The most telling of the errors: that of the first try, unless only the parameters were not understood."""
    told = [e for e in errors if e != "its parameters are not understood"]
    if told:
        return "every call failed, the first with %s" % told[0]
    return errors[0] if errors else "its signature is not known"
