"""Functions that a graph brings along: those of a SavedModel or a frozen graph, read into a graph of sessions.

TensorFlow copies them in C++, and no Python object is made for them or for their nodes. What they hold stands in the
graph's definition.
"""

from typing import Any, Dict, Iterator, List, Tuple

from .metas import plain

MOST_INPUTS = 1024
_SECOND = ("body", "else_branch")  # in the definitions of While and If they stand behind cond and then_branch


def functions(graph_def: Any) -> Iterator[Tuple[str, List[str], List[str], List[Dict[str, Any]]]]:
    """(name, inputs, outputs, nodes) of each function: nodes with the fields node, op, from, calls, device,
    and attrs."""
    for function in getattr(getattr(graph_def, "library", None), "function", ()):
        signature = function.signature
        arguments = {argument.name for argument in signature.input_arg}
        nodes: List[Dict[str, Any]] = [
            {"node": name, "op": "Placeholder", "from": [], "calls": [], "device": None} for name in arguments
        ]
        for node in function.node_def:
            nodes.append(
                {
                    "node": node.name,
                    "op": node.op,
                    "from": [_tensor(i) for i in node.input[:MOST_INPUTS] if not i.startswith("^")],
                    "calls": list(_called(node)),
                    "device": node.device or None,
                    "attrs": _attributes(node),
                }
            )
        outputs = [_tensor(function.ret[argument.name]) for argument in signature.output_arg]
        inputs = [f"{argument.name}:0" for argument in signature.input_arg]
        yield signature.name, inputs, outputs, nodes


def _tensor(text: str) -> str:
    """`node:0` of an argument's name, or of `node:name of the output:0`."""
    parts = text.split(":")
    return f"{parts[0]}:{parts[-1] if len(parts) > 1 else 0}"


def _called(node: Any) -> Iterator[str]:
    for name in sorted(node.attr, key=lambda attribute: (attribute in _SECOND, attribute)):
        value = node.attr[name]
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name


def _attributes(node: Any) -> Dict[str, Any]:
    """Numbers, texts and lists of them: what a generated wrapper would have been given, but for types."""
    found: Dict[str, Any] = {}
    for name, value in sorted(node.attr.items()):
        kind = value.WhichOneof("value")
        if name.startswith("_"):
            continue
        if kind in ("i", "f", "b", "s"):
            found[name] = plain(getattr(value, kind))
        elif kind == "list" and not value.list.func:
            found[name] = plain([*value.list.i, *value.list.f, *value.list.b, *value.list.s])
    return found
