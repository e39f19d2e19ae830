"""Tracings of a tf.function: for which arguments each was made. Where a function is traced again, what differs from the
arguments before is the cause.
"""

import sys
import weakref
import zlib
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import files
from .clocks import raw
from .patches import Patches

_MOST = 64  # parts of the arguments
_TEXT = 120


class Tracings:
    def __init__(self, session: Any, graph_number: Callable[[Any], int]) -> None:
        self.session, self.graph_number = session, graph_number
        self._numbers: Dict[int, Tuple[int, Any]] = {}
        self._next = 0
        self.open_files()

    def open_files(self) -> None:
        self._lines = files.Lines(self.session.directory, "tracings.jsonl")

    def start(self, patches: Patches) -> None:
        try:
            from tensorflow.python.eager.polymorphic_function import tracing_compilation
        except ImportError:  # before TensorFlow 2.15 the arguments have no types that could be compared
            return
        from tensorflow.python.util import tf_decorator

        self._unwrap = tf_decorator.unwrap
        self.session.around(
            patches, tracing_compilation, "_create_concrete_function", self._traced, before=raw
        )

    def _traced(self, started: int, *rest: Any) -> None:
        if len(rest) < 6:
            return  # it raised
        kind, context, graph, options = rest[2:6]
        function = self._unwrap(options.python_function)[1]
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        hidden = bool(self.session.options.get("redact"))
        leaves: List[List[Any]] = []
        for name, parameter in getattr(kind, "parameters", {}).items():
            _flatten(name, getattr(parameter, "type_constraint", parameter), leaves, hidden)
        self._lines.add(
            {
                "name": str(options.name)[:_TEXT],
                "file": code.co_filename if code is not None else None,
                "line": code.co_firstlineno if code is not None else None,
                "object": self._number(function),
                "cache": self._number(options.function_cache),
                "scope": getattr(options.scope_type, "name", None),
                "graph": self.graph_number(graph),
                "arguments": leaves[:_MOST],
                "context": zlib.crc32(repr(context).encode("utf-8", "replace")),
                "stack": self.session.stacks.intern(sys._getframe(1)),
                "t": started,
                "ns": raw() - started,
            }
        )

    def _number(self, thing: Any) -> Optional[int]:
        """A number for an object, as long as that lives."""
        if thing is None:
            return None
        known = self._numbers.get(id(thing))
        if known is not None and known[1]() is thing:
            return known[0]
        try:
            alive: Any = weakref.ref(thing)
        except TypeError:
            alive = lambda: thing  # noqa: E731 - kept alive, so that nothing else gets its address
        self._next += 1
        self._numbers[id(thing)] = (self._next, alive)
        return self._next


def _flatten(path: str, kind: Any, into: List[List[Any]], hidden: bool) -> None:
    """[path, what it is, its type or value(, further part)] of each part of an argument."""
    if len(into) >= _MOST:
        return
    for attribute in ("components", "components_tuple"):  # a tuple, a list
        parts = getattr(kind, attribute, None)
        if isinstance(parts, tuple):
            return _each(
                path, {"[%d]" % i: p for i, p in enumerate(parts)}, type(kind).__name__, into, hidden
            )
    mapping = getattr(kind, "mapping", None)
    if isinstance(mapping, dict):
        return _each(path, {"[%r]" % (k,): v for k, v in mapping.items()}, "Dict", into, hidden)
    shape, dtype = getattr(kind, "shape", None), getattr(kind, "dtype", None)
    if shape is not None and dtype is not None:
        into.append([path, "tensor", str(getattr(dtype, "name", dtype)), str(shape)])
    elif type(kind).__name__ == "Literal":
        value = getattr(kind, "value", None)
        text = "%08x" % zlib.crc32(repr(value).encode("utf-8", "replace")) if hidden else repr(value)[:_TEXT]
        into.append([path, "value", type(value).__name__, text])
    elif type(kind).__name__ == "Weakref":
        reference = getattr(kind, "_ref", None)
        thing = reference() if callable(reference) else None
        into.append([path, "object", type(thing).__name__, "%x" % id(thing)])
    else:
        into.append(
            [path, "other", type(kind).__name__, "%08x" % zlib.crc32(repr(kind).encode("utf-8", "replace"))]
        )


def _each(path: str, parts: Dict[str, Any], kind: str, into: List[List[Any]], hidden: bool) -> None:
    into.append([path, "structure", kind, ", ".join(parts) if kind == "Dict" else str(len(parts))])
    for key, part in parts.items():
        _flatten(path + key, part, into, hidden)
