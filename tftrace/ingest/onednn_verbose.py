"""Lines that oneDNN prints under `ONEDNN_VERBOSE`: one a primitive it executed or created.

    line       := marker ["," version] ["," time] ["," component] "," kind ("," field)*
    marker     := "onednn_verbose"            oneDNN 2.0 and later
                | "dnnl_verbose"              DNNL 1.x
                | "mkldnn_verbose"            MKL-DNN 0.x (TensorFlow 1.x to 2.3)
    version    := "v1"                        oneDNN 3.5 and later
    time       := epoch milliseconds with a fraction, under ONEDNN_VERBOSE_TIMESTAMP=1 (oneDNN 2.7 and later)
    component  := "primitive" | "graph" | "common" | "ukernel"    oneDNN 3.1 and later
    kind       := "exec" | "create" | "create_nested" | "info" ..  [":" detail]

The fields of `exec`, `create` and `create_nested` of a primitive, separated by commas:

    engine            cpu | gpu, with an index where there are several; absent in MKL-DNN 0.x
    primitive         convolution, matmul, inner_product, reorder, pooling, gemm_api ..
    implementation    brg_conv_fwd:avx512_core, jit:avx2, x64:gemm:jit, ref:any ..; empty for gemm_api
    propagation       forward_training | forward_inference | backward_data | backward_weights | backward |
    undef .. memory            descriptors, separated by blanks:
                        src:f32:a:blocked:acdb::f0    name:type:properties:kind:tag:strides:flags   oneDNN
                        3.1 on src_f32::blocked:acdb:f0      name_type:properties:kind:tag:flags
                        before, and gemm_api fsrc:nChw16c                  name:tag
                        MKL-DNN 0.x
    attributes        words separated by blanks: attr-scratchpad:user attr-post-ops:eltwise_relu+sum; absent
    in 0.x auxiliary         words separated by blanks: alg:convolution_direct, axis:3 problem
    mb16_ic3oc16_ih32oh32kh3sh1dh0ph1_iw32ow32kw3sw1dw0pw1, 32x16:16x10 .. milliseconds      what it took;
    absent in `create:start`

Other lines (`info`, `graph`, diagnostics such as `exec:check` and `create:dispatch`) have fields of their
own, which are kept in `rest`. Read from oneDNN 3.7.3 in TensorFlow 2.21, and from logs of 1.1, 2.7, 3.x and
3.13.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

_MARKERS: Final = frozenset({"onednn_verbose", "dnnl_verbose", "mkldnn_verbose"})
_COMPONENTS: Final = frozenset({"primitive", "graph", "common", "ukernel"})
_WORKS: Final = frozenset({"exec", "create", "create_nested"})
_VERSION: Final = re.compile(r"v[0-9]+", re.ASCII)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,18}\.[0-9]{1,18}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,30})?(e[+-]?[0-9]{1,2})?", re.ASCII)
_ENGINE: Final = re.compile(r"(cpu|gpu|any)[0-9]*(:[0-9]+)?", re.ASCII)
_TYPED_NAME: Final = re.compile(
    r"(\w+?)_(undef|f[0-9]+(?:_e[0-9]m[0-9])?|bf16|[su][0-9]+|boolean|e8m0)", re.ASCII
)
_POST_OPS: Final = re.compile(r"(?:^|[ ;])(?:attr-)?post[-_]ops:(?:'([^']*)'|([^ ']+))")
_MATH: Final = re.compile(r"(?:^| )(?:attr-)?fpmath:([^ :]+)")
_CONVOLUTION: Final = re.compile(r"(?:[a-z]{1,2}[0-9]{1,18}_?)+", re.ASCII)
_DIMENSION: Final = re.compile(r"([a-z]{1,2})([0-9]+)", re.ASCII)
_BLOCKED_TAG: Final = re.compile(r"aBcd?e?([0-9]+)b")

_DTYPES: Final = {
    "f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16",
    "s32": "int32", "s8": "int8", "u8": "uint8", "s4": "int4", "u4": "uint4",
    "f8_e4m3": "float8_e4m3fn", "f8_e5m2": "float8_e5m2", "boolean": "bool",
}  # fmt: skip
_DIRECTIONS: Final = {"backward_data": "backprop_input", "backward_weights": "backprop_filter"}
_CHANNELS_LAST: Final = {"acb", "acdb", "acdeb", "nwc", "nhwc", "ndhwc"}
_CHANNELS_FIRST: Final = {"abc", "abcd", "abcde", "ncw", "nchw", "ncdhw"}


class MemoryDescriptor(NamedTuple):
    """One tensor of a primitive: its role, element type, and layout tag (None where not told)."""

    name: str
    dtype: str | None
    tag: str | None


@dataclass(frozen=True)
class VerboseLine:
    """One line, field by field; every field holds the text of the line, so that `text()` gives it back.

    `engine` to `problem` are None where the line is not about a primitive, or cut short; `rest` is what no
    field takes.
    """

    marker: str
    version: str | None
    timestamp: str | None
    component: str | None
    kind: str  # exec | create | create_nested | info | ..
    detail: str | None  # of the kind: cache_miss, dispatch ..
    engine: str | None = None
    primitive: str | None = None
    implementation: str | None = None
    propagation: str | None = None
    memory: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()
    problem: str | None = None
    time: str | None = None
    rest: tuple[str, ...] = ()

    @property
    def timestamp_ms(self) -> float | None:
        """When the primitive began, epoch milliseconds."""
        return None if self.timestamp is None else float(self.timestamp)

    @property
    def ms(self) -> float | None:
        """What it took, milliseconds."""
        return None if self.time is None else float(self.time)

    @property
    def aux(self) -> dict[str, str]:
        """The auxiliary words as key and value: {"alg": "softmax_accurate", "axis": "3"}."""
        return {key: value for key, colon, value in (word.partition(":") for word in self.auxiliary) if colon}

    @property
    def algorithm(self) -> str | None:
        """`convolution_direct`, `pooling_max`, `eltwise_relu` ..; None where oneDNN names none (matmul)."""
        return self.aux.get("alg") or None

    @property
    def post_ops(self) -> tuple[str, ...]:
        """Operations fused behind the primitive, in order, with their parameters: ("eltwise_relu",
        "sum:0.5")."""
        found = _POST_OPS.search(" ".join(self.attributes))
        return tuple(op for op in re.split(r"[+;]", found[1] or found[2] or "") if op) if found else ()

    @property
    def descriptors(self) -> tuple[MemoryDescriptor, ...]:
        """The memory descriptors, read."""
        return tuple(_descriptor(word) for word in self.memory if word)

    def text(self) -> str:
        """The line as oneDNN wrote it."""
        head = [self.marker, self.version, self.timestamp, self.component]
        parts = [part for part in head if part is not None]
        parts.append(self.kind if self.detail is None else f"{self.kind}:{self.detail}")
        if self.primitive is not None:
            if self.engine is not None:
                parts.append(self.engine)
            parts += [
                self.primitive,
                self.implementation or "",
                self.propagation or "",
                " ".join(self.memory),
            ]
            if not self.without_attributes:
                parts.append(" ".join(self.attributes))
            parts += [" ".join(self.auxiliary), self.problem or ""]
            if self.time is not None:
                parts.append(self.time)
        return ",".join((*parts, *self.rest))

    @property
    def without_attributes(self) -> bool:
        """Whether the line is of MKL-DNN 0.x, which had neither engine nor attributes."""
        return self.engine is None


def parse_line(text: str) -> VerboseLine | None:
    """The line's fields; None where it is not a oneDNN line. A line end is dropped."""
    parts = text.rstrip("\r\n").split(",")
    if parts[0] not in _MARKERS or len(parts) < 2:
        return None
    at = 1

    def optional(is_it: bool) -> str | None:
        nonlocal at
        if not is_it or at + 1 >= len(parts):  # the kind still has to come
            return None
        at += 1
        return parts[at - 1]

    version = optional(_VERSION.fullmatch(parts[at]) is not None)
    timestamp = optional(_TIMESTAMP.fullmatch(parts[at]) is not None)
    component = optional(parts[at] in _COMPONENTS)
    kind, colon, detail = parts[at].partition(":")
    head = (parts[0], version, timestamp, component, kind, detail if colon else None)
    rest = parts[at + 1 :]
    if kind in _WORKS and component in (None, "primitive"):
        if len(rest) >= 8 and _ENGINE.fullmatch(rest[0]):
            return _work(head, rest[0], rest[1:])
        if len(rest) >= 6 and parts[0] == "mkldnn_verbose":
            return _work(head, None, [*rest[:4], "", *rest[4:]])
    return VerboseLine(*head, rest=tuple(rest))


def _work(
    head: tuple[str, str | None, str | None, str | None, str, str | None],
    engine: str | None,
    fields: list[str],
) -> VerboseLine:
    primitive, implementation, propagation, memory, attributes, auxiliary, problem, *rest = fields
    time = rest.pop(0) if rest and _NUMBER.fullmatch(rest[0]) else None
    return VerboseLine(
        *head, engine, primitive, implementation, propagation, _words(memory), _words(attributes),
        _words(auxiliary), problem, time, tuple(rest),
    )  # fmt: skip


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(" ")) if text else ()


def _descriptor(word: str) -> MemoryDescriptor:
    name, _, rest = word.partition(":")
    parts = rest.split(":")
    if len(parts) == 1:  # fsrc:nChw16c
        return MemoryDescriptor(name, None, parts[0] or None)
    dtype = None
    if parts[0] in _DTYPES or parts[0] == "undef":
        dtype, parts = parts[0], parts[1:]
    elif typed := _TYPED_NAME.fullmatch(name):
        name, dtype = typed[1], typed[2]
    tag = parts[2] if len(parts) > 2 else ""
    return MemoryDescriptor(name, dtype, tag or None)


def problem_of(line: VerboseLine) -> dict[str, Any] | None:
    """The problem that a primitive solved, as in the `algorithms` contract; None where the line tells of
    none.

    A convolution (and a deconvolution) of one to three spatial dimensions gives

        op, direction, groups, strides, dilations (as TensorFlow counts them: 1 is dense, oneDNN's 0),
        input, output     [N, H, W, C] where `layout` says NHWC, else [N, C, H, W]; D in front of H, only W
        in 1-D filter            [kh, kw, input channels of a group, output channels] padding
        [[top, bottom], [left, right]]; oneDNN tells the former of each, the latter is the least
                          that yields the output's size
        layout            NHWC, NCHW, or oneDNN's name of a blocked one (nChw16c); null where not told
        dtype, math, fused (post-ops in order, null where none), bias (whether a bias is added)

    Anything else gives op, direction "other", `shapes` (oneDNN's own text), propagation, dtype, math and
    fused.
    """
    if line.primitive is None:
        return None
    memory = {descriptor.name: descriptor for descriptor in line.descriptors}
    source = memory.get("src") or memory.get("fsrc") or memory.get("src0") or memory.get("diff_src")
    math = _MATH.search(" ".join(line.attributes))
    shared = {
        "dtype": _DTYPES.get(source.dtype, source.dtype) if source and source.dtype else None,
        "math": math[1] if math else None,
        "fused": list(line.post_ops) or None,
    }
    if line.primitive in ("convolution", "deconvolution") and (sizes := _sizes(line.problem or "")):
        bias = memory.get("bia") or memory.get("fbia")
        return {
            "op": line.primitive,
            "direction": _DIRECTIONS.get(line.propagation or "", "forward"),
            **_convolution(sizes, source.tag if source else None, line.primitive == "deconvolution"),
            **shared,
            "bias": bool(bias and "undef" not in (bias.dtype, bias.tag)),
        }
    return {
        "op": line.primitive,
        "direction": "other",
        "shapes": line.problem,
        "propagation": line.propagation,
        **shared,
    }


def _sizes(problem: str) -> dict[str, int] | None:
    """{"mb": 16, "ic": 3, "ih": 32, ..} of a convolution; None where something is missing."""
    if not _CONVOLUTION.fullmatch(problem):
        return None
    sizes = {name: int(value) for name, value in _DIMENSION.findall(problem)}
    needed = {"mb", "ic", "oc"} | {f"{what}{axis}" for what in "iokspd" for axis in _axes(sizes)}
    return sizes if "iw" in sizes and needed <= sizes.keys() else None


def _axes(sizes: dict[str, int]) -> str:
    """The spatial axes, outermost first."""
    return "".join(axis for axis in "dhw" if f"i{axis}" in sizes)


def _convolution(sizes: dict[str, int], tag: str | None, transposed: bool) -> dict[str, Any]:
    axes = _axes(sizes)
    groups = sizes.get("g", 1)
    last = tag in _CHANNELS_LAST
    spatial = axes.upper()
    layout: str | None
    if last:
        layout = f"N{spatial}C"
    elif tag in _CHANNELS_FIRST:
        layout = f"NC{spatial}"
    elif tag and (blocked := _BLOCKED_TAG.fullmatch(tag)):
        layout = f"nC{axes}{blocked[1]}c"
    else:
        layout = None if tag in (None, "any") else tag

    def dims(what: str, channels: int) -> list[int]:
        inner = [sizes[f"{what}{axis}"] for axis in axes]
        return [sizes["mb"], *inner, channels] if last else [sizes["mb"], channels, *inner]

    def padding(axis: str) -> list[int]:
        wide, narrow = (
            (sizes[f"o{axis}"], sizes[f"i{axis}"]) if transposed else (sizes[f"i{axis}"], sizes[f"o{axis}"])
        )
        reach = (narrow - 1) * sizes[f"s{axis}"] + (sizes[f"k{axis}"] - 1) * (sizes[f"d{axis}"] + 1) + 1
        return [sizes[f"p{axis}"], max(reach - wide - sizes[f"p{axis}"], 0)]

    return {
        "input": dims("i", sizes["ic"]),
        "filter": [*(sizes[f"k{axis}"] for axis in axes), sizes["ic"] // max(groups, 1), sizes["oc"]],
        "output": dims("o", sizes["oc"]),
        "strides": [sizes[f"s{axis}"] for axis in axes],
        "dilations": [sizes[f"d{axis}"] + 1 for axis in axes],
        "padding": [padding(axis) for axis in axes],
        "groups": groups,
        "layout": layout,
    }
