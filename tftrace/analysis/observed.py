"""Why a layer was not observed, or only partly: from what the probes said of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tftrace.model.layers import Layer

PROBES: Final[dict[Layer, tuple[str, ...]]] = {
    "python": ("dispatch", "graph"),
    "api": ("dispatch", "graph"),
    "gen_op": ("dispatch", "graph"),
    "runtime": ("dispatch", "tf_profiler"),
    "kernel": ("tf_profiler", "itt", "cudnn"),
    "stream_executor": ("cudnn", "stream_executor"),
    "library": ("itt", "onednn", "cudnn"),
    "device": ("itt", "tf_profiler"),
}
"""Which probes see a layer."""

_GPU_ONLY: Final = frozenset({"cudnn", "stream_executor"})
"""Probes whose trouble is no news where no GPU was used."""

NO_GPU: Final = "runs only on a GPU; this run had none"

NO_PYTHON: Final = "there is no Python in that process"
_OF_PYTHON: Final = frozenset({"python", "api", "gen_op"})

_NOTHING: Final[dict[Layer, str]] = {
    "python": "no frame of the user's own was on the stack",
    "api": "no public function lies between the line and the op",
    "gen_op": "no generated wrapper was on the stack: the op was made by other means",
    "runtime": "no call into the runtime was recorded for it",
    "kernel": "TensorFlow's profiler names no kernel of an eager op, and no library call below it was seen",
    "stream_executor": "no call from StreamExecutor into cuDNN was seen for it",
    "library": "no call into an instrumented library was seen: Eigen (but for run --eigen-gemm) and TensorFlow's own "
    "loops report none",
    "device": "no work of a device or of a primitive's threads was seen for it",
}

_IMPORTED: Final[dict[Layer, str]] = {
    "python": "recorded without tftrace: the file holds no frame of the script",
    "api": "recorded without tftrace: the file does not tell the function that was called",
    "gen_op": "recorded without tftrace: the file does not tell the generated wrapper",
    "stream_executor": "the file shows no function of StreamExecutor",
}


def reason(manifest: Mapping[str, Any], layer: Layer, mode: str | None = None) -> str:
    """Why `layer` is missing, in a few words; `mode` is that of the call it is missing from."""
    if mode == "native" and layer in _OF_PYTHON:
        return NO_PYTHON
    stated = manifest.get("unobserved")
    if isinstance(stated, Mapping) and stated.get(layer):
        return str(stated[layer])
    if layer == "stream_executor" and not has_gpu(manifest):
        return NO_GPU
    states = {str(p.get("name")): p for p in manifest.get("probes", [])}
    gpu = has_gpu(manifest)
    own = [states[n] for n in PROBES[layer] if n in states and (gpu or n not in _GPU_ONLY)]
    troubled = [p for p in own if p.get("status") != "ok"]
    if own and len(troubled) == len(own):
        return "; ".join(_said(p) for p in troubled)
    text = _NOTHING[layer]
    if not own and layer in _IMPORTED and any(name.startswith("import") for name in states):
        return _IMPORTED[layer]
    if layer == "kernel" and mode not in (None, "eager"):
        text = "no kernel of it was seen"
    return "; ".join([text, *(_said(p) for p in troubled)])


def shortfall(manifest: Mapping[str, Any], layer: Layer) -> str | None:
    """What the probes of a layer say they missed; None where they missed nothing."""
    states = {str(p.get("name")): p for p in manifest.get("probes", [])}
    own = [states[name] for name in PROBES[layer] if name in states]
    parts = []
    for probe in own:
        if probe.get("status") == "partly":
            parts.append(_said(probe))
        elif probe.get("status") == "ok" and (probe.get("lost") or 0) > 0:
            parts.append(f"{probe.get('name')}: {probe['lost']} events lost")
    return "; ".join(parts) or None


def has_gpu(manifest: Mapping[str, Any]) -> bool:
    return any(
        "GPU" in str(d.get("name") if isinstance(d, Mapping) else d) for d in manifest.get("devices", [])
    )


def _said(probe: Mapping[str, Any]) -> str:
    status = str(probe.get("status"))
    why = probe.get("reason")
    return f"{probe.get('name')} {status}" + (f": {why}" if why else "")
