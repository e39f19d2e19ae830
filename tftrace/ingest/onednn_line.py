"""Reader of the lines that oneDNN writes under `ONEDNN_VERBOSE` (older: `DNNL_VERBOSE`, `MKLDNN_VERBOSE`).

Grammar, with the versions that write it (items in [] may be absent):

    line      := marker [",v" version] ["," timestamp] ["," component] "," operation "," content
    marker    := "onednn_verbose" (oneDNN 2.0 on) | "dnnl_verbose" (DNNL 1.1 on) | "mkldnn_verbose" (before)
    version   := 1, 2, ..; the version of the line format (oneDNN 3.2 on), absent before
    timestamp := ms since the epoch with decimals, under ONEDNN_VERBOSE_TIMESTAMP=1
    component := "primitive" | "graph" | "ukernel" | "common" (oneDNN 3.1 on), absent before
    operation := "info" | "exec" | "create:cache_miss" | "create:cache_hit" | "create:start" |
    "create_nested:..."
                 | "create:dispatch" | "create:check" | "exec:check" | "error" | ..
    content   := free text, or of an executed or created primitive
                 engine "," primitive "," implementation "," prop_kind "," memory "," attributes ","
                 auxiliary "," problem ["," ms] ["," more]              a `create:start` has no time yet
               | primitive "," implementation "," prop_kind "," memory "," auxiliary "," problem "," ms
                                                           MKL-DNN 0.x: no engine, no attributes
    memory    := descriptor (" " descriptor)*
    descriptor:= "src:f32:a:blocked:acdb::f0"   argument:type:properties:kind:tag:strides:flags (format v1)
               | "src_f32::blocked:abcd:f0"     argument_type:properties:kind:tag[:strides]:flags (before)
               | "fsrc:nchw" | "in:f32_nchw"    MKL-DNN 0.x: argument:[type_]tag
    auxiliary := key:value (" " key:value)*     e.g. "alg:convolution_direct", "alg:softmax_accurate axis:3"
    problem   := of a convolution "g32mb16_ic32oc32_ih16oh16kh3sh1dh0ph1_iw16ow16kw3sw1dw0pw1", [g] groups,
    mb batch,
                 ic oc channels, and per axis (d, h, w): i o input and output size, k filter, s stride, d
                 dilation - 1, p padding before; of a matrix product "16x10:10x32"; else sizes "16x3x3x3" or
                 such a text

No field holds a comma. Every line that begins with a marker is read without loss: `VerboseLine.text` gives
it back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

MARKERS = ("onednn_verbose", "dnnl_verbose", "mkldnn_verbose")
_COMPONENTS = frozenset({"primitive", "graph", "ukernel", "common"})

_VERSION = re.compile(r"v([1-9][0-9]*)")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
_TIMESTAMP = re.compile(r"[0-9]+(\.[0-9]+)?")
_ENGINE = re.compile(r"(cpu|gpu)[0-9:]*")
_RELEASE = re.compile(r"(?:oneDNN|DNNL|MKL-DNN|Intel MKL-DNN) v([0-9][0-9A-Za-z.\-]*)")
_DESCRIPTOR = re.compile(
    r"(?P<argument>[^:]+?)[_:](?P<dtype>f8_e[0-9]m[0-9]|f4_e[0-9]m[0-9]|e8m0|[fsu][0-9]+|bf16|boolean|undef)"
    r":(?P<properties>[^:]*):(?P<kind>[^:]*):(?P<rest>.*)"
)
_OLD_DESCRIPTOR = re.compile(r"(?P<argument>[^:]+):(?:(?P<dtype>[fsu][0-9]+|bf16|undef)_)?(?P<rest>[^:]*)")
_POST_OPS = re.compile(r"(?:^|[ ;])(?:attr-)?post[-_]ops:'?(?P<list>[^' ]*)")
_MATH = re.compile(r"(?:^| )attr-fpmath:(?P<mode>[^ :]+)")


@dataclass(frozen=True)
class MemoryDescriptor:
    """One memory argument of a primitive.

    `argument`: src, wei, bia, dst, ws, ..; `dtype` in oneDNN's words (None where the line does not tell,
    "undef" where there is no such memory); `tag`: format tag such as "acdb" ("any" before the primitive is
    created).
    """

    argument: str
    dtype: str | None
    tag: str

    @property
    def defined(self) -> bool:
        """Whether there is such a memory at all."""
        return self.dtype != "undef" and self.tag not in ("undef", "x")


@dataclass(frozen=True)
class VerboseLine:
    """One line. A field that the line's format does not have is None; an empty one is "".

    `operation` is as written ("create:cache_miss"), `kind` its first word. For anything but an executed or
    created primitive the content stands in `rest`, split at commas.
    """

    marker: str
    version: int  # 0: a line from before versions
    timestamp: str | None
    component: str | None
    operation: str | None
    engine: str | None = None
    primitive: str | None = None
    implementation: str | None = None
    propagation: str | None = None
    memory_text: str | None = None
    attributes: str | None = None
    aux_text: str | None = None
    problem: str | None = None
    ms_text: str | None = None
    rest: tuple[str, ...] = ()

    def text(self) -> str:
        """The line as it was written, without its line end."""
        parts = (
            self.marker,
            f"v{self.version}" if self.version else None,
            self.timestamp,
            self.component,
            self.operation,
            self.engine,
            self.primitive,
            self.implementation,
            self.propagation,
            self.memory_text,
            self.attributes,
            self.aux_text,
            self.problem,
            self.ms_text,
            *self.rest,
        )
        return ",".join(part for part in parts if part is not None)

    @property
    def kind(self) -> str:
        """info, exec, create, create_nested, error, .. ("" for a line that is cut off)."""
        return (self.operation or "").partition(":")[0]

    @property
    def timestamp_ns(self) -> int | None:
        """Start of the execution in ns since the epoch, CLOCK_REALTIME."""
        if self.timestamp is None:
            return None
        whole, _, part = self.timestamp.partition(".")
        return int(whole) * 1_000_000 + int((part + "000000")[:6])

    @property
    def ms(self) -> float | None:
        """Time that the execution (or creation) took, in ms."""
        return None if self.ms_text is None else float(self.ms_text)

    @property
    def memory(self) -> tuple[str, ...]:
        """Memory descriptors as written; `descriptors` are the same, read."""
        return tuple(part for part in (self.memory_text or "").split(" ") if part)

    @cached_property
    def descriptors(self) -> tuple[MemoryDescriptor, ...]:
        """Memory descriptors in the order of the line; one that is not understood is left out."""
        found = (_descriptor(part) for part in self.memory)
        return tuple(descriptor for descriptor in found if descriptor is not None)

    @property
    def aux(self) -> dict[str, str]:
        """Auxiliary information by key, e.g. {"alg": "convolution_direct"}."""
        pairs = (part.partition(":") for part in (self.aux_text or "").split(" ") if part)
        return {key: value for key, _, value in pairs}

    @property
    def algorithm(self) -> str | None:
        """Algorithm kind ("convolution_direct", "pooling_max"), None for a primitive that has none."""
        return self.aux.get("alg")

    @property
    def post_ops(self) -> list[str]:
        """Operations fused behind the primitive, in order, as written ("eltwise_relu", "sum:1")."""
        match = _POST_OPS.search(self.attributes or "")
        return [op for op in re.split(r"[+;]", match["list"]) if op] if match else []

    @property
    def library_version(self) -> str | None:
        """Of the first header line: the library's version, e.g. "3.7.3"."""
        match = _RELEASE.match(self.rest[0]) if self.kind == "info" and self.rest else None
        return match[1] if match else None

    def descriptor(self, *arguments: str) -> MemoryDescriptor | None:
        """The first memory argument with one of these names."""
        return next((d for d in self.descriptors if d.argument in arguments), None)


def parse_line(text: str) -> VerboseLine | None:
    """Read one line of output; None where it is not oneDNN's. A line end is not part of the line.

    Raises nothing: a line that is cut off or of an unknown form keeps what is not understood in `rest`.
    """
    tokens = text.rstrip("\r\n").split(",")
    if tokens[0] not in MARKERS or len(tokens) == 1:
        return None
    at = 1
    version = 0
    if match := _VERSION.fullmatch(tokens[at]):
        version = int(match[1])
        at += 1
    timestamp = component = operation = None
    if at < len(tokens) and _TIMESTAMP.fullmatch(tokens[at]):
        timestamp = tokens[at]
        at += 1
    if at < len(tokens) and tokens[at] in _COMPONENTS:
        component = tokens[at]
        at += 1
    if at < len(tokens):
        operation = tokens[at]
        at += 1
    line = VerboseLine(tokens[0], version, timestamp, component, operation, rest=tuple(tokens[at:]))
    if component in (None, "primitive") and line.kind in ("exec", "create", "create_nested"):
        return _primitive(line)
    return line


def _primitive(line: VerboseLine) -> VerboseLine:
    """The same line with its content told apart, where it has the form of a primitive's."""
    content = line.rest
    engine: str | None = None
    attributes: str | None = None
    ms: str | None = None
    if content and _ENGINE.fullmatch(content[0]) and len(content) >= 8:
        engine, primitive, implementation, propagation, memory, attributes, auxiliary, problem = content[:8]
        rest = content[8:]
        if rest and _NUMBER.fullmatch(rest[0]):
            ms, rest = rest[0], rest[1:]
    elif len(content) == 7 and _NUMBER.fullmatch(content[6]):
        primitive, implementation, propagation, memory, auxiliary, problem, ms = content
        rest = ()
    else:
        return line
    return VerboseLine(
        marker=line.marker,
        version=line.version,
        timestamp=line.timestamp,
        component=line.component,
        operation=line.operation,
        engine=engine,
        primitive=primitive,
        implementation=implementation,
        propagation=propagation,
        memory_text=memory,
        attributes=attributes,
        aux_text=auxiliary,
        problem=problem,
        ms_text=ms,
        rest=rest,
    )


def _descriptor(text: str) -> MemoryDescriptor | None:
    if match := _DESCRIPTOR.fullmatch(text):
        return MemoryDescriptor(match["argument"], match["dtype"], match["rest"].partition(":")[0])
    if match := _OLD_DESCRIPTOR.fullmatch(text):
        argument = match["argument"].removeprefix("f") if match["dtype"] is None else match["argument"]
        return MemoryDescriptor(argument, match["dtype"], match["rest"])
    return None


def fpmath_mode(line: VerboseLine) -> str | None:
    """Floating-point mode the primitive may lower its arithmetic to (attribute `fpmath`), None for strict."""
    match = _MATH.search(line.attributes or "")
    return match["mode"] if match else None
