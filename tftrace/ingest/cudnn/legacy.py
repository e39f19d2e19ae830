"""cuDNN's older API: descriptors filled by cudnnSet*Descriptor, and calls that name an algorithm by number."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any, Final

from tftrace.ingest.cudnn import enums as enums
from tftrace.ingest.cudnn.graph import Tensor, channels_last, convolution, dtype_of

Described = list[tuple[str, list[int]]]
"""What was said of one descriptor: (function, stored words), in order."""

_RESULT_WORDS: Final = 6
_DIRECTIONS: Final = {  # in the function's name -> direction, its algorithms, roles of its three tensors
    "BackwardData": ("backprop_input", enums.BACKPROP_INPUT_ALGO, ("weights", "result", "source")),
    "BackwardFilter": ("backprop_filter", enums.BACKPROP_FILTER_ALGO, ("source", "result", "weights")),
    "Forward": ("forward", enums.FORWARD_ALGO, ("source", "weights", "result")),
}
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class Candidate:
    """One algorithm of a ranking; `time_ms` is -1 in cuDNN where it was not run, None here."""

    algorithm: str
    status: int
    time_ms: float | None
    workspace_bytes: int
    deterministic: bool
    math: str


def split(letters: str, words: list[int]) -> list[tuple[str, Any]]:
    """The stored words by letter of `contract.CUDNN_FUNCTIONS`; what is cut off is left out."""
    found: list[tuple[str, Any]] = []
    at, length, results = 0, 0, 0
    for letter in letters:
        if letter in "h.":
            continue
        size = {"a": length, "p": results * _RESULT_WORDS}.get(letter, 1)
        part = words[at : at + size]
        at += size
        if len(part) < size:
            break
        if letter in "ap":
            found.append((letter, part))
            continue
        if letter == "n":
            length = part[0]
        elif letter == "r":
            results = part[0]
        found.append((letter, part[0]))
    return found


def _of(letters: str, words: list[int], letter: str) -> list[Any]:
    return [value for which, value in split(letters, words) if which == letter]


def tensor(said: Described | None) -> Tensor | None:
    """A tensor or filter descriptor."""
    for function, words in reversed(said or []):
        match function:
            case "cudnnSetTensorNdDescriptor" if len(words) >= 3:
                _, dtype, n, *rest = words
                return Tensor(rest[:n], channels_last(rest[:n], rest[n : 2 * n]), dtype_of(dtype))
            case "cudnnSetTensor4dDescriptorEx" if len(words) >= 10:
                return Tensor(words[2:6], channels_last(words[2:6], words[6:10]), dtype_of(words[1]))
            case "cudnnSetTensor4dDescriptor" if len(words) >= 7:
                return Tensor(words[3:7], words[1] == 1, dtype_of(words[2]))
            case "cudnnSetTensorNdDescriptorEx" if len(words) >= 4:
                return Tensor(words[4 : 4 + words[3]], words[1] == 1, dtype_of(words[2]))
            case "cudnnSetFilter4dDescriptor" if len(words) >= 7:
                return Tensor(words[3:7], words[2] == 1, dtype_of(words[1]))
            case "cudnnSetFilterNdDescriptor" if len(words) >= 4:
                return Tensor(words[4 : 4 + words[3]], words[2] == 1, dtype_of(words[1]))
    return None


def _shape(said: Described | None) -> dict[str, Any]:
    """Keywords of `convolution` from a convolution descriptor."""
    found: dict[str, Any] = {
        "before": None, "after": None, "strides": None, "dilations": None, "mode": None, "compute": None, "groups": 1,
    }  # fmt: skip
    for function, words in said or []:
        match function:
            case "cudnnSetConvolutionNdDescriptor" if len(words) >= 2 and len(words) >= 4 + 3 * words[1]:
                n = words[1]
                pads, strides, dilations = (words[2 + i * n : 2 + (i + 1) * n] for i in range(3))
                mode, compute = words[2 + 3 * n : 4 + 3 * n]
            case "cudnnSetConvolution2dDescriptor" if len(words) >= 9:
                pads, strides, dilations = words[1:3], words[3:5], words[5:7]
                mode, compute = words[7:9]
            case "cudnnSetConvolutionGroupCount" if len(words) >= 2:
                found["groups"] = words[1]
                continue
            case _:
                continue
        found |= {
            "before": pads,
            "after": pads,
            "strides": strides,
            "dilations": dilations,
            "mode": mode,
            "compute": compute,
        }
    return found


def _direction(function: str) -> tuple[str, dict[int, str], tuple[str, str, str]]:
    return next(entry for key, entry in _DIRECTIONS.items() if key in function)


def _problem(function: str, numbers: list[int], descriptors: dict[int, Described]) -> dict[str, Any]:
    """`numbers`: the descriptors in the order of the arguments, the convolution's third or (in cudnnFind and cudnnGet,
    which take it before the result) third too."""
    direction, _, roles = _direction(function)
    first, second, shape, third = ([*numbers, 0, 0, 0, 0])[:4]
    parts = {role: tensor(descriptors.get(n)) for role, n in zip(roles, (first, second, third), strict=True)}
    return convolution(
        direction, parts["source"], parts["weights"], parts["result"], **_shape(descriptors.get(shape))
    )


def launch(
    function: str, letters: str, words: list[int], descriptors: dict[int, Described]
) -> tuple[dict[str, Any] | None, str | None, int | None]:
    """(problem, algorithm, workspace in bytes) of a call that executes."""
    numbers = _of(letters, words, "d")
    if re.fullmatch(r"cudnnConvolution(BiasActivation)?(Forward|BackwardData|BackwardFilter)", function):
        _, algorithms, _ = _direction(function)
        chosen, sizes = _of(letters, words, "i"), _of(letters, words, "z")
        if "BiasActivation" not in function:
            problem = _problem(function, numbers, descriptors) | {"fused": []}
        else:  # x, w, convolution, z, bias, activation, y
            problem = _problem(function, [*numbers[:3], *numbers[6:7]], descriptors)
            problem["fused"] = [
                "add",
                "bias",
                _activation(descriptors.get(numbers[5] if len(numbers) > 5 else 0)),
            ]
        name = enums.name_of(algorithms, chosen[0]) if chosen else None
        return problem, name, int(sizes[0]) if sizes else None
    words_of_name = _WORD.sub("_", function.removeprefix("cudnn")).lower()
    direction = "forward" if "forward" in words_of_name else "other"
    problem = {"op": words_of_name, "direction": direction}
    shapes = [t for n in numbers if (t := tensor(descriptors.get(n))) is not None]
    if shapes:
        problem |= {"shapes": [t.dims for t in shapes], "dtype": shapes[0].dtype}
    return problem, None, None


def _activation(said: Described | None) -> str:
    modes = [
        words[1]
        for function, words in said or []
        if function == "cudnnSetActivationDescriptor" and len(words) > 1
    ]
    return enums.name_of(enums.ACTIVATION_MODE, modes[-1]).lower() if modes else "activation"


def ranking(
    function: str, letters: str, words: list[int], descriptors: dict[int, Described]
) -> tuple[dict[str, Any] | None, tuple[Candidate, ...]]:
    """(problem, candidates, the best first) of cudnnFind*Algorithm and cudnnGet*Algorithm."""
    _, algorithms, _ = _direction(function)
    found = []
    for part in _of(letters, words, "p"):
        for at in range(0, len(part), _RESULT_WORDS):
            algo, status, bits, memory, determinism, math = part[at : at + _RESULT_WORDS]
            (time,) = struct.unpack("<f", struct.pack("<I", bits & 0xFFFFFFFF))
            found.append(
                Candidate(
                    enums.name_of(algorithms, algo),
                    status,
                    time if time >= 0 else None,
                    memory,
                    determinism == 1,
                    enums.name_of(enums.MATH_TYPE, math),
                )
            )
    return _problem(function, _of(letters, words, "d"), descriptors), tuple(found)
