"""Asks NVIDIA's cuDNN which engine configurations it would offer on a GPU that is described and not there.

Run as a script in a process of its own, because the library ends the process where it misses a companion. It imports
the standard library alone, so that any Python can run it. One JSON object a line, on both sides:

    stdin     {"cudnn", "cublaslt": [name, ..], "driver"}            once
              {"device", "modes", "direction", "x", "w", "y", ..}    a question, see `_graph`
    stdout    {"version", "cublaslt"} or {"cannot", "missing"}       once
              {"modes": {mode: [config, ..] | {"error"}}} or {"error"}, one for each question, in their order

`cublaslt` says whether cuBLASLt can be started: without a GPU it cannot, and cuDNN then leaves out the engines that
need it. A config is {"engine", "knobs": [[type, value], ..], "workspace", "numerical", "behavior", "plan"}: numbers as
cuDNN has them; `plan` is 0, or the status with which cuDNN refused to make a plan of it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any

DESCRIPTOR = {
    "POINTWISE": 0, "CONVOLUTION": 1, "ENGINE": 2, "ENGINECFG": 3, "ENGINEHEUR": 4, "EXECUTION_PLAN": 5,
    "KNOB_CHOICE": 7, "OPERATION_CONVOLUTION_FORWARD": 10, "OPERATION_CONVOLUTION_BACKWARD_FILTER": 11,
    "OPERATION_CONVOLUTION_BACKWARD_DATA": 12, "OPERATION_POINTWISE": 13, "OPERATIONGRAPH": 15, "TENSOR": 17,
    "DEVICEPROP": 38,
}  # fmt: skip
TYPE = {
    "DATA_TYPE": 1, "BOOLEAN": 2, "INT64": 3, "FLOAT": 4, "DOUBLE": 5, "CONVOLUTION_MODE": 7, "HEUR_MODE": 8,
    "KNOB_TYPE": 9, "NUMERICAL_NOTE": 11, "POINTWISE_MODE": 14, "BACKEND_DESCRIPTOR": 15, "BEHAVIOR_NOTE": 19,
    "CHAR": 24,
}  # fmt: skip
ATTRIBUTE = {
    "POINTWISE_MODE": 0, "POINTWISE_MATH_PREC": 1, "POINTWISE_RELU_LOWER_CLIP_SLOPE": 5,
    "POINTWISE_RELU_UPPER_CLIP": 4, "CONVOLUTION_COMP_TYPE": 100, "CONVOLUTION_CONV_MODE": 101,
    "CONVOLUTION_DILATIONS": 102, "CONVOLUTION_FILTER_STRIDES": 103, "CONVOLUTION_POST_PADDINGS": 104,
    "CONVOLUTION_PRE_PADDINGS": 105, "CONVOLUTION_SPATIAL_DIMS": 106, "ENGINEHEUR_MODE": 200,
    "ENGINEHEUR_OPERATION_GRAPH": 201, "ENGINEHEUR_RESULTS": 202, "ENGINEHEUR_DEVICEPROP": 204,
    "ENGINECFG_ENGINE": 300, "ENGINECFG_KNOB_CHOICES": 302, "ENGINECFG_WORKSPACE_SIZE": 303,
    "EXECUTION_PLAN_ENGINE_CONFIG": 401, "EXECUTION_PLAN_WORKSPACE_SIZE": 402, "EXECUTION_PLAN_DEVICEPROP": 407,
    "KNOB_CHOICE_KNOB_TYPE": 600, "KNOB_CHOICE_KNOB_VALUE": 601, "OPERATION_CONVOLUTION_FORWARD_ALPHA": 700,
    "OPERATION_CONVOLUTION_FORWARD_BETA": 701, "OPERATION_CONVOLUTION_FORWARD_CONV_DESC": 702,
    "OPERATION_CONVOLUTION_FORWARD_W": 703, "OPERATION_CONVOLUTION_FORWARD_X": 704,
    "OPERATION_CONVOLUTION_FORWARD_Y": 705, "OPERATION_CONVOLUTION_BWD_DATA_ALPHA": 706,
    "OPERATION_CONVOLUTION_BWD_DATA_BETA": 707, "OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC": 708,
    "OPERATION_CONVOLUTION_BWD_DATA_W": 709, "OPERATION_CONVOLUTION_BWD_DATA_DX": 710,
    "OPERATION_CONVOLUTION_BWD_DATA_DY": 711, "OPERATION_CONVOLUTION_BWD_FILTER_ALPHA": 712,
    "OPERATION_CONVOLUTION_BWD_FILTER_BETA": 713, "OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC": 714,
    "OPERATION_CONVOLUTION_BWD_FILTER_DW": 715, "OPERATION_CONVOLUTION_BWD_FILTER_X": 716,
    "OPERATION_CONVOLUTION_BWD_FILTER_DY": 717, "OPERATION_POINTWISE_PW_DESCRIPTOR": 750,
    "OPERATION_POINTWISE_XDESC": 751, "OPERATION_POINTWISE_BDESC": 752, "OPERATION_POINTWISE_YDESC": 753,
    "OPERATION_POINTWISE_ALPHA1": 754, "OPERATION_POINTWISE_ALPHA2": 755, "OPERATIONGRAPH_OPS": 801,
    "TENSOR_BYTE_ALIGNMENT": 900, "TENSOR_DATA_TYPE": 901, "TENSOR_DIMENSIONS": 902, "TENSOR_STRIDES": 903,
    "TENSOR_UNIQUE_ID": 906, "TENSOR_IS_VIRTUAL": 907, "ENGINE_GLOBAL_INDEX": 1301,
    "ENGINE_NUMERICAL_NOTE": 1303, "ENGINE_BEHAVIOR_NOTE": 1305, "DEVICEPROP_JSON_REPRESENTATION": 2702,
}  # fmt: skip
HEUR_MODE = {"INSTANT": 0, "B": 1, "FALLBACK": 2, "A": 3}
DATA_TYPE = {"float32": 0, "float64": 1, "float16": 2, "int8": 3, "int32": 4, "bfloat16": 9}
POINTWISE_ADD = 0
ACTIVATION = {"relu": 100, "relu6": 100, "leaky_relu": 100, "tanh": 101, "sigmoid": 102, "elu": 103}
LEAKY_SLOPE = 0.2  # TensorFlow's default
CROSS_CORRELATION = 1
OPERATION = {  # direction -> descriptor, prefix of the attributes, names of input, filter, output
    "forward": ("OPERATION_CONVOLUTION_FORWARD", "OPERATION_CONVOLUTION_FORWARD_", "X", "W", "Y"),
    "backprop_input": ("OPERATION_CONVOLUTION_BACKWARD_DATA", "OPERATION_CONVOLUTION_BWD_DATA_", "DX", "W", "DY"),
    "backprop_filter": ("OPERATION_CONVOLUTION_BACKWARD_FILTER", "OPERATION_CONVOLUTION_BWD_FILTER_", "X", "DW", "DY"),
}  # fmt: skip

_MOST_NOTES = 40
_MOST_KNOBS = 64
_CTYPE: dict[str, Any] = {
    "INT64": ctypes.c_int64, "FLOAT": ctypes.c_float, "DOUBLE": ctypes.c_double, "BOOLEAN": ctypes.c_bool,
    "CHAR": ctypes.c_char, "BACKEND_DESCRIPTOR": ctypes.c_void_p,
}  # fmt: skip


class CudnnError(Exception):
    """A call that cuDNN did not carry out."""

    def __init__(self, what: str, status: int, library: Any) -> None:
        text = library.cudnnGetErrorString(status).decode("ascii", "replace")
        super().__init__(f"{what}: {text}{_last_message(library)}")
        self.status = status


def _last_message(library: Any) -> str:
    ask = getattr(library, "cudnnGetLastErrorString", None)  # cuDNN 9
    if ask is None:
        return ""
    said = ctypes.create_string_buffer(1000)
    ask(said, ctypes.c_size_t(len(said)))
    text = " ".join(said.value.decode("utf-8", "replace").split())
    return f" ({text})" if text else ""


class Descriptor:
    """A descriptor of cuDNN's backend API. What it was given is kept alive with it."""

    def __init__(self, library: Any, kind: str) -> None:
        self.library, self.kind, self.kept = library, kind, list[Any]()
        self.pointer = ctypes.c_void_p()
        made = library.cudnnBackendCreateDescriptor(DESCRIPTOR[kind], ctypes.byref(self.pointer))
        self._check(f"creating {kind}", made)

    def set(self, attribute: str, kind: str, *values: Any) -> Descriptor:
        if kind == "CHAR":
            count, array = len(values[0]), ctypes.create_string_buffer(values[0], len(values[0]))
        else:
            raw = [v.pointer.value if isinstance(v, Descriptor) else v for v in values]
            count, array = len(raw), (_CTYPE.get(kind, ctypes.c_int) * len(raw))(*raw)
        self.kept.append((values, array))
        status = self.library.cudnnBackendSetAttribute(
            self.pointer, ATTRIBUTE[attribute], TYPE[kind], ctypes.c_int64(count), ctypes.byref(array)
        )
        self._check(f"setting {attribute}", status)
        return self

    def finalize(self) -> Descriptor:
        self._check(f"finalizing {self.kind}", self.library.cudnnBackendFinalize(self.pointer))
        return self

    def get(self, attribute: str, kind: str, most: int = 1) -> list[int]:
        array = (_CTYPE.get(kind, ctypes.c_int) * most)()
        found = self._get(attribute, kind, most, ctypes.byref(array))
        return list(array)[:found]

    def count(self, attribute: str) -> int:
        return self._get(attribute, "BACKEND_DESCRIPTOR", 0, None)

    def parts(self, attribute: str, kind: str, most: int) -> list[Descriptor]:
        made = [Descriptor(self.library, kind) for _ in range(most)]
        array = (ctypes.c_void_p * most)(*[one.pointer.value for one in made])
        found = self._get(attribute, "BACKEND_DESCRIPTOR", most, ctypes.byref(array))
        for one in made[found:]:
            one.destroy()
        return made[:found]

    def destroy(self) -> None:
        self.library.cudnnBackendDestroyDescriptor(self.pointer)

    def _get(self, attribute: str, kind: str, most: int, place: Any) -> int:
        found = ctypes.c_int64()
        status = self.library.cudnnBackendGetAttribute(
            self.pointer, ATTRIBUTE[attribute], TYPE[kind], ctypes.c_int64(most), ctypes.byref(found), place
        )
        self._check(f"asking {attribute}", status)
        return found.value

    def _check(self, what: str, status: int) -> None:
        if status != 0:
            raise CudnnError(what, status, self.library)


class CannotLoadError(Exception):
    """A library that cannot be loaded; `missing` is its name, or None where it is cuDNN itself."""

    def __init__(self, reason: str, missing: str | None) -> None:
        super().__init__(reason)
        self.missing = missing


def load(setup: dict[str, Any]) -> tuple[Any, bool]:
    """(cuDNN, whether cuBLASLt starts), with what cuDNN needs beside it in the process. Raises CannotLoadError."""
    _needed("libcuda.so.1", [setup["driver"] or "libcuda.so.1"])
    blas = _needed(os.path.basename(setup["cublaslt"][0]), setup["cublaslt"])
    try:
        library = ctypes.CDLL(setup["cudnn"], ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise CannotLoadError(str(error), None) from None
    for function in ("cudnnBackendCreateDescriptor", "cudnnBackendGetAttribute", "cudnnGetVersion"):
        if not hasattr(library, function):
            raise CannotLoadError(f"{setup['cudnn']} has no {function}", None)
    library.cudnnGetVersion.restype = ctypes.c_size_t
    library.cudnnGetErrorString.restype = ctypes.c_char_p
    handle = ctypes.c_void_p()
    return library, hasattr(blas, "cublasLtCreate") and blas.cublasLtCreate(ctypes.byref(handle)) == 0


def _needed(name: str, places: list[str]) -> Any:
    reason = ""
    for place in places:
        try:
            return ctypes.CDLL(place, ctypes.RTLD_GLOBAL)
        except OSError as error:
            reason = reason or str(error)
    raise CannotLoadError(reason, name)


def answer(library: Any, question: dict[str, Any]) -> dict[str, Any]:
    """What cuDNN offers for one question, by heuristic mode. Raises CudnnError where it has no such convolution."""
    text = json.dumps(question["device"]).encode()
    device = Descriptor(library, "DEVICEPROP").set("DEVICEPROP_JSON_REPRESENTATION", "CHAR", text).finalize()
    graph = _graph(library, question)
    modes: dict[str, Any] = {}
    for mode in question["modes"]:
        try:
            heuristic = Descriptor(library, "ENGINEHEUR")
            heuristic.set("ENGINEHEUR_OPERATION_GRAPH", "BACKEND_DESCRIPTOR", graph)
            heuristic.set("ENGINEHEUR_MODE", "HEUR_MODE", HEUR_MODE[mode])
            heuristic.set("ENGINEHEUR_DEVICEPROP", "BACKEND_DESCRIPTOR", device).finalize()
            count = heuristic.count("ENGINEHEUR_RESULTS")
            configs = heuristic.parts("ENGINEHEUR_RESULTS", "ENGINECFG", count) if count else []
            modes[mode] = [_config(config, device) for config in configs]
        except CudnnError as error:
            modes[mode] = {"error": str(error)}
    return {"modes": modes}


def _config(config: Descriptor, device: Descriptor) -> dict[str, Any]:
    engine = config.parts("ENGINECFG_ENGINE", "ENGINE", 1)[0]
    choices = config.parts("ENGINECFG_KNOB_CHOICES", "KNOB_CHOICE", _MOST_KNOBS)
    knobs = [
        [c.get("KNOB_CHOICE_KNOB_TYPE", "KNOB_TYPE")[0], c.get("KNOB_CHOICE_KNOB_VALUE", "INT64")[0]]
        for c in choices
    ]
    for choice in choices:
        choice.destroy()
    told: dict[str, Any] = {
        "engine": engine.get("ENGINE_GLOBAL_INDEX", "INT64")[0],
        "knobs": knobs,
        "workspace": _or_none(config, "ENGINECFG_WORKSPACE_SIZE", "INT64"),
        "numerical": _all(engine, "ENGINE_NUMERICAL_NOTE", "NUMERICAL_NOTE"),
        "behavior": _all(engine, "ENGINE_BEHAVIOR_NOTE", "BEHAVIOR_NOTE"),
    }
    plan = Descriptor(config.library, "EXECUTION_PLAN")
    try:
        plan.set("EXECUTION_PLAN_ENGINE_CONFIG", "BACKEND_DESCRIPTOR", config)
        plan.set("EXECUTION_PLAN_DEVICEPROP", "BACKEND_DESCRIPTOR", device).finalize()
        told["plan"] = 0
        told["workspace"] = plan.get("EXECUTION_PLAN_WORKSPACE_SIZE", "INT64")[0]
    except CudnnError as error:
        told["plan"] = error.status
    plan.destroy()
    return told


def _or_none(of: Descriptor, attribute: str, kind: str) -> int | None:
    try:
        return of.get(attribute, kind)[0]
    except CudnnError:
        return None


def _all(of: Descriptor, attribute: str, kind: str) -> list[int] | None:
    try:
        return of.get(attribute, kind, _MOST_NOTES)
    except CudnnError:
        return None


def _graph(library: Any, question: dict[str, Any]) -> Descriptor:
    """The operations as TensorFlow builds them: the convolution alone, or with a side input of weight 0, a bias and an
    activation behind it.

    `x`, `w`, `y` are sizes in cuDNN's order (N, C, H, W; a filter K, C, R, S), `compute` is the type it adds up in.
    """
    last, compute = question["channels_last"], DATA_TYPE[question["compute"]]
    scalar = "DOUBLE" if question["compute"] == "float64" else "FLOAT"
    uids = iter(range(1, 100))

    def tensor(sizes: list[int], virtual: bool = False) -> Descriptor:
        made = Descriptor(library, "TENSOR").set("TENSOR_UNIQUE_ID", "INT64", next(uids))
        made.set("TENSOR_DATA_TYPE", "DATA_TYPE", DATA_TYPE[question["compute" if virtual else "dtype"]])
        made.set("TENSOR_BYTE_ALIGNMENT", "INT64", question["alignment"])
        made.set("TENSOR_DIMENSIONS", "INT64", *sizes).set("TENSOR_STRIDES", "INT64", *_strides(sizes, last))
        if virtual:
            made.set("TENSOR_IS_VIRTUAL", "BOOLEAN", True)
        return made.finalize()

    def pointwise(mode: int, x: Descriptor, b: Descriptor | None, y: Descriptor, **more: float) -> Descriptor:
        how = Descriptor(library, "POINTWISE").set("POINTWISE_MODE", "POINTWISE_MODE", mode)
        how.set("POINTWISE_MATH_PREC", "DATA_TYPE", compute)
        for attribute in ("POINTWISE_RELU_UPPER_CLIP", "POINTWISE_RELU_LOWER_CLIP_SLOPE"):
            if attribute in more:
                how.set(attribute, "DOUBLE", more[attribute])
        made = Descriptor(library, "OPERATION_POINTWISE")
        made.set("OPERATION_POINTWISE_PW_DESCRIPTOR", "BACKEND_DESCRIPTOR", how.finalize())
        made.set("OPERATION_POINTWISE_XDESC", "BACKEND_DESCRIPTOR", x)
        made.set("OPERATION_POINTWISE_YDESC", "BACKEND_DESCRIPTOR", y)
        if b is not None:
            made.set("OPERATION_POINTWISE_BDESC", "BACKEND_DESCRIPTOR", b)
            made.set("OPERATION_POINTWISE_ALPHA1", scalar, 1.0)
            made.set("OPERATION_POINTWISE_ALPHA2", scalar, more.get("alpha2", 1.0))
        return made.finalize()

    fused = question["fused"]
    how = Descriptor(library, "CONVOLUTION").set("CONVOLUTION_COMP_TYPE", "DATA_TYPE", compute)
    how.set("CONVOLUTION_CONV_MODE", "CONVOLUTION_MODE", CROSS_CORRELATION)
    how.set("CONVOLUTION_SPATIAL_DIMS", "INT64", len(question["strides"]))
    how.set("CONVOLUTION_PRE_PADDINGS", "INT64", *question["before"])
    how.set("CONVOLUTION_POST_PADDINGS", "INT64", *question["after"])
    how.set("CONVOLUTION_FILTER_STRIDES", "INT64", *question["strides"])
    how.set("CONVOLUTION_DILATIONS", "INT64", *question["dilations"])
    x, w, y = tensor(question["x"]), tensor(question["w"]), tensor(question["y"], virtual=bool(fused))
    kind, prefix, *names = OPERATION[question["direction"]]
    operations = [Descriptor(library, kind).set(prefix + "CONV_DESC", "BACKEND_DESCRIPTOR", how.finalize())]
    for name, one in zip(names, (x, w, y), strict=True):
        operations[0].set(prefix + name, "BACKEND_DESCRIPTOR", one)
    operations[0].set(prefix + "ALPHA", scalar, 1.0).set(prefix + "BETA", scalar, 0.0).finalize()
    if fused:
        sizes = question["y"]
        added, biased = tensor(sizes, virtual=True), tensor(sizes, virtual=len(fused) > 1)
        operations.append(pointwise(POINTWISE_ADD, y, tensor(sizes), added, alpha2=0.0))
        operations.append(pointwise(POINTWISE_ADD, added, tensor([1, sizes[1], 1, 1]), biased))
        if len(fused) > 1:
            clip = {"POINTWISE_RELU_UPPER_CLIP": 6.0} if fused[1] == "relu6" else {}
            leak = {"POINTWISE_RELU_LOWER_CLIP_SLOPE": LEAKY_SLOPE} if fused[1] == "leaky_relu" else {}
            operations.append(pointwise(ACTIVATION[fused[1]], biased, None, tensor(sizes), **clip, **leak))
    return (
        Descriptor(library, "OPERATIONGRAPH")
        .set("OPERATIONGRAPH_OPS", "BACKEND_DESCRIPTOR", *operations)
        .finalize()
    )


def _strides(sizes: list[int], channels_last: bool) -> list[int]:
    _, c, h, w = sizes
    return [c * h * w, 1, c * w, c] if channels_last else [c * h * w, h * w, w, 1]


def main() -> int:
    """0 after the last answer; 1 where cuDNN cannot be loaded."""
    # whatever the library prints must not come between the answers
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)

    def tell(told: dict[str, Any]) -> None:
        answers.write(json.dumps(told) + "\n")
        answers.flush()

    setup, *questions = [json.loads(line) for line in sys.stdin]
    try:
        library, starts = load(setup)
    except CannotLoadError as error:
        tell({"cannot": str(error), "missing": error.missing})
        return 1
    tell({"version": library.cudnnGetVersion(), "cublaslt": starts})
    for question in questions:
        try:
            tell(answer(library, question))
        except CudnnError as error:
            tell({"error": str(error)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
