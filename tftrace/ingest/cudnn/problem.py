"""What a record of cuDNN's log is about: the convolution, the engine with its knobs, the algorithm, the status.

Two APIs write it. The older one names the descriptors as arguments of the call (`xDesc` or `srcDesc`, `wDesc` or
`filterDesc`, `convDesc`, `yDesc` or `destDesc`, `dxDesc`, `dyDesc`, `diffDesc`, `gradDesc`, ..) and the algorithm as
`algo`. The backend API nests them: execution plan > engine config > engine > operation graph > operation > tensors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tftrace.ingest.cudnn.arguments import Argument, walk
from tftrace.ingest.cudnn.enums import KNOB_TYPE

DTYPES: Final = {
    "FLOAT": "float32", "DOUBLE": "float64", "HALF": "float16", "BFLOAT16": "bfloat16", "INT8": "int8",
    "UINT8": "uint8", "INT32": "int32", "INT64": "int64", "BOOLEAN": "bool", "FP8_E4M3": "float8_e4m3fn",
    "FP8_E5M2": "float8_e5m2",
}  # fmt: skip
"""cuDNN's data type -> TensorFlow's."""

_DIRECTION: Final = {
    "CONVOLUTION_FORWARD": "forward",
    "CONVOLUTION_BACKWARD_DATA": "backprop_input",
    "CONVOLUTION_BACKWARD_FILTER": "backprop_filter",
}
_OP: Final = {
    "forward": "Conv{}D", "backprop_input": "Conv{}DBackpropInput", "backprop_filter": "Conv{}DBackpropFilter",
}  # fmt: skip
_LEGACY: Final = (  # part of the function's name -> direction and the names of input, filter, output
    ("BackwardData", "backprop_input", ("dxDesc", "gradDesc"), ("wDesc", "filterDesc"), ("dyDesc", "diffDesc")),
    ("BackwardFilter", "backprop_filter", ("xDesc", "srcDesc"), ("dwDesc", "gradDesc"), ("dyDesc", "diffDesc")),
    ("Forward", "forward", ("xDesc", "srcDesc"), ("wDesc", "filterDesc"), ("yDesc", "destDesc")),
)  # fmt: skip
_KNOB_NUMBER: Final = {name: number for number, name in KNOB_TYPE.items()}
_KNOB: Final = "CUDNN_KNOB_TYPE_"


@dataclass(frozen=True)
class Meaning:
    """What one record says; None where it does not. `problem` has the terms of the algorithms contract; `knobs` are
    by name without `CUDNN_KNOB_TYPE_`; `algorithm` is the older API's name or the engine's tag, e.g. `eng28_k2=3`;
    `device` the name of the device that a plan was made for."""

    problem: dict[str, Any] | None = None
    engine: int | None = None
    knobs: dict[str, int] | None = None
    algorithm: str | None = None
    workspace_bytes: int | None = None
    status: str | None = None
    device: str | None = None
    messages: tuple[str, ...] = ()


def meaning(function: str | None, arguments: tuple[Argument, ...]) -> Meaning:
    """What a record of `function` with these arguments says. Raises nothing."""
    engine, knobs, device, status, algorithm, workspace = None, None, None, None, None, None
    messages = []
    for argument in walk(arguments):
        value = argument.value
        if argument.name == "engine_id" and isinstance(value, int) and value >= 0:
            engine = value
        elif argument.name == "knobDesc":
            knobs = {f.name.removeprefix(_KNOB): f.value for f in argument.fields if isinstance(f.value, int)}
        elif argument.name == "deviceName" and value:
            device = str(value)
        elif argument.name == "status" and argument.kind == "cudnnStatus_t":
            status = str(value)
        elif argument.name == "algo" and isinstance(value, str):
            algorithm = value
        elif argument.name.lower() == "workspacesizeinbytes" and isinstance(value, int):
            workspace = value
        elif argument.name in ("Error", "Warning") and argument.text is not None:
            messages.append(argument.text)
        elif argument.kind == "json" and isinstance(value, dict) and isinstance(value.get("engine"), dict):
            engine, knobs = _of_json(value["engine"], engine, knobs)
    if engine is not None:
        algorithm = tag(engine, knobs or {})
    if status is None and messages:
        status = messages[0].partition(";")[0]
    problem = _graph(arguments) or _legacy(function or "", arguments)
    return Meaning(problem, engine, knobs, algorithm, workspace, status, device, tuple(messages))


def tag(engine: int, knobs: dict[str, int]) -> str:
    """An engine with its knobs as cuDNN's front end writes it: `eng48_k2=15_k6=2`, in the order of their numbers."""
    numbered = sorted((_KNOB_NUMBER.get(name, 1 << 30), name, value) for name, value in knobs.items())
    parts = [
        f"k{number}={value}" if number < 1 << 30 else f"{name}={value}" for number, name, value in numbered
    ]
    return "_".join([f"eng{engine}", *parts])


def _of_json(
    engine: dict[str, Any], number: int | None, knobs: dict[str, int] | None
) -> tuple[int | None, dict[str, int] | None]:
    ident, choices = engine.get("engineId"), engine.get("knobChoices")
    if not isinstance(ident, int):
        return number, knobs
    named = choices if isinstance(choices, dict) else {}
    return ident, {k.removeprefix(_KNOB): v for k, v in named.items() if isinstance(v, int)}


def _graph(arguments: Iterable[Argument]) -> dict[str, Any] | None:
    """The convolution of an operation graph, and in `fused` the operations beside it."""
    found: dict[str, Any] | None = None
    fused: list[str] = []
    for argument in walk(arguments):
        kind = (argument.kind or "").removeprefix("CUDNN_BACKEND_").removesuffix("_DESCRIPTOR")
        if not kind.startswith("OPERATION_"):
            continue
        direction = _DIRECTION.get(kind.removeprefix("OPERATION_"))
        if direction is not None and found is None:
            x, w, y = (_first(argument.fields, (f"{t}Desc", f"d{t}Desc")) for t in "xwy")
            found = problem_of(direction, x, w, y, argument.get("convDesc"))
        elif direction is None and argument.fields:
            mode = next((f.value for f in walk(argument.fields) if f.name in ("mode", "pointwiseMode")), None)
            fused.append(str(mode or kind.removeprefix("OPERATION_")).removeprefix("CUDNN_POINTWISE_"))
    if found is not None and fused:
        found["fused"] = fused
    return found


def _legacy(function: str, arguments: tuple[Argument, ...]) -> dict[str, Any] | None:
    if "Convolution" not in function:
        return None
    for part, direction, *names in _LEGACY:
        if part in function:
            x, w, y = (_first(arguments, n) for n in names)
            return problem_of(direction, x, w, y, _first(arguments, ("convDesc",)))
    return None


def _first(arguments: Iterable[Argument], names: tuple[str, ...]) -> Argument | None:
    return next((a for a in arguments if a.name in names and a.fields), None)


def problem_of(
    direction: str, x: Argument | None, w: Argument | None, y: Argument | None, convolution: Argument | None
) -> dict[str, Any] | None:
    """The convolution of these descriptors; None where their sizes are not all there (set one by one, and not yet).

    cuDNN gives sizes as N, C, spatial and filters as K, C in a group, spatial, whatever the strides. `input` and
    `output` stand in the order that `layout` says, `filter` is [spatial.., channels in a group, output channels].
    """
    if x is None or w is None or y is None or convolution is None:
        return None
    sizes = [_ints(t, "dimA") for t in (x, w, y)]
    rank = len(sizes[0])
    if rank < 3 or any(len(s) != rank for s in sizes):
        return None
    layout, last = _layout(x, w, rank)
    before = _ints(convolution, "lowerPadA") or _ints(convolution, "padA")
    after = _ints(convolution, "upperPadA") or before
    groups = _int(convolution, "groupCount") or (sizes[0][1] // sizes[1][1] if sizes[1][1] > 0 else 1)
    mode = _word(convolution, "mode")
    return {
        "op": _OP[direction].format(rank - 2),
        "direction": direction,
        "input": _ordered(sizes[0], last),
        "filter": [*sizes[1][2:], sizes[1][1], sizes[1][0]],
        "output": _ordered(sizes[2], last),
        "strides": _ints(convolution, "strideA"),
        "dilations": _ints(convolution, "dilationA"),
        "padding": [list(pair) for pair in zip(before, after, strict=False)],
        "groups": groups or 1,
        "layout": layout,
        "dtype": _dtype(x),
        "math": _math(convolution),
        "fused": [],
    } | ({"mode": "convolution"} if mode == "CUDNN_CONVOLUTION" else {})


def _layout(x: Argument, w: Argument, rank: int) -> tuple[str | None, bool]:
    """(layout, whether channels are last) from the strides of the input; one whose strides fit neither has none."""
    spatial = "DHW"[5 - rank :] if rank <= 5 else "?" * (rank - 2)
    sizes, strides = _ints(x, "dimA"), _ints(x, "strideA")
    if len(strides) != rank:
        return None, False
    first = [1] * rank
    for axis in range(rank - 2, -1, -1):
        first[axis] = first[axis + 1] * sizes[axis + 1]
    order = [0, *range(2, rank), 1]
    last = [1] * rank
    for at in range(rank - 2, -1, -1):
        last[order[at]] = last[order[at + 1]] * sizes[order[at + 1]]
    if strides == last and strides != first:
        return f"N{spatial}C", True
    if strides == first:
        # one channel, or one pixel, fits both: the filter's format decides where the log has one
        told = _word(w, "format")
        if strides == last and told == "CUDNN_TENSOR_NHWC":
            return f"N{spatial}C", True
        return f"NC{spatial}", False
    return None, False


def _ordered(sizes: list[int], last: bool) -> list[int]:
    return [sizes[0], *sizes[2:], sizes[1]] if last else list(sizes)


def _field(of: Argument, name: str) -> Argument | None:
    return next((f for f in of.fields if f.name == name), None)


def _ints(of: Argument, name: str) -> list[int]:
    found = _field(of, name)
    value = found.value if found is not None else None
    return value if isinstance(value, list) and all(isinstance(v, int) for v in value) else []


def _int(of: Argument, name: str) -> int | None:
    found = _field(of, name)
    return found.value if found is not None and isinstance(found.value, int) else None


def _word(of: Argument, name: str) -> str | None:
    found = _field(of, name)
    return str(found.value) if found is not None and found.value is not None else None


def _dtype(of: Argument) -> str | None:
    word = _word(of, "dataType") or _word(of, "type")
    name = (word or "").removeprefix("CUDNN_DATA_")
    return DTYPES.get(name, name or None)


def _math(convolution: Argument) -> str | None:
    """The older API's math type, the backend's compute type: both say in which precision it may compute."""
    kind = _word(convolution, "mathType")
    if kind is not None:
        return kind.removeprefix("CUDNN_")
    word = (_word(convolution, "computeType") or "").removeprefix("CUDNN_DATA_")
    return DTYPES.get(word, word or None)
