"""Traces one function: its cases, the native functions that do the same, times and kernels."""

import statistics
import time
from typing import Any, Callable, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from . import arguments, binding, calls
from .calls import OpCall, Recorder
from .making import Arguments, Make
from .naming import Names
from .outcome import (
    array,
    consumed,
    effects,
    equal,
    evaluated,
    kernels_of,
    leaves,
    line,
    out_of_memory,
    reason_of,
    seed,
)

MAX_CANDIDATES = 12
MAX_PARTS = 32
TIMED = 25
WARM_UP = 3
LONG_NS = 100_000_000
# what an op of a graph says that was asked for in eager mode
GRAPH_ONLY = (
    "eager",
    "tf.graph",
    "default graph",
    "placeholder",
    "symbolic",
    "variable_scope",
    "collections",
)


class Ran(NamedTuple):
    """One call: what came back, the op calls, the arguments (kept alive: their ids stand in `calls`)."""

    result: Any
    calls: List[OpCall]
    args: Tuple[Any, ...]
    keywords: Dict[str, Any]
    values: Optional[List[Any]]
    effects: List[Any]
    kernels: List[str]
    ns: int


class Tracer:
    def __init__(
        self, recorder: Recorder, names: Names, index: Dict[str, List[str]], recipes: Any, about_to_call: Any
    ) -> None:
        self.recorder, self.names, self.index, self.recipes = recorder, names, index, recipes
        self.about_to_call = about_to_call  # the time limit is for one call
        self._natives: Dict[str, Any] = {}

    # -- one call

    def run(
        self,
        function: Any,
        build: Callable[[], Arguments],
        own: FrozenSet[str],
        graph: bool,
        kernels: bool = False,
    ) -> Ran:
        """Calls `function` on fresh arguments and records it. Raises what it raises."""
        self.about_to_call()
        return (self._in_graph if graph else self._eagerly)(function, build, own, kernels)

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
        started = time.perf_counter_ns()
        try:
            result = consumed(function(*args, **keywords))
        finally:
            ns = time.perf_counter_ns() - started
            made = self.recorder.stop()
            if kernels:
                found = kernels_of(context.context().export_run_metadata())
                context.context().disable_run_metadata()
        values = [array(v) for v in leaves(result)]
        return Ran(result, made, args, keywords, values, effects(args, keywords), found, ns)

    def _in_graph(self, function: Any, build: Any, own: FrozenSet[str], kernels: bool) -> Ran:
        import tensorflow as tf

        with tf.Graph().as_default() as graph:
            seed()
            args, keywords = build()
            self.recorder.start(own, graph)
            started = time.perf_counter_ns()
            try:
                result = consumed(function(*args, **keywords))
            finally:
                ns = time.perf_counter_ns() - started
                made = self.recorder.stop()
            values, found = evaluated(graph, result, kernels)
        return Ran(result, made, args, keywords, values, [], found, ns)

    # -- one function

    def trace(self, name: str, function: Any, only_ops: bool = False) -> Dict[str, Any]:
        """The record of one function. `only_ops`: nothing but its first case, for the index of natives."""
        own = frozenset(self.names.of(function)) | {name}
        row: Dict[str, Any] = {"name": name, "status": "failed", "reason": None, "cases": []}
        first, errors = self._first(name, function, own)
        if first is None:
            row["reason"] = reason_of(errors)
            return row
        build, make, ran, graph = first
        row.update(status="ok", mode="graph" if graph else "eager")
        row["cases"].append(self._case(ran, make))
        if only_ops:
            return row
        row["cases"] += self._variations(function, build, make, own, graph)
        with_ops = [k for k, case in enumerate(row["cases"]) if case.get("ops")]
        if with_ops and with_ops[0] > 0:  # the one to look at is the first that runs an op
            row["cases"].insert(0, row["cases"].pop(with_ops[0]))
            build = builder_of(build.builder, [make, *arguments.varied(make)][with_ops[0]])
        ran = self.run(function, build, own, graph, kernels=True)
        row["kernels"] = ran.kernels
        row.update(self._equivalents(function, build, own, graph, ran))
        return row

    def _first(self, name: str, function: Any, own: FrozenSet[str]) -> Tuple[Any, List[str]]:
        recipe = self.recipes(name)
        errors: List[str] = []
        for graph in (True, False) if self.recipes.graph_first(name) else (False, True):
            for builder, make in arguments.attempts(function, recipe, graph):
                build = builder_of(builder, make)
                try:
                    if build() is None:
                        errors.append("its parameters are not understood")
                        continue
                    return (build, make, self.run(function, build, own, graph), graph), errors
                except Exception as error:
                    errors.append(line(error))
                    if out_of_memory(error):
                        return None, errors[-1:]
            if not graph and not any(word in e.lower() for e in errors for word in GRAPH_ONLY):
                break
        return None, errors

    def _variations(
        self, function: Any, build: Any, make: Make, own: FrozenSet[str], graph: bool
    ) -> List[Dict[str, Any]]:
        rows = []
        for other in arguments.varied(make):
            try:
                rows.append(
                    self._case(self.run(function, builder_of(build.builder, other), own, graph), other)
                )
            except Exception as error:
                rows.append({"dtype": other.dtype, "error": line(error)})
        return rows

    def _case(self, ran: Ran, make: Make) -> Dict[str, Any]:
        given = calls.flat([list(ran.args), list(ran.keywords.values())])
        origins, made = calls.sources(ran.calls, given)
        ops = [
            {"op": c.op, "attrs": c.attrs, "from": f, "inner": c.inner[:40]}
            for c, f in zip(ran.calls, origins)
        ]
        return {
            "dtype": make.dtype,
            "arguments": [calls.describe(a) for a in ran.args]
            + ["%s=%s" % (k, calls.describe(v)) for k, v in ran.keywords.items()],
            "ops": ops,
            "result": [made.get(id(v)) for v in calls.flat(ran.result)],
        }

    # -- natives

    def native(self, name: str) -> Any:
        from . import naming

        if name not in self._natives:
            try:
                self._natives[name] = naming.resolve(name)
            except naming.UnknownNameError:
                self._natives[name] = None
        return self._natives[name]

    def _candidates(self, found: List[OpCall], on_stack: List[str]) -> List[Tuple[str, bool]]:
        """(name, whether it was on the stack) of native functions that may make just these op calls."""
        key = ",".join(c.op for c in found)
        result = [(n, True) for n in on_stack]
        result += [(n, False) for n in self.index.get(key, [])]
        if len(found) == 1 and found[0].op != "function":
            result.append(("tf.raw_ops.%s" % found[0].op, False))
        unique: Dict[int, Tuple[str, bool]] = {}
        for name, seen in result:
            value = self.native(name)
            if callable(value) and (seen or not isinstance(value, type)):
                unique.setdefault(id(value), (name, seen))
        return list(unique.values())[:MAX_CANDIDATES]

    def _equivalents(
        self, function: Any, build: Any, own: FrozenSet[str], graph: bool, ran: Ran
    ) -> Dict[str, Any]:
        parts = calls.segments(ran.calls)
        whole: List[Dict[str, Any]] = []
        if ran.calls:
            on_stack = parts[0]["native"] if len(parts) == 1 else []
            whole = self._matches(ran.calls, on_stack, own, graph, ran, build, function)
        known: Dict[Any, Any] = {}  # a loop makes the same calls again and again
        for part in parts if len(parts) > 1 or not whole else []:
            found = [ran.calls[i] for i in part["calls"]]
            key = (tuple(part["native"]), tuple(c.signature for c in found))
            if key not in known and len(known) < MAX_PARTS:
                known[key] = self._matches(found, part["native"], own, graph)
            part["matches"] = known.get(key, [])
        us = self._python_us(build, function, graph)
        return {"whole": whole, "parts": parts, "python_us": us}

    def _matches(
        self, found: List[OpCall], on_stack: List[str], own: FrozenSet[str], graph: bool,
        ran: Optional[Ran] = None, build: Any = None, function: Any = None,
    ) -> List[Dict[str, Any]]:  # fmt: skip
        """Native functions that make just these op calls, the first of them with its time."""
        rows: List[Dict[str, Any]] = []
        for name, seen in self._candidates(found, on_stack):
            match = self._match(name, seen, own, graph, found, ran, build, function)
            if match is None:
                continue
            row, native, make = match
            if not any("us" in r for r in rows) and row["equal"] is not False:
                row["us"] = self._python_us(make, native, graph)
            rows.append(row)
        return rows

    def _match(
        self, name: str, seen: bool, own: FrozenSet[str], graph: bool, wanted: List[OpCall],
        ran: Optional[Ran], build: Any, function: Any,
    ) -> Any:  # fmt: skip
        """Calls a native function in every way that may fit; (how it fits, what to time), or None."""
        native = self.native(name)
        if native is function and function is not None:
            return None
        if graph and ran is None:
            return None  # the inputs of a part lie in a graph that is gone
        signature = [c.signature for c in wanted]
        best: Any = None
        ways = binding.bindings(native, wanted, build, function, seen)
        own = own | frozenset(self.names.of(native))
        for how, args, keywords in ways if not graph else self._graph_ways(ways):
            fresh = (lambda a=args, k=keywords: (a, k)) if not how.startswith("same") else None
            make = fresh or self._again(native, how, build, function, wanted)
            try:
                again = self.run(native, make, own, graph)
            except Exception:
                continue
            if [c.signature for c in again.calls] != signature:
                continue
            same = self._equal(wanted, ran, again)
            row = {"native": self.names.of(native) or [name], "how": how, "equal": same, "on_stack": seen}
            if best is None or (same and not best[0]["equal"]):
                best = (row, native, make)
            if same:
                break
        if best is not None and best[0]["how"].startswith("same") and not graph:
            best[0]["differs_for"] = self._differs(best[1], best[0]["how"], build, function, own)
            if best[0]["differs_for"] is None:
                return None
        return best

    def _differs(
        self, native: Any, how: str, build: Any, function: Any, own: FrozenSet[str]
    ) -> Optional[List[str]]:
        """The other dtypes for which only one of the two can be called; None where both can and do different things:
        that one case came out the same was then an accident."""
        found = []
        for make in arguments.varied(build.make, arguments.STRICTER):
            other = builder_of(build.builder, make)
            try:
                left: Any = self.run(function, other, own, False)
            except Exception:
                left = None
            try:
                right: Any = self.run(
                    native, self._again(native, how, other, function, left.calls if left else []), own, False
                )
            except Exception:
                right = None
            if left is None and right is None:
                continue
            if left is None or right is None:
                found.append(make.dtype)
                continue
            if [c.signature for c in left.calls] != [c.signature for c in right.calls]:
                return None
            if equal(left.values, right.values) is False:
                return None
        return found

    @staticmethod
    def _graph_ways(ways: Any) -> List[Any]:
        """In a graph arguments can only be made anew."""
        import tensorflow as tf

        with tf.Graph().as_default():
            return [w for w in ways if w[0].startswith("same")]

    @staticmethod
    def _again(native: Any, how: str, build: Any, function: Any, wanted: List[OpCall]) -> Any:
        def make() -> Any:
            args, keywords = build()
            if how == "same arguments":
                return args, keywords
            named = binding.by_name(native, binding.named_arguments(function, args, keywords), wanted)
            if named is not None and how.endswith("for all axes"):
                named = binding.per_axis_as_one(named)
            return (), named or {}

        return make

    @staticmethod
    def _equal(wanted: List[OpCall], ran: Optional[Ran], again: Ran) -> Optional[bool]:
        """Whether the numbers are the same: of the results, or of what the part of a wrapper gave."""
        if ran is not None:
            if ran.effects:
                return equal(ran.effects, again.effects) if again.effects else None
            left = ran.values
        else:
            left = [array(v) for v in wanted[-1].outputs]
        right = again.values
        if left is not None and right is not None and len(right) != len(left):
            right = [array(v) for v in again.calls[-1].outputs] if again.calls else right
        return equal(left, right)

    def _python_us(self, build: Any, function: Any, graph: bool) -> Optional[float]:
        """Median time of a call less what it spends in the runtime; in a graph, of making the nodes."""
        import tensorflow as tf

        times: List[int] = []
        rounds = 3 if graph else TIMED + WARM_UP
        try:
            for _ in range(rounds):
                if graph:
                    with tf.Graph().as_default():
                        times.append(self._once(build, function))
                else:
                    times.append(self._once(build, function))
                if sum(times) > LONG_NS:
                    break
        except Exception:
            return None
        return statistics.median(times[WARM_UP:] or times) / 1000

    def _once(self, build: Any, function: Any) -> int:
        args, keywords = build()
        self.recorder.runtime_ns, self.recorder.timing = 0, True
        started = time.perf_counter_ns()
        try:
            consumed(function(*args, **keywords))
        finally:
            ns = time.perf_counter_ns() - started
            self.recorder.timing = False
        return ns - self.recorder.runtime_ns


class builder_of:  # noqa: N801 (it stands for a function)
    """Arguments made by `builder` with a maker like `make`, the same values each time."""

    def __init__(self, builder: Any, make: Make) -> None:
        self.builder, self.make = builder, make

    def __call__(self) -> Any:
        make = Make(self.make.dtype, self.make.n, self.make.graph)
        make.shape = self.make.shape
        result = self.builder(make)
        if result is None:
            return None
        if isinstance(result, dict):
            return (), result
        if (
            isinstance(result, tuple)
            and len(result) == 2
            and isinstance(result[0], tuple)
            and isinstance(result[1], dict)
        ):
            return result
        return (result if isinstance(result, tuple) else (result,)), {}
