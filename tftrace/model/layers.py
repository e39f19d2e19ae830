"""The eight layers of an op call, the grades of evidence and the modes of execution, each with its one home."""

from __future__ import annotations

from typing import Final, Literal

Layer = Literal["python", "api", "gen_op", "runtime", "kernel", "stream_executor", "library", "device"]
Evidence = Literal["measured", "joined", "inferred", "predicted"]
Mode = Literal["eager", "function", "session", "xla", "native"]

LAYERS: Final[tuple[Layer, ...]] = (
    "python", "api", "gen_op", "runtime", "kernel", "stream_executor", "library", "device",
)  # fmt: skip
"""Top to bottom, as control goes."""

LAYER_MEANING: Final[dict[Layer, str]] = {
    "python": "the line of the user's script",
    "api": "the public function called there",
    "gen_op": "TensorFlow's generated wrapper of the op",
    "runtime": "eager runtime, function call, executor, session",
    "kernel": "the OpKernel that ran on the device",
    "stream_executor": "StreamExecutor and its DNN support (GPU only)",
    "library": "the vendor library's call: cuDNN, oneDNN, Eigen",
    "device": "what the device ran: CUDA kernel, copy, share of a worker thread",
}

EVIDENCE: Final[tuple[Evidence, ...]] = ("measured", "joined", "inferred", "predicted")
"""Strongest first. A group of calls carries the weakest of its links."""

MODES: Final[tuple[Mode, ...]] = ("eager", "function", "session", "xla", "native")


def weakest(grades: list[Evidence]) -> Evidence | None:
    """The grade that a whole carries when its parts carry `grades`; None where there is no part."""
    return max(grades, key=EVIDENCE.index) if grades else None
