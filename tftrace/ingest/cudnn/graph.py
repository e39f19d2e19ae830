"""What cuDNN's backend descriptors say: the operation graph as a problem, the engine configuration of a plan.

Descriptors refer to each other by number; every function answers None (or nothing) where an attribute that it needs
was neither set nor asked for in the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tftrace.ingest.cudnn import enums as enums

_A: Final = {name: number for number, name in enums.ATTRIBUTE.items()}
_D: Final = {name: number for number, name in enums.DESCRIPTOR.items()}

_CONVOLUTIONS: Final = {  # descriptor -> direction, attributes: input side, filter, output side, convolution
    _D["OPERATION_CONVOLUTION_FORWARD"]: ("forward", "OPERATION_CONVOLUTION_FORWARD_", ("X", "W", "Y")),
    _D["OPERATION_CONVOLUTION_BACKWARD_DATA"]: ("backprop_input", "OPERATION_CONVOLUTION_BWD_DATA_", ("DX", "W", "DY")),
    _D["OPERATION_CONVOLUTION_BACKWARD_FILTER"]: (
        "backprop_filter", "OPERATION_CONVOLUTION_BWD_FILTER_", ("X", "DW", "DY"),
    ),
}  # fmt: skip
_POINTWISE: Final = _D["OPERATION_POINTWISE"]
PLAN: Final = _D["EXECUTION_PLAN"]


@dataclass(frozen=True)
class Objects:
    """`types`: descriptor -> cudnnBackendDescriptorType_t; `attributes`: descriptor -> attribute -> values."""

    types: dict[int, int]
    attributes: dict[int, dict[int, list[Any]]]

    def values(self, number: int | None, attribute: str) -> list[Any] | None:
        if number is None:
            return None
        return self.attributes.get(number, {}).get(_A[attribute])

    def one(self, number: int | None, attribute: str) -> Any:
        values = self.values(number, attribute)
        return values[0] if values else None


def config_of(objects: Objects, plan: int) -> int | None:
    found = objects.one(plan, "EXECUTION_PLAN_ENGINE_CONFIG")
    return found or None


def engine_of(objects: Objects, config: int | None) -> int | None:
    """The engine's global index."""
    index = objects.one(objects.one(config, "ENGINECFG_ENGINE"), "ENGINE_GLOBAL_INDEX")
    return None if index is None else int(index)


def knobs_of(objects: Objects, config: int | None) -> dict[str, int] | None:
    """Knob type, by number as in cuDNN's plan names, to chosen value; None where the choices are not known."""
    choices = objects.values(config, "ENGINECFG_KNOB_CHOICES")
    if choices is None:
        return None
    knobs = {}
    for choice in choices:
        kind, value = (
            objects.one(choice, "KNOB_CHOICE_KNOB_TYPE"),
            objects.one(choice, "KNOB_CHOICE_KNOB_VALUE"),
        )
        if kind is not None and value is not None:
            knobs[f"k{kind}"] = int(value)
    return knobs


def name_of(engine: int, knobs: dict[str, int] | None) -> str:
    """The engine configuration as cuDNN names its plans: "eng22_k2=4_k13=0"."""
    return "_".join([f"eng{engine}", *(f"{kind}={value}" for kind, value in (knobs or {}).items())])


def workspace_of(objects: Objects, plan: int, config: int | None) -> int | None:
    for number, attribute in (
        (plan, "EXECUTION_PLAN_WORKSPACE_SIZE"),
        (config, "ENGINECFG_WORKSPACE_SIZE"),
    ):
        size = objects.one(number, attribute)
        if size is not None:
            return int(size)
    return None


def notes_of(objects: Objects, config: int | None) -> tuple[str, ...]:
    """Numerical and behaviour notes of the engine, those that were asked for."""
    engine = objects.one(config, "ENGINECFG_ENGINE")
    numerical = objects.values(engine, "ENGINE_NUMERICAL_NOTE") or []
    behavior = objects.values(engine, "ENGINE_BEHAVIOR_NOTE") or []
    return (
        *(enums.name_of(enums.NUMERICAL_NOTE, n) for n in numerical),
        *(enums.name_of(enums.BEHAVIOR_NOTE, n) for n in behavior),
    )


def graphs_of_configs(objects: Objects) -> dict[int, int]:
    """Engine configurations that a heuristic offered -> the operation graph it was asked about."""
    found: dict[int, int] = {}
    for number, kind in objects.types.items():
        if kind == _D["ENGINEHEUR"]:
            graph = objects.one(number, "ENGINEHEUR_OPERATION_GRAPH")
            for config in objects.values(number, "ENGINEHEUR_RESULTS") or []:
                if graph:
                    found[config] = int(graph)
    return found


def graph_of(objects: Objects, config: int | None, offered: dict[int, int]) -> int | None:
    if config is None:
        return None
    stated = objects.one(objects.one(config, "ENGINECFG_ENGINE"), "ENGINE_OPERATION_GRAPH")
    return int(stated) if stated else offered.get(config)


def problem_of(objects: Objects, graph: int) -> dict[str, Any] | None:
    """The `problem` object of the algorithms contract; the first convolution (or other operation) of the graph gives
    its name, what follows is `fused`. None where the graph's operations are not known."""
    operations = objects.values(graph, "OPERATIONGRAPH_OPS")
    if not operations:
        return None
    kinds = [objects.types.get(number, -1) for number in operations]
    main = next((i for i, kind in enumerate(kinds) if kind in _CONVOLUTIONS), None)
    if main is None:
        main = next((i for i, kind in enumerate(kinds) if kind != _POINTWISE), 0)
    fused = [fused_name(objects, n) for i, n in enumerate(operations) if i != main]
    number, kind = operations[main], kinds[main]
    if kind in _CONVOLUTIONS:
        return _convolution(objects, number, kind) | {"fused": fused}
    name = enums.name_of(enums.DESCRIPTOR, kind).removeprefix("OPERATION_").lower()
    return {"op": name, "direction": "other", "fused": fused} | _shapes(objects, number)


def fused_name(objects: Objects, number: int) -> str:
    """An operation that runs on another's result: "bias", "add", "relu" .."""
    kind = objects.types.get(number, -1)
    if kind != _POINTWISE:
        return enums.name_of(enums.DESCRIPTOR, kind).removeprefix("OPERATION_").lower()
    mode = objects.one(objects.one(number, "OPERATION_POINTWISE_PW_DESCRIPTOR"), "POINTWISE_MODE")
    name = (
        "pointwise"
        if mode is None
        else enums.name_of(enums.POINTWISE_MODE, int(mode)).lower().removesuffix("_fwd")
    )
    other = objects.values(objects.one(number, "OPERATION_POINTWISE_BDESC"), "TENSOR_DIMENSIONS")
    if name == "add" and other and len(other) > 2 and all(d == 1 for i, d in enumerate(other) if i != 1):
        return "bias"
    return name


def _convolution(objects: Objects, number: int, kind: int) -> dict[str, Any]:
    direction, prefix, names = _CONVOLUTIONS[kind]
    source, weights, result = (objects.one(number, prefix + name) for name in names)
    shape = objects.one(number, prefix + "CONV_DESC")
    tensors = [tensor_of(objects, t) for t in (source, weights, result)]
    compute = objects.one(shape, "CONVOLUTION_COMP_TYPE")
    return convolution(
        direction, *tensors, before=objects.values(shape, "CONVOLUTION_PRE_PADDINGS"),
        after=objects.values(shape, "CONVOLUTION_POST_PADDINGS"),
        strides=objects.values(shape, "CONVOLUTION_FILTER_STRIDES"),
        dilations=objects.values(shape, "CONVOLUTION_DILATIONS"), mode=objects.one(shape, "CONVOLUTION_CONV_MODE"),
        compute=compute,
    )  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """`dims` in cuDNN's order: N, C, spatial (of a filter: K, C, spatial)."""

    dims: list[int]
    channels_last: bool
    dtype: str | None


def tensor_of(objects: Objects, number: int | None) -> Tensor | None:
    dims, strides = objects.values(number, "TENSOR_DIMENSIONS"), objects.values(number, "TENSOR_STRIDES")
    if not dims:
        return None
    return Tensor(dims, channels_last(dims, strides), dtype_of(objects.one(number, "TENSOR_DATA_TYPE")))


def channels_last(dims: list[int], strides: list[int] | None) -> bool:
    """Whether neighbours in memory are neighbouring channels."""
    if not strides or len(strides) != len(dims) or len(dims) < 3:
        return False
    return strides[1] == 1 and strides[-1] == dims[1]


def dtype_of(code: Any) -> str | None:
    """TensorFlow's name of a cudnnDataType_t."""
    if code is None:
        return None
    name = enums.name_of(enums.DATA_TYPE, int(code))
    return enums.DTYPE.get(name, name.lower())


def convolution(
    direction: str, source: Tensor | None, weights: Tensor | None, result: Tensor | None, *,
    before: list[int] | None, after: list[int] | None, strides: list[int] | None, dilations: list[int] | None,
    mode: int | None, compute: int | None, groups: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A convolution in TensorFlow's terms, whatever its direction: sizes in the order that `layout` says, filter
    [spatial.., channels in a group, output channels], padding [[before, after], ..]. Fields that are not known are
    left out. `math` is the type that cuDNN adds up in."""
    problem: dict[str, Any] = {"op": "convolution", "direction": direction}
    if source is not None:
        problem["input"] = _ordered(source)
        problem["layout"] = _layout(source)
    if weights is not None:
        problem["filter"] = [*weights.dims[2:], weights.dims[1], weights.dims[0]]
    if result is not None:
        problem["output"] = _ordered(result)
    if groups is None and source is not None and weights is not None and weights.dims[1] > 0:
        groups = max(source.dims[1] // weights.dims[1], 1)
    stated = {"strides": strides, "dilations": dilations, "groups": groups}
    problem |= {k: v for k, v in stated.items() if v is not None}
    if before is not None:
        problem["padding"] = [list(pair) for pair in zip(before, after or before, strict=False)]
    if mode is not None and enums.CONVOLUTION_MODE.get(int(mode)) == "CONVOLUTION":
        problem["flipped"] = True
    problem["dtype"] = source.dtype if source is not None else None
    problem["math"] = dtype_of(compute)
    return problem


def _ordered(tensor: Tensor) -> list[int]:
    n, c, *spatial = tensor.dims
    return [n, *spatial, c] if tensor.channels_last else tensor.dims


def _layout(tensor: Tensor) -> str:
    spatial = "DHW"[-(len(tensor.dims) - 2) :] if 2 < len(tensor.dims) <= 5 else ""
    return f"N{spatial}C" if tensor.channels_last else f"NC{spatial}"


def _shapes(objects: Objects, number: int) -> dict[str, Any]:
    """Sizes of all tensors of any other operation, in the order of its attributes."""
    tensors = []
    for attribute in sorted(objects.attributes.get(number, {})):
        for value in objects.attributes[number][attribute]:
            if objects.types.get(value) == _D["TENSOR"] and (tensor := tensor_of(objects, value)) is not None:
                tensors.append(tensor)
    if not tensors:
        return {}
    return {"shapes": [t.dims for t in tensors], "dtype": tensors[0].dtype}
