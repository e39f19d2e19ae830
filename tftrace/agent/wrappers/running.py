"""Calls a function once, eagerly or in a graph, and tells what came of it; and how long it takes."""

import contextlib
import statistics
import time
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Tuple

from .calls import OpCall, Recorder
from .making import Arguments, Make
from .outcome import array, consumed, effects, evaluate, kernels_of, leaves, seed

TIMED = 25
TIMED_PART = 9
WARM_UP = 3
TIMED_IN_GRAPH = 5
LONG_NS = 100_000_000


class Ran(NamedTuple):
    """One call: what came back, the op calls, the arguments (kept alive: their ids stand in `calls`)."""

    result: Any
    calls: List[OpCall]
    args: Tuple[Any, ...]
    keywords: Dict[str, Any]
    values: Optional[List[Any]]
    effects: List[Any]
    kernels: List[str]
    graph: Any = None  # the graph it was put into


class NotUnderstoodError(Exception):
    """The recipe or the signature gives no arguments."""


class Builder:
    """Arguments made by `build` with a maker like `make`, the same values each time."""

    def __init__(self, build: Any, make: Make) -> None:
        self.build, self.make = build, make

    def __call__(self) -> Arguments:
        make = Make(self.make.dtype, self.make.n, self.make.graph)
        make.shape = self.make.shape
        result = self.build(make)
        if result is None:
            raise NotUnderstoodError("its parameters are not understood")
        if isinstance(result, tuple) and len(result) == 2:
            args, keywords = result
            if isinstance(args, tuple) and isinstance(keywords, dict):
                return args, keywords
        return (result if isinstance(result, tuple) else (result,)), {}


@contextlib.contextmanager
def body_run_eagerly(function: Any) -> Iterator[None]:
    """Of a tf.function its ops are asked for, not the one call of its graph."""
    if not (hasattr(function, "get_concrete_function") and hasattr(function, "python_function")):
        yield
        return
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


class Runner:
    def __init__(self, recorder: Recorder, about_to_call: Callable[[], None]) -> None:
        self.recorder = recorder
        self.about_to_call = about_to_call  # the time limit is for one call

    def run(
        self,
        function: Any,
        build: Callable[[], Arguments],
        own: FrozenSet[str],
        in_graph: bool,
        kernels: bool = False,
    ) -> Ran:
        """Calls `function` on fresh arguments and records it. Raises what it raises."""
        self.about_to_call()
        return (self._in_graph if in_graph else self._eagerly)(function, build, own, kernels)

    def _eagerly(self, function: Any, build: Any, own: FrozenSet[str], kernels: bool) -> Ran:
        from tensorflow.python.eager import context

        args, keywords = build()
        seed()
        found: List[str] = []
        if kernels:
            context.context().clear_kernel_cache()
            context.context().enable_run_metadata()
            context.context().export_run_metadata()  # what was left of earlier calls
        self.recorder.start(own)
        try:
            with body_run_eagerly(function):
                result = consumed(function(*args, **keywords))
        finally:
            made = self.recorder.stop()
            if kernels:
                found = kernels_of(context.context().export_run_metadata())
                context.context().disable_run_metadata()
        values = [array(v) for v in leaves(result)]
        return Ran(result, made, args, keywords, values, effects(args, keywords), found)

    def _in_graph(self, function: Any, build: Any, own: FrozenSet[str], kernels: bool) -> Ran:
        import tensorflow as tf

        with tf.Graph().as_default() as graph:
            seed()
            args, keywords = build()
            ran = self.inside(graph, function, args, keywords, own)
            values, found = evaluate(graph, leaves(ran.result), kernels)
        return ran._replace(values=values, kernels=found)

    def inside(
        self, graph: Any, function: Any, args: Tuple[Any, ...], keywords: Dict[str, Any], own: FrozenSet[str]
    ) -> Ran:
        """Puts one more call into a graph; its values are not computed."""
        self.about_to_call()
        with graph.as_default():
            self.recorder.start(own, graph)
            try:
                result = consumed(function(*args, **keywords))
            finally:
                made = self.recorder.stop()
        return Ran(result, made, args, keywords, None, [], [], graph)

    # -- time

    def python_us(
        self,
        build: Callable[[], Arguments],
        function: Any,
        in_graph: bool,
        graph: Any = None,
        timed: int = TIMED,
    ) -> Optional[float]:
        """Median time of a call less what it spends in the runtime; in a graph, of making the nodes, each time in a
        new graph unless one is given."""
        import tensorflow as tf

        times: List[int] = []
        rounds = TIMED_IN_GRAPH if in_graph else timed + WARM_UP
        self.about_to_call()
        try:
            for _ in range(rounds):
                if in_graph:
                    with (graph or tf.Graph()).as_default():
                        times.append(self._once(build, function))
                else:
                    times.append(self._once(build, function))
                if sum(times) > LONG_NS:
                    break
        except Exception:
            return None
        return statistics.median(times[WARM_UP:] or times) / 1000

    def _once(self, build: Callable[[], Arguments], function: Any) -> int:
        args, keywords = build()
        self.recorder.runtime_ns, self.recorder.timing = 0, True
        started = time.perf_counter_ns()
        try:
            consumed(function(*args, **keywords))
        finally:
            ns = time.perf_counter_ns() - started
            self.recorder.timing = False
        return ns - self.recorder.runtime_ns
