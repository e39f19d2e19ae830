"""Traces one function: its cases, the native functions that do the same, times and kernels."""

from typing import Any, Dict, FrozenSet, List, Tuple

from . import arguments, calls
from .making import Make
from .matching import Matcher, Wrapper
from .naming import Names
from .outcome import line, out_of_memory, reason_of
from .running import Builder, Ran, Runner

MAX_PARTS = 32
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


class Tracer:
    def __init__(self, runner: Runner, names: Names, index: Dict[str, List[str]], recipes: Any) -> None:
        self.runner, self.names, self.recipes = runner, names, recipes
        self.matcher = Matcher(runner, names, index)

    def trace(self, name: str, function: Any, only_ops: bool = False) -> Dict[str, Any]:
        """The record of one function. `only_ops`: nothing but its first case, for the index of natives."""
        own = frozenset(self.names.of(function)) | {name}
        row: Dict[str, Any] = {"name": name, "status": "failed", "reason": None, "cases": []}
        first, errors = self._first(name, function, own)
        if first is None:
            row["reason"] = reason_of(errors)
            return row
        build, ran, in_graph = first
        row.update(status="ok", mode="graph" if in_graph else "eager")
        row["cases"].append(self._case(ran, build.make))
        if only_ops:
            return row
        others = [Builder(build.build, make) for make in arguments.varied(build.make)]
        for other in others:
            case = self._other_case(function, other, own, in_graph)
            row["cases"].append(case)
        with_ops = [k for k, case in enumerate(row["cases"]) if case.get("ops")]
        if with_ops and with_ops[0] > 0:  # the one to look at is the first that runs an op
            row["cases"].insert(0, row["cases"].pop(with_ops[0]))
            build = others[with_ops[0] - 1]
        ran = self.runner.run(function, build, own, in_graph, kernels=True)
        row["kernels"] = ran.kernels
        row.update(self._equivalents(Wrapper(function, own, build, in_graph, ran)))
        return row

    def _first(self, name: str, function: Any, own: FrozenSet[str]) -> Tuple[Any, List[str]]:
        """(arguments that work, what came of them, whether in a graph), or None and the errors."""
        recipe = self.recipes(name)
        errors: List[str] = []
        for in_graph in (True, False) if self.recipes.graph_first(name) else (False, True):
            for builder, make in arguments.attempts(function, recipe, in_graph):
                build = Builder(builder, make)
                try:
                    return (build, self.runner.run(function, build, own, in_graph), in_graph), errors
                except Exception as error:
                    errors.append(line(error))
                    if out_of_memory(error):
                        return None, errors[-1:]
            if not in_graph and not any(word in e.lower() for e in errors for word in GRAPH_ONLY):
                break
        return None, errors

    def _other_case(
        self, function: Any, build: Builder, own: FrozenSet[str], in_graph: bool
    ) -> Dict[str, Any]:
        try:
            return self._case(self.runner.run(function, build, own, in_graph), build.make)
        except Exception as error:
            return {"dtype": build.make.dtype, "error": line(error)}

    def _case(self, ran: Ran, make: Make) -> Dict[str, Any]:
        given = calls.flat([list(ran.args), list(ran.keywords.values())])
        origins, made = calls.sources(ran.calls, given)
        ops = [
            {"op": c.op, "attrs": c.attrs, "from": f, "inner": c.inner[:40]}
            for c, f in zip(ran.calls, origins)
        ]
        keywords = ["%s=%s" % (k, calls.describe(v)) for k, v in ran.keywords.items()]
        return {
            "dtype": make.dtype,
            "arguments": [calls.describe(a) for a in ran.args] + keywords,
            "ops": ops,
            "result": [made.get(id(v)) for v in calls.flat(ran.result)],
        }

    def _equivalents(self, wrapper: Wrapper) -> Dict[str, Any]:
        made = wrapper.ran.calls
        parts = calls.segments(made)
        whole: List[Dict[str, Any]] = []
        if made:
            on_stack = parts[0]["native"] if len(parts) == 1 else []
            whole = self.matcher.matches(wrapper, made, on_stack, True)
        known: Dict[Any, Any] = {}  # a loop makes the same calls again and again
        for part in parts if len(parts) > 1 or not whole else []:
            found = [made[i] for i in part["calls"]]
            key = (tuple(part["native"]), tuple(c.signature for c in found))
            if key not in known and len(known) < MAX_PARTS:
                known[key] = self.matcher.matches(wrapper, found, part["native"], False)
            part["matches"] = known.get(key, [])
        us = self.runner.python_us(wrapper.build, wrapper.function, wrapper.in_graph)
        return {"whole": whole, "parts": parts, "python_us": us}
