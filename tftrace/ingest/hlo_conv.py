"""What a convolution of XLA computes, from the text of its HLO instruction with the shapes of its operands:

(f32[2,16,16,16]{3,2,1,0}, u8[0]{0}) custom-call(f32[2,8,16,16]{3,2,1,0}, f32[16,8,3,3]{3,2,1,0}, ..),
window={size=3x3 stride=2x2 pad=1_1x1_1 rhs_dilate=1x1}, dim_labels=bf01_oi01->bf01, feature_group_count=1,
custom_call_target="__cudnn$convForward", ..
"""

from __future__ import annotations

import re
from typing import Any, Final

_SHAPE = re.compile(r"\b(?P<type>[a-z]+[0-9]*\w*)\[(?P<sizes>[0-9,]{0,200})\]")
_WINDOW = re.compile(r"window=\{([^}]{0,400})\}")
_LABELS = re.compile(r"dim_labels=(?P<input>[a-z0-9]+)_(?P<filter>[a-z0-9]+)->(?P<output>[a-z0-9]+)")
_TARGET = re.compile(r'custom_call_target=\\?"__cudnn\$conv(?P<name>\w+)')
_GROUPS = re.compile(r"feature_group_count=([0-9]{1,9})")
_ACTIVATION = re.compile(r'activation_mode\\?"\s*:\s*\\?"k(\w+)')
_DIRECTION: Final = {"BackwardInput": "backprop_input", "BackwardFilter": "backprop_filter"}
_OP: Final = {
    "forward": "Conv{}D", "backprop_input": "Conv{}DBackpropInput", "backprop_filter": "Conv{}DBackpropFilter",
}  # fmt: skip
_DTYPES: Final = {
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "bf16": "bfloat16",
    "s8": "int8",
    "s32": "int32",
}


def problem_of(hlo: str) -> dict[str, Any] | None:
    """The problem in the terms of the algorithms contract; None for another instruction, or one without shapes."""
    target, labels = _TARGET.search(hlo), _LABELS.search(hlo)
    head, _, arguments = hlo.partition("custom-call(")
    if target is None or labels is None or not arguments:
        return None
    result = _SHAPE.search(head)
    operands = _SHAPE.findall(arguments.partition(")")[0])
    if result is None or len(operands) < 2:
        return None
    direction = _DIRECTION.get(target["name"], "forward")
    first, second = (_ints(sizes) for _, sizes in operands[:2])
    out = _ints(result["sizes"])
    # the labels name input, filter and output of the convolution, whichever of them is computed
    x, w, y = {
        "forward": (first, second, out), "backprop_input": (out, second, first),
        "backprop_filter": (first, out, second),
    }[direction]  # fmt: skip
    if (
        not len(x)
        == len(labels["input"])
        == len(w)
        == len(labels["filter"])
        == len(y)
        == len(labels["output"])
    ):
        return None
    rank = len(x) - 2
    window = dict(part.split("=", 1) for part in _window(hlo) if "=" in part)
    padding = [
        [int(n) for n in pair.split("_")]
        for pair in re.findall(r"-?\d{1,9}_-?\d{1,9}", window.get("pad", ""))
    ]
    groups = _GROUPS.search(hlo)
    activation = _ACTIVATION.search(hlo)
    fused = ["BIAS"] if "BiasActivation" in target["name"] else []
    fused += [activation[1].upper()] if activation and activation[1] != "None" else []
    spatial = "DHW"[3 - rank :] if rank <= 3 else "S" * rank
    return {
        "op": _OP[direction].format(rank), "direction": direction, "input": x,
        "filter": _sorted(w, labels["filter"], "io"), "output": y,
        "strides": _by(window.get("stride"), rank), "dilations": _by(window.get("rhs_dilate"), rank),
        "padding": padding or [[0, 0]] * rank, "groups": int(groups[1]) if groups else 1,
        "layout": f"N{spatial}C" if labels["input"].endswith("f") else f"NC{spatial}",
        "dtype": _DTYPES.get(operands[0][0], operands[0][0]), "math": None, "fused": fused,
    }  # fmt: skip


def _window(hlo: str) -> list[str]:
    match = _WINDOW.search(hlo)
    return match[1].split(" ") if match else []


def _by(text: str | None, rank: int) -> list[int]:
    return [int(n) for n in re.findall(r"\d{1,9}", text)] if text else [1] * rank


def _ints(text: str) -> list[int]:
    return [int(n) for n in text.split(",") if n]


def _sorted(sizes: list[int], labels: str, last: str) -> list[int]:
    """Spatial sizes first, then those with these labels."""
    by = dict(zip(labels, sizes, strict=True))
    return [by[c] for c in sorted(c for c in labels if c not in last)] + [by[c] for c in last if c in by]
