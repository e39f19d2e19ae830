"""Records the op calls of one call of a function: type, attributes, what each input came from, and which public
native function on the stack made it.

Eager calls are caught where they leave Python, at the attributes that the dispatch probe replaces too; nodes of a
graph where all of them are made. Nothing of the eager fast path is turned off.
"""

import sys
import time
from types import CodeType, FrameType
from typing import Any, Dict, FrozenSet, List, Optional, Set, Tuple

from ..metas import FAST, dtype_name
from ..patches import Patches
from ..pystacks import exported_names, qualified_name

ENTRIES = ("TFE_Py_FastPathExecute", "TFE_Py_Execute", "TFE_Py_ExecuteCancelable")
# made of what is no work: constants, inputs of a graph, control
NO_WORK = {
    "Const", "NoOp", "Placeholder", "PlaceholderWithDefault", "_Arg", "_Retval", "_DeviceArg", "_DeviceRetval",
    "_EagerConst",
}  # fmt: skip
# differ from call to call without a difference of what is computed
NAMES_AND_SEEDS = {"seed", "seed2", "shared_name", "container", "debug_name", "cell_name", "message"}


class OpCall:
    """One op call. `inputs` and `outputs` are the tensors themselves, to be told apart by identity."""

    def __init__(self, op: str, attrs: Dict[str, Any], inputs: List[Any], outputs: List[Any]) -> None:
        self.op, self.attrs, self.inputs, self.outputs = op, attrs, inputs, outputs
        self.raw_inputs: List[Any] = []  # as they were given, lists kept
        self.raw_attrs: Dict[str, Any] = {}
        self.native: Tuple[str, ...] = ()
        self.frame: Optional[FrameType] = (
            None  # of the native function, kept: a later frame must not get its id
        )
        self.line: Tuple[int, int] = (0, 0)  # where in the caller the native function was called
        self.inner: List[str] = []  # op types inside a function or loop that this call runs

    @property
    def signature(self) -> Tuple[Any, ...]:
        return self.op, tuple(sorted((k, repr(v)) for k, v in self.attrs.items() if k not in NAMES_AND_SEEDS))


class Recorder:
    """Catches op calls while `on`; installed once in a process, taken back by `close`."""

    def __init__(self) -> None:
        from tensorflow.python import pywrap_tfe
        from tensorflow.python.eager import core
        from tensorflow.python.framework import ops

        self.calls: List[OpCall] = []
        self.on = False
        self.timing = False
        self.runtime_ns = 0
        self._depth = 0
        self._own: FrozenSet[str] = frozenset()
        self._root: Optional[FrameType] = None
        self._graph: Any = None
        self._names: Dict[int, Tuple[CodeType, Tuple[str, ...]]] = {}
        self._fallback = core._FallbackException
        self._patches = Patches()
        for kind, entry in enumerate(ENTRIES):
            if hasattr(pywrap_tfe, entry):
                self._patches.set(pywrap_tfe, entry, self._eager(kind, getattr(pywrap_tfe, entry)))
        self._patches.set(ops.Graph, "_create_op_internal", self._node(ops.Graph._create_op_internal))

    def close(self) -> None:
        self._patches.restore()

    def start(self, own: FrozenSet[str] = frozenset(), graph: Any = None) -> None:
        """From here on calls below the caller's frame are recorded; `own`: names of the function under test, which is
        no native function of itself; `graph`: nodes of this graph rather than eager calls."""
        self.calls, self._own, self._graph, self._depth = [], own, graph, 0
        self._root = sys._getframe(1)
        self.on = True

    def stop(self) -> List[OpCall]:
        self.on, self._root = False, None
        calls, self.calls = self.calls, []
        return calls

    # -- hooks

    def _eager(self, kind: int, original: Any) -> Any:
        def hook(*arguments: Any, **keywords: Any) -> Any:
            if self.timing:
                started = time.perf_counter_ns()
                try:
                    return original(*arguments, **keywords)
                finally:
                    self.runtime_ns += time.perf_counter_ns() - started
            if not self.on or self._depth:
                return original(*arguments, **keywords)
            self._depth += 1
            try:
                result = original(*arguments, **keywords)  # a fast path that falls back is no call yet
            finally:
                self._depth -= 1
            if self._graph is None:
                self._called(kind, arguments, result, sys._getframe(1))
            return result

        return hook

    def _node(self, original: Any) -> Any:
        def hook(graph: Any, *arguments: Any, **keywords: Any) -> Any:
            made = original(graph, *arguments, **keywords)
            if self.on and self._graph is not None and made.type not in NO_WORK:
                if graph is self._graph:
                    self._made(made, sys._getframe(1))
                elif self.calls:
                    self.calls[-1].inner.append(made.type)
            return made

        return hook

    def _called(self, kind: int, arguments: Tuple[Any, ...], result: Any, frame: FrameType) -> None:
        if kind == FAST:
            op = _text(arguments[1])
            definition = definition_of(op)
            count = len(definition.input_arg) if definition is not None else 0
            inputs, pairs = list(arguments[3 : 3 + count]), arguments[3 + count :]
        else:
            op, inputs = _text(arguments[2]), list(arguments[3])
            pairs = tuple(arguments[4] or ()) if len(arguments) > 4 else ()
            definition = definition_of(op)
        given = {_text(pairs[i]): pairs[i + 1] for i in range(0, len(pairs) - 1, 2)}
        call = OpCall(op, attributes(definition, given), flat(inputs), flat(result))
        call.raw_inputs = inputs if kind == FAST else regrouped(definition, inputs, given)
        call.raw_attrs = given
        if definition is None:
            call.op, call.inner = "function", nodes_of(op)
        self._locate(call, frame)
        self.calls.append(call)

    def _made(self, made: Any, frame: FrameType) -> None:
        definition = made.op_def
        given = {}
        for a in definition.attr:
            try:
                given[a.name] = made.get_attr(a.name)
            except ValueError:
                continue
        call = OpCall(made.type, attributes(definition, given), list(made.inputs), list(made.outputs))
        call.raw_inputs = regrouped(definition, list(made.inputs), given)
        call.raw_attrs = given
        self._locate(call, frame)
        self.calls.append(call)

    def _locate(self, call: OpCall, frame: Optional[FrameType]) -> None:
        """The outermost native function between the function under test and the op."""
        below: List[FrameType] = []
        while frame is not None and frame is not self._root:
            below.append(frame)
            frame = frame.f_back
        caller = frame
        for at in reversed(below):
            names = self._exported(at)
            if names and self._own.isdisjoint(names):
                call.native, call.frame = names, at
                call.line = (id(caller), caller.f_lasti) if caller is not None else (0, 0)
                return
            caller = at

    def _exported(self, frame: FrameType) -> Tuple[str, ...]:
        known = self._names.get(id(frame.f_code))
        if known is None:
            names = tuple(n for n in public_names(frame) if native(n))
            known = self._names[id(frame.f_code)] = (frame.f_code, names)
        return known[1]


def native(name: str) -> bool:
    return name.startswith("tf.") and not name.startswith(
        ("tf.keras.", "tf.compat.v1.keras.", "tf.estimator.", "tf.__internal__.")
    )


def public_names(frame: FrameType) -> List[str]:
    """Names under which TensorFlow exports the function that runs in a frame; of a method, where its class is exported
    or hands it down to one that is not: tf.Variable.assign is BaseResourceVariable's. Of a constructor, the class."""
    module = str(frame.f_globals.get("__name__") or "")
    if not module.startswith("tensorflow.") or module.startswith(
        ("tensorflow.python.keras", "tensorflow.python.layers")
    ):
        return []
    name, _, method = qualified_name(frame).partition(".")
    if not method:
        return exported_names(frame)
    owner = frame.f_globals.get(name)
    for base in owner.__mro__ if isinstance(owner, type) else ():
        for public in base.__dict__.get("_tf_api_names", ()):
            if method.startswith("_"):
                return ["tf.%s" % public] if base is owner else []
            if hasattr(base, method):
                return ["tf.%s.%s" % (public, method)]
    return []


def segments(calls: List[OpCall]) -> List[Dict[str, Any]]:
    """Consecutive op calls of one call of a native function: {"native": names, "calls": indices}, in order."""
    found: List[Dict[str, Any]] = []
    last: Any = None
    for index, call in enumerate(calls):
        key = (id(call.frame), call.line) if call.frame is not None else None
        if key is not None and key == last:
            found[-1]["calls"].append(index)
        else:
            found.append({"native": list(call.native), "calls": [index]})
        last = key
    return found


def sources(calls: List[OpCall], arguments: List[Any]) -> Tuple[List[List[Any]], Dict[int, Any]]:
    """For each call where its inputs come from: an index of a call, "argument", or None; and the same by tensor id."""
    made: Dict[int, Any] = {id(a): "argument" for a in arguments}
    rows = []
    for index, call in enumerate(calls):
        rows.append([made.get(id(value)) for value in call.inputs])
        for value in call.outputs:
            made.setdefault(id(value), index)
    return rows, made


def flat(value: Any) -> List[Any]:
    """The tensors and other leaves in nested lists, tuples and dictionaries; composites as their components."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for v in value for leaf in flat(v)]
    handle = getattr(value, "handle", None)
    if handle is not None and hasattr(value, "assign"):
        return [handle, value]
    inner = getattr(value, "_value", None)  # a Keras 3 variable around a TensorFlow one
    if inner is not None and hasattr(value, "assign"):
        return flat(inner)
    if hasattr(value, "dense_shape") and hasattr(value, "indices"):
        return [value.indices, value.values, value.dense_shape]
    if hasattr(value, "flat_values") and hasattr(value, "nested_row_splits"):
        return [value.flat_values, *value.nested_row_splits]
    return [value]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def definition_of(op: str) -> Any:
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(op)


def nodes_of(function: str) -> List[str]:
    """Op types in the body of a function of the runtime."""
    from tensorflow.python.eager import context

    try:
        definition = context.get_function_def(function)
        return [n.op for n in definition.node_def if n.op not in NO_WORK and n.op != "Identity"]
    except Exception:
        return []


def inferred(definition: Any) -> FrozenSet[str]:
    """Attributes that follow from the inputs: they say nothing that the inputs do not."""
    names: Set[str] = set()
    for a in definition.input_arg:
        names.update(n for n in (a.type_attr, a.number_attr, a.type_list_attr) if n)
    return frozenset(names)


def attributes(definition: Any, given: Dict[str, Any]) -> Dict[str, Any]:
    """All attributes that the inputs do not determine, defaults included, as JSON values."""
    if definition is None:
        return {}
    skip, found = inferred(definition), {}
    for a in definition.attr:
        if a.name in skip or a.name.startswith("_"):
            continue
        if a.name in given and given[a.name] is not None:
            found[a.name] = plain(a.type, given[a.name])
        elif a.HasField("default_value"):
            found[a.name] = plain(a.type, default(a))
    return found


def default(a: Any) -> Any:
    value = a.default_value
    kind = value.WhichOneof("value")
    if kind == "list":
        for name in ("s", "i", "f", "b", "type", "shape"):
            items = list(getattr(value.list, name))
            if items:
                return items
        return []
    return getattr(value, kind) if kind else None


def plain(kind: str, value: Any) -> Any:
    if kind.startswith("list("):
        items = value if isinstance(value, (list, tuple)) else [value]
        return [plain(kind[5:-1], v) for v in items]
    try:
        if kind == "type":
            from tensorflow.python.framework import dtypes

            return dtypes.as_dtype(value).name
        if kind == "shape":
            from tensorflow.python.framework import tensor_shape

            shape = tensor_shape.TensorShape(value)
            return None if shape.rank is None else shape.as_list()
        if kind == "bool":
            return bool(value)
        if kind == "int":
            return int(value)
        if kind == "float":
            return float(value)
        if kind == "string":
            return (
                _text(value) if not isinstance(value, bytes) or len(value) < 200 else "%d bytes" % len(value)
            )
    except (TypeError, ValueError):
        pass
    return "<%s>" % kind


def regrouped(definition: Any, inputs: List[Any], given: Dict[str, Any]) -> List[Any]:
    """Flat inputs as the op's arguments: lists where the definition has lists."""
    if definition is None:
        return inputs
    result: List[Any] = []
    rest = list(inputs)
    for a in definition.input_arg:
        if a.number_attr or a.type_list_attr:
            size = given.get(a.number_attr or a.type_list_attr)
            count = len(size) if isinstance(size, (list, tuple)) else size
            if not isinstance(count, int):
                count = len(rest) - (len(definition.input_arg) - len(result) - 1)
            result.append(rest[:count])
            rest = rest[count:]
        else:
            result.append(rest.pop(0) if rest else None)
    return result


def describe(value: Any) -> Any:
    """An argument for the report: dtype and shape of a tensor, else a short form of the value."""
    if isinstance(value, (list, tuple)):
        return [describe(v) for v in value[:8]]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value[:40]
    shape = getattr(value, "shape", None)
    if shape is not None and hasattr(value, "dtype"):
        try:
            dims = list(shape)
            return "%s[%s]" % (dtype_name(value.dtype), ",".join("?" if d is None else str(d) for d in dims))
        except Exception:
            pass
    return "<%s>" % (getattr(value, "__name__", None) or type(value).__name__)
