"""Finds native functions that do what was recorded, by calling them."""

from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from . import arguments, binding, naming
from .calls import OpCall
from .outcome import array, equal, evaluate, leaves
from .running import TIMED, TIMED_PART, Builder, Ran, Runner

MAX_CANDIDATES = 12


class Wrapper(NamedTuple):
    """The function under test, and one recorded call of it."""

    function: Any
    own: FrozenSet[str]
    build: Builder
    in_graph: bool
    ran: Ran


class Matcher:
    def __init__(self, runner: Runner, names: naming.Names, index: Dict[str, List[str]]) -> None:
        self.runner, self.names, self.index = runner, names, index
        self._natives: Dict[str, Any] = {}

    def matches(
        self, wrapper: Wrapper, wanted: List[OpCall], on_stack: List[str], whole: bool
    ) -> List[Dict[str, Any]]:
        """Native functions that make just the `wanted` op calls, the first of them with its time. `whole`: those are
        all that the wrapper makes, so that its own arguments may do."""
        rows: List[Dict[str, Any]] = []
        for name, seen in self._candidates(wanted, on_stack):
            match = self._match(wrapper, name, seen, wanted, whole)
            if match is None:
                continue
            row, native, make = match
            if not any("us" in r for r in rows) and row["equal"] is not False:
                timed = TIMED if whole else TIMED_PART
                row["us"] = self.runner.python_us(make, native, wrapper.in_graph, wrapper.ran.graph, timed)
            rows.append(row)
        return rows

    def _native(self, name: str) -> Any:
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
            value = self._native(name)
            if callable(value) and (seen or not isinstance(value, type)):
                unique.setdefault(id(value), (name, seen))
        return list(unique.values())[:MAX_CANDIDATES]

    def _match(self, wrapper: Wrapper, name: str, seen: bool, wanted: List[OpCall], whole: bool) -> Any:
        """Calls a native function in every way that may fit; (how it fits, the function, what to time), or None."""
        native = self._native(name)
        if native is wrapper.function:
            return None
        signature = [c.signature for c in wanted]
        own = wrapper.own | frozenset(self.names.of(native))
        best: Any = None
        for how, args, keywords in binding.bindings(
            native, wanted, self._arguments(wrapper) if whole else None, wrapper.function, seen
        ):
            make = self._maker(wrapper, native, how, args, keywords, wanted)
            try:
                if wrapper.in_graph:
                    again = self.runner.inside(wrapper.ran.graph, native, args, keywords, own)
                else:
                    again = self.runner.run(native, make, own, False)
            except Exception:
                continue
            if [c.signature for c in again.calls] != signature:
                continue
            same = _equal(wrapper, wanted, again, whole)
            row = {"native": self.names.of(native) or [name], "how": how, "equal": same, "on_stack": seen}
            if best is None or (same and not best[0]["equal"]):
                best = (row, native, make)
            if same:
                break
        if best is not None and best[0]["how"].startswith("same") and not wrapper.in_graph:
            best[0]["differs_for"] = self._differs(wrapper, best[1], best[0]["how"])
            if best[0]["differs_for"] is None:
                return None
        return best

    @staticmethod
    def _arguments(wrapper: Wrapper) -> Any:
        """What gives the wrapper's own arguments: anew where a call may have changed them."""
        if wrapper.in_graph:
            return lambda: (wrapper.ran.args, wrapper.ran.keywords)
        return wrapper.build

    def _maker(
        self, wrapper: Wrapper, native: Any, how: str, args: Any, keywords: Any, wanted: List[OpCall]
    ) -> Any:
        if wrapper.in_graph or not how.startswith("same"):
            return lambda: (args, keywords)
        return self._again(native, how, wrapper.build, wrapper.function, wanted)

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

    def _differs(self, wrapper: Wrapper, native: Any, how: str) -> Optional[List[str]]:
        """The other dtypes for which only one of the two can be called; None where both can and do different things:
        that one case came out the same was then an accident."""
        found = []
        for make in arguments.varied(wrapper.build.make, arguments.STRICTER):
            build = Builder(wrapper.build.build, make)
            left = self._run_or_none(wrapper.function, build, wrapper.own)
            wanted = left.calls if left is not None else []
            again = self._again(native, how, build, wrapper.function, wanted)
            right = self._run_or_none(native, again, wrapper.own)
            if left is None or right is None:
                if left is not right:
                    found.append(make.dtype)
                continue
            if [c.signature for c in left.calls] != [c.signature for c in right.calls]:
                return None
            if equal(left.values, right.values) is False:
                return None
        return found

    def _run_or_none(self, function: Any, build: Any, own: FrozenSet[str]) -> Optional[Ran]:
        try:
            return self.runner.run(function, build, own, False)
        except Exception:
            return None


def _equal(wrapper: Wrapper, wanted: List[OpCall], again: Ran, whole: bool) -> Optional[bool]:
    """Whether the numbers are the same: of the results, or of what the part of a wrapper gave. None where that cannot
    be told, as of random numbers in a graph."""
    ran = wrapper.ran
    left, right = leaves(ran.result) if whole else wanted[-1].outputs, leaves(again.result)
    if len(left) != len(right):
        left, right = wanted[-1].outputs, again.calls[-1].outputs if again.calls else []
    if wrapper.in_graph:
        if any("Random" in c.op for c in wanted):
            return None
        values, _ = evaluate(ran.graph, [*left, *right], False)
        if values is None or len(values) != len(left) + len(right):
            return None
        return equal(values[: len(left)], values[len(left) :])
    if whole and ran.effects:
        return equal(ran.effects, again.effects) if again.effects else None
    return equal([array(v) for v in left], [array(v) for v in right])
