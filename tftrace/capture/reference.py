"""The arrays that a convolution is replayed with, and what it should give: by numpy in float64.

    python reference.py PROBLEM FOLDER IMAGES BYTES

writes them to FOLDER: `input`, `filter`, `output` (the gradient) and `bias` as the direction needs, standard normal
float32 numbers of a fixed seed, NHWC, and `reference`. A process of its own, limited to BYTES of memory, so that a
problem that is too large ends this process and no other.

PROBLEM is the JSON object that `tftrace/agent/replay.py` describes. `reference` has the first IMAGES images, which
suffice to compare; the gradient of the filter is summed over all of them, and has the first CHANNELS output channels.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
CHANNELS: Final = 16
SEED: Final = 20240229
NEEDED: Final = {
    "forward": ("input", "filter", "bias"),
    "backprop_input": ("filter", "output"),
    "backprop_filter": ("input", "output"),
}
ACTIVATIONS: Final[dict[str, Callable[[Array], Array]]] = {
    "relu": lambda y: np.maximum(y, 0),
    "relu6": lambda y: np.clip(y, 0, 6),
    "elu": lambda y: np.where(y > 0, y, np.expm1(np.minimum(y, 0))),
    "leaky_relu": lambda y: np.where(y > 0, y, 0.2 * y),
    "sigmoid": lambda y: 1 / (1 + np.exp(-y)),
    "tanh": np.tanh,
}


def arrays(problem: dict[str, Any]) -> dict[str, Array]:
    """float32 arrays that the problem's direction needs, by name."""
    numbers = np.random.RandomState(SEED)
    shapes = {
        "input": problem["input"], "filter": problem["filter"], "output": problem["output"],
        "bias": problem["output"][3:],
    }  # fmt: skip
    return {
        name: numbers.standard_normal(shapes[name]).astype(np.float32)
        for name in NEEDED[problem["direction"]]
    }


def reference(problem: dict[str, Any], given: dict[str, Array], images: int) -> Array:
    """What the convolution gives, float64, NHWC.

    One matrix product for each position of the filter and each group: the definition, no library's algorithm.
    """
    direction = problem["direction"]
    if direction == "backprop_filter" and problem["groups"] == 1:
        given = {**given, "output": given["output"][..., :CHANNELS]}
    made = {name: value.astype(np.float64) for name, value in given.items()}
    if direction != "backprop_filter":
        made = {n: v[:images] if n in ("input", "output") else v for n, v in made.items()}
    count = len(made["output"] if direction == "backprop_input" else made["input"])
    (top, bottom), (left, right) = problem["padding"]
    _, height, width, channels = problem["input"]
    _, out_height, out_width, out_channels = made["output"].shape if "output" in made else problem["output"]
    padded = np.zeros((count, height + top + bottom, width + left + right, channels))
    if "input" in made:
        padded[:, top : top + height, left : left + width] = made["input"]
    filters = direction == "backprop_filter"
    shape = problem["filter"][:3] if filters else (count, out_height, out_width)
    result = np.zeros((*shape, out_channels))
    inner, outer = channels // problem["groups"], out_channels // problem["groups"]
    for i, j in np.ndindex(*problem["filter"][:2]):
        rows = _window(i, out_height, problem["strides"][0], problem["dilations"][0])
        columns = _window(j, out_width, problem["strides"][1], problem["dilations"][1])
        for g in range(problem["groups"]):
            source, target = slice(g * inner, (g + 1) * inner), slice(g * outer, (g + 1) * outer)
            x = padded[:, rows, columns, source]
            if direction == "forward":
                result[..., target] += x @ made["filter"][i, j, :, target]
            elif direction == "backprop_input":
                x += made["output"][..., target] @ made["filter"][i, j, :, target].T
            else:
                y = made["output"][..., target].reshape(-1, outer)
                result[i, j, :, target] = x.reshape(-1, inner).T @ y
    if direction == "backprop_input":
        return padded[:, top : top + height, left : left + width]
    for name in problem["fused"]:
        result = result + made["bias"] if name == "bias" else ACTIVATIONS[name](result)
    return result


def _window(at: int, count: int, stride: int, dilation: int) -> slice:
    """Pixels of the padded input that the filter's position `at` meets, one for each of `count` outputs."""
    first = at * dilation
    return slice(first, first + (count - 1) * stride + 1, stride)


def main() -> None:
    problem, folder = json.loads(sys.argv[1]), sys.argv[2]
    limit = int(sys.argv[4])
    with open("/proc/self/statm") as file:
        limit += int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(
        resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )
    try:
        given = arrays(problem)
        for name, value in given.items():
            np.save(os.path.join(folder, f"{name}.npy"), value)
        np.save(os.path.join(folder, "reference.npy"), reference(problem, given, int(sys.argv[3])))
    except MemoryError as error:
        sys.exit(f"no memory: {error}")
    except OSError as error:
        sys.exit(f"{folder}: {error.strerror}")


if __name__ == "__main__":
    main()
