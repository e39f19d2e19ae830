"""What a oneDNN primitive was asked to compute: the `problem` object of the algorithms contract."""

from __future__ import annotations

import re
from typing import Any

from tftrace.ingest.onednn_line import MemoryDescriptor, VerboseLine, fpmath_mode

_DIRECTIONS = {
    "forward": "forward",
    "backward": "backprop_input",
    "backward_data": "backprop_input",
    "backward_weights": "backprop_filter",
    "backward_bias": "backprop_filter",
}
_DTYPES = {  # oneDNN's word -> TensorFlow's
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "bf16": "bfloat16",
    "s32": "int32",
    "s8": "int8",
    "u8": "uint8",
    "f8_e5m2": "float8_e5m2",
    "f8_e4m3": "float8_e4m3fn",
}
_SOURCES = ("src", "diff_src", "src_0", "src0")
_FILTERS = ("wei", "diff_wei")
_RESULTS = ("dst", "diff_dst")
_BIASES = ("bia", "diff_bia")

_PART = re.compile(r"([a-z]+)(-?[0-9]+)")
_AXES = "dhw"


def problem_of(line: VerboseLine) -> dict[str, Any] | None:
    """The problem that the primitive of this line solved; None where the line has no primitive.

    A convolution or deconvolution (1-D to 3-D, grouped, depthwise) has TensorFlow's terms, whatever its
    direction: `input` and `output` are the logical sizes in the order that `layout` says ("NHWC" where the
    source memory is channels-last; otherwise N, C, spatial, with `layout` "NCHW" or oneDNN's blocked form
    such as "nChw16c", null while the layout is open); `filter` [spatial.., channels in a group, output
    channels]; `dilations` 1 where there is none; `padding` [[before, after], ..]; `fused` "bias" and the
    post-ops. Any other primitive has `shapes`, the text oneDNN gives, and `direction` "other" where it has
    none.
    """
    if line.primitive is None or line.problem is None:
        return None
    source = line.descriptor(*_SOURCES)
    problem: dict[str, Any] = {"op": line.primitive, "direction": _direction(line.propagation)}
    if line.primitive in ("convolution", "deconvolution"):
        convolution = _convolution(line, source)
        if convolution is not None:
            return problem | convolution | _types(line, source)
    problem["shapes"] = line.problem
    if line.algorithm is not None:
        problem["kind"] = line.algorithm
    tags = [d.tag for d in (source, line.descriptor(*_RESULTS)) if d is not None]
    problem["layout"] = " -> ".join(dict.fromkeys(tags)) or None
    return problem | _types(line, source)


def _direction(propagation: str | None) -> str:
    if propagation is not None and propagation.startswith("forward"):
        return "forward"
    return _DIRECTIONS.get(propagation or "", "other")


def _types(line: VerboseLine, source: MemoryDescriptor | None) -> dict[str, Any]:
    """dtype (of filter and output too where they differ: quantized primitives), math mode, fused
    operations."""
    of = {
        "dtype": source,
        "filter_dtype": line.descriptor(*_FILTERS),
        "output_dtype": line.descriptor(*_RESULTS),
    }
    found = {key: _dtype(descriptor) for key, descriptor in of.items()}
    types = {key: name for key, name in found.items() if key == "dtype" or name not in (None, found["dtype"])}
    bias = line.descriptor(*_BIASES)
    fused = (["bias"] if bias is not None and bias.defined else []) + line.post_ops
    return types | {"math": fpmath_mode(line), "fused": fused}


def _dtype(descriptor: MemoryDescriptor | None) -> str | None:
    if descriptor is None or descriptor.dtype in (None, "undef"):
        return None
    return _DTYPES.get(descriptor.dtype, descriptor.dtype)


def _convolution(line: VerboseLine, source: MemoryDescriptor | None) -> dict[str, Any] | None:
    """Sizes of a convolution; None where the text does not give them (sizes only known at run time)."""
    size = {key: int(value) for key, value in _PART.findall(line.problem or "")}
    axes = [axis for axis in _AXES if f"i{axis}" in size]
    wanted = [f"{part}{axis}" for axis in axes for part in "ioks"] + ["mb", "ic", "oc"]
    groups = size.get("g", 1)
    if not axes or any(key not in size for key in wanted) or groups < 1:
        return None
    transposed = line.primitive == "deconvolution"
    padding = []
    for axis in axes:
        before = size.get(f"p{axis}", 0)
        # The line gives the padding before only; what the sizes leave is the padding after. A remainder of a
        # stride that no window reaches is not negative padding.
        small, large = (f"i{axis}", f"o{axis}") if transposed else (f"o{axis}", f"i{axis}")
        reach = (size[f"k{axis}"] - 1) * (size.get(f"d{axis}", 0) + 1) + 1
        after = (size[small] - 1) * size[f"s{axis}"] + reach - size[large] - before
        padding.append([before, max(after, 0)])
    spatial_in, spatial_out = [size[f"i{a}"] for a in axes], [size[f"o{a}"] for a in axes]
    layout, last = _layout(source, len(axes))
    return {
        "input": _order(size["mb"], size["ic"], spatial_in, last),
        "filter": [*(size[f"k{a}"] for a in axes), size["ic"] // groups, size["oc"]],
        "output": _order(size["mb"], size["oc"], spatial_out, last),
        "strides": [size[f"s{a}"] for a in axes],
        "dilations": [size.get(f"d{a}", 0) + 1 for a in axes],
        "padding": padding,
        "groups": groups,
        "layout": layout,
    }


def _order(batch: int, channels: int, spatial: list[int], channels_last: bool) -> list[int]:
    return [batch, *spatial, channels] if channels_last else [batch, channels, *spatial]


def _layout(source: MemoryDescriptor | None, rank: int) -> tuple[str | None, bool]:
    """(layout, whether channels are last) of a source tag: its letters are the logical axes N, C, spatial."""
    letters = "nc" + _AXES[3 - rank :]
    tag = source.tag if source is not None else ""
    written_out = "n" in tag and tag != "any"  # MKL-DNN 0.x writes "nhwc" itself
    named = tag if written_out else "".join(_renamed(letter, letters) for letter in tag)
    plain = sorted(letter.lower() for letter in named if letter.isalpha())
    if set(plain) != set(letters):
        return None, False
    if named == "n" + letters[2:] + "c":
        return named.upper(), True
    return (named.upper() if named == letters else named), False


def _renamed(letter: str, letters: str) -> str:
    index = ord(letter.lower()) - ord("a")
    if not letter.isascii() or not letter.isalpha() or index >= len(letters):
        return letter
    return letters[index].upper() if letter.isupper() else letters[index]
