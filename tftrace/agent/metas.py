"""Describes op calls: op type, inputs' dtypes and shapes, attributes. Each distinct description is written once."""

from typing import Any, Dict, List, Optional, Tuple

from .files import Lines

FAST, EXECUTE, CANCELABLE, SESSION = range(4)
_PLAIN = (str, int, float, bool)
OP_BYTES = 800  # what the TensorFlow profiler keeps for an eager op (measured: 729)
NODE_BYTES = 300  # .. for a node executed in a graph
FUNCTION_BYTES = 6000  # .. for a function call, beside its nodes
MAX_VALUE = 512


class Metas:
    def __init__(self, directory: str) -> None:
        self.nodes_of: Dict[str, int] = {}  # runtime function name -> nodes, nested functions included
        self.arguments: Dict[str, int] = {}
        self.reopen(directory)

    def reopen(self, directory: str) -> None:
        self._lines = Lines(directory, "metas.jsonl")
        self._sessions = Lines(directory, "sessions.jsonl")

    def close(self) -> None:
        self._lines.close()
        self._sessions.close()

    def op(self, name: Any) -> Tuple[int, int]:
        """(number of inputs, bytes an execution costs the profiler); -1 inputs where `name` is a graph's function."""
        text = _text(name)
        count = self.arguments.get(text)
        if count is None:
            count = _input_count(text)
            self.arguments[text] = count
        if count >= 0:
            return count, OP_BYTES
        return -1, FUNCTION_BYTES + NODE_BYTES * self.nodes_of.get(text, 40)

    def add(self, key: int, kind: int, arguments: Tuple[Any, ...]) -> None:
        if kind == FAST:
            op, rest, device = _text(arguments[1]), arguments[3:], None
            count = max(self.op(op)[0], 0)
            inputs, attributes = rest[:count], rest[count:]
        else:
            op, device = _text(arguments[2]), _text(arguments[1]) or None
            inputs, attributes = tuple(arguments[3]), tuple(arguments[4] or ()) if len(arguments) > 4 else ()
        is_function = self.op(op)[0] < 0
        row = {
            "key": key,
            "op": op,
            "is_function": is_function,
            "inputs": [tensor(value) for value in inputs],
            "attrs": {} if is_function else attrs_of(attributes),
            "device": device,
        }
        self._lines.add(row)

    def add_session(self, key: int, graph: Optional[int], session: Optional[int], fetches: List[str]) -> None:
        self._sessions.add({"key": key, "graph": graph, "session": session, "fetches": fetches})


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _input_count(op: str) -> int:
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(op)
    return len(definition.input_arg) if definition is not None else -1


def dtype_name(value: Any) -> str:
    return str(getattr(value, "name", None) or value)


def tensor(value: Any) -> Any:
    """[dtype, shape] of what can stand for a tensor, a list of such for a list; unknown sizes are null."""
    if isinstance(value, (list, tuple)):
        return [tensor(v) for v in value[:64]]
    if isinstance(value, _PLAIN):
        return [type(value).__name__, []]
    try:
        shape: Any = value.shape
        dims = list(shape) if isinstance(shape, tuple) else (None if shape.rank is None else shape.as_list())
        return [dtype_name(value.dtype), dims]
    except Exception:  # a foreign object that was converted in C: its type is all there is to say
        return [type(value).__name__, None]


def plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value[:MAX_VALUE]
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value[:64]]
    if isinstance(value, int):  # enum-like: tensorflow's dtype numbers are ints already
        return int(value)
    return dtype_name(value)[:MAX_VALUE]


def attrs_of(pairs: Tuple[Any, ...]) -> Dict[str, Any]:
    return {_text(pairs[i]): plain(pairs[i + 1]) for i in range(0, len(pairs) - 1, 2)}
