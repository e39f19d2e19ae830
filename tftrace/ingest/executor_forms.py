"""What executors log of a node whenever it runs (grammar in `executor_log`), and the types and shapes they tell."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

_NODE = re.compile(
    r"(?:\{\{function_node [^}]*\}\})?\{\{node ([^}]*)\}\} = ([\w>]+)\[(.*)\]\((.*?)\)( is dead)? device: (\S*)"
)
_TYPES: Final = {"FLOAT": "float32", "HALF": "float16", "DOUBLE": "float64"}


class Form(NamedTuple):
    """What the log says of a node whenever it runs; of each input the node that makes it, and the place there."""

    node: str
    kernel: str
    attrs: dict[str, Any]
    inputs: list[tuple[str, int]]
    device: str


def form_of(text: str) -> Form | None:
    match = _NODE.match(text)
    if match is None:
        return None
    node, kernel, attrs, inputs, _, device = match.groups()
    return Form(node, kernel, attributes(attrs), _inputs(inputs), device)


def _inputs(text: str) -> list[tuple[str, int]]:
    found = []
    for name in (part.strip() for part in text.split(",")):
        if name and not name.startswith("^"):
            node, _, index = name.partition(":")
            found.append((node, int(index) if index.isdigit() else 0))
    return found


def shape(text: str) -> list[int]:
    return [int(size or 0) for size in re.findall(r"dim \{ (?:size: (-?\d+) )?\}", text)]


def dtype_of(name: str) -> str:
    return _TYPES.get(name, name.lower())


def attributes(text: str) -> dict[str, Any]:
    """`T=DT_FLOAT, strides=[1, 1, 1, 1], padding="SAME"` without what TensorFlow adds for itself (names with `_`)."""
    found: dict[str, Any] = {}
    for name, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^,\[]+(?:<[^>]*>)?)', text):
        if not name.startswith("_"):
            found[name] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    if text.startswith('"'):
        return text[1:-1]
    if text.startswith("["):
        inner = text[1:-1].strip()
        return [_value(part.strip()) for part in inner.split(",")] if inner else []
    if text.startswith("DT_"):
        return dtype_of(text[3:])
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return text
