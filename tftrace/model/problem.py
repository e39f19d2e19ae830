"""A problem in the terms of the algorithms contract, the same for every source that tells of it.

    source            op                    fused                 algorithm
    cuDNN's calls     convolution           ["bias", "relu"]      ALGO_FFT
    TensorFlow's log  Conv2DBackpropInput   ["BIAS", "RELU"]      ..               all: Conv2DBackpropInput,
    cuDNN's log       Conv2DBackpropInput   ["ADD", "RELU_FWD"]   CUDNN_.._FFT          ["bias", "relu"], FFT
    oneDNN            convolution           ["bias", "eltwise_relu"]

Sizes stand in the order that `layout` says, filters as [spatial.., channels in a group, output channels], paddings as
[[before, after], ..]. What a source does not tell is null, and fits whatever another one tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

DIRECTIONS: Final = ("forward", "backprop_input", "backprop_filter")
OPS: Final = {
    "forward": "Conv{}D", "backprop_input": "Conv{}DBackpropInput", "backprop_filter": "Conv{}DBackpropFilter",
}  # fmt: skip
"""Direction -> TensorFlow's op type, but for the rank."""

OPEN: Final = ("layout", "dtype", "math", "fused")
"""Fields that some sources do not tell: null fits anything."""

_FIRST: Final = (
    "op", "direction", "input", "filter", "output", "strides", "dilations", "padding", "groups", "layout", "dtype",
    "math", "fused",
)  # fmt: skip
_ABOUT: Final = ("nodes",)
"""Says where the problem came from, and does not tell it from another."""
_MATH_TYPE = re.compile(r"[A-Z_]+")
_ALGORITHM = re.compile(r"(?:CUDNN_CONVOLUTION_(?:FWD|BWD_DATA|BWD_FILTER)_)?(?:ALGO_(?![0-9]))?")


def canonical(problem: Mapping[str, Any]) -> dict[str, Any]:
    """The problem with one name for one thing; fields that it does not have stay away. Idempotent."""
    found = {k: v for k, v in problem.items() if v is not None or k in OPEN}
    found["op"], found["direction"] = str(problem.get("op") or "(not known)"), _direction(problem)
    size = problem.get("input")
    rank = len(size) - 2 if isinstance(size, list) else 0
    if found["op"] == "convolution" and rank > 0 and found["direction"] in OPS:
        found["op"] = OPS[found["direction"]].format(rank)
    if found.pop("mode", None) == "convolution":
        found["flipped"] = True
    if found.get("fused") is not None:
        told = found["fused"] if isinstance(found["fused"], list) else [found["fused"]]
        found["fused"] = fused_names(told)
    if isinstance(problem.get("padding"), str) and rank > 0:
        found["padding"] = paddings(found) or found["padding"]
    return {k: found[k] for k in (*_FIRST, *(k for k in found if k not in _FIRST)) if k in found}


def identity(problem: Mapping[str, Any]) -> str:
    """One text for one problem, whichever order its fields have and wherever it came from: the key to compare runs by.

    What is added to a convolution's result by another input is left out: cuDNN's graphs always hold that addition,
    by zero where there is no such input.
    """
    known = {k: v for k, v in canonical(problem).items() if k not in _ABOUT}
    if known.get("fused"):
        known["fused"] = _told_apart(known["fused"])
    return json.dumps(known, sort_keys=True, separators=(",", ":"), default=str)


def compatible(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two canonical problems can be the same: equal but for what either does not tell."""
    for name in {*one, *other} - set(_ABOUT):
        a, b = one.get(name), other.get(name)
        if name == "fused" and a is not None and b is not None:
            a, b = _told_apart(a), _told_apart(b)
        if a == b or (name in OPEN and (a is None or b is None)):
            continue
        if name == "math" and _kind_of_math(a) != _kind_of_math(b):
            continue  # the older API's math type and the type that is added up in are two things
        return False
    return True


def united(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both canonical, compatible problems in one: what the first does not tell is taken from the second."""
    both = {**other, **{k: v for k, v in one.items() if v is not None}}
    if one.get("fused") and other.get("fused"):
        both["fused"] = max(one["fused"], other["fused"], key=len)
    nodes = [*dict.fromkeys([*one.get("nodes", []), *other.get("nodes", [])])]
    return canonical(both | ({"nodes": nodes} if nodes else {}))


def unknown_fields(problem: Mapping[str, Any]) -> int:
    """How many of the fields that can be open are."""
    return sum(problem.get(name) is None for name in OPEN)


def algorithm_name(name: str | None) -> str | None:
    """cuDNN's own short name: CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT and ALGO_FFT are FFT, ALGO_0 stays."""
    if name is None:
        return None
    return name[_ALGORITHM.match(name).end() :] or name  # type: ignore[union-attr]


def fused_names(words: list[Any]) -> list[str]:
    """What runs with the op, in the words of cuDNN's graphs: bias, add, relu, .."""
    found: list[str] = []
    for word in words:
        name = str(word).lower().removeprefix("eltwise_").removesuffix("fwd").removesuffix("_")
        name = {"sum": "add", "biasadd": "bias", "none": "", "identity": ""}.get(name, name)
        if name:
            found.append(name)
    # a graph says that it adds, not what: of TensorFlow's two additions the second is that of the bias
    return ["add", "bias", *found[2:]] if found[:2] == ["add", "add"] else found


def paddings(problem: Mapping[str, Any]) -> list[list[int]] | None:
    """ "SAME" or "VALID" as numbers; None where the sizes do not tell, or for another word."""
    size, filters = _sizes(problem.get("input")), _sizes(problem.get("filter"))
    word = str(problem.get("padding")).upper()
    rank = len(size) - 2
    if rank < 1 or len(filters) != len(size) or word not in ("SAME", "VALID"):
        return None
    spatial = size[1:-1] if str(problem.get("layout") or "").endswith("C") else size[2:]
    strides, dilations = (_sizes(problem.get(k)) or [1] * rank for k in ("strides", "dilations"))
    if word == "VALID":
        return [[0, 0]] * rank
    found = []
    for n, window, stride, dilation in zip(spatial, filters, strides, dilations, strict=False):
        reach = (window - 1) * dilation + 1
        total = max((-(-n // stride) - 1) * stride + reach - n, 0)
        found.append([total // 2, total - total // 2])
    return found


def _sizes(value: object) -> list[int]:
    """The sizes, [] where they are not all whole numbers above 0."""
    known = isinstance(value, list) and all(type(n) is int and n > 0 for n in value)
    return value if known and isinstance(value, list) else []


def _direction(problem: Mapping[str, Any]) -> str:
    told = problem.get("direction")
    return told if told in DIRECTIONS else "other"


def _told_apart(fused: list[str]) -> list[str]:
    return [name for name in fused if name != "add"]


def _kind_of_math(word: object) -> bool:
    return _MATH_TYPE.fullmatch(str(word)) is not None
