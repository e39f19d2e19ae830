"""What differs between two runs, and which of it can have changed the pick of an algorithm.

A difference is no proof: it is what the manifests show. A pick that changed although none of this differs is said to
have changed for no visible reason; what a script sets by calls (`tf.config`) is not in the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from tftrace.model.trace import Trace

Kind = Literal["library", "version", "device", "machine", "setting", "layout", "dtype", "math", "fused"]

_NO_CHOICE: Final = ("TF_CPP_", "PYTHON", "KERAS_BACKEND", "TF_USE_LEGACY_KERAS")
"""Settings that say nothing about how an op is computed."""
_OF_CPU: Final = ("ONEDNN_", "DNNL_", "OMP_", "TF_ENABLE_ONEDNN", "TF_NUM_")
_OF_GPU: Final = (
    "TF_CUDNN_",
    "CUDNN_",
    "CUDA_",
    "NVIDIA_",
    "TF_FORCE_GPU",
    "TF_ENABLE_CU",
    "TF_GPU_",
    "TF_AUTOTUNE",
)
_VERSIONS: Final = {"cpu": ("tensorflow",), "gpu": ("tensorflow", "cuda", "cudnn")}


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same; `values` is one text a run, None where it is not set or not known."""

    kind: Kind
    name: str
    values: tuple[str | None, ...]

    def document(self) -> dict[str, Any]:
        return asdict(self) | {"values": list(self.values)}

    def words(self, missing: str = "not known") -> str:
        """`setting ONEDNN_MAX_CPU_ISA: not set -> AVX2`, of a difference between two runs."""
        if self.kind == "setting":
            missing = "not set"
        name = "" if self.name == self.kind else f" {self.name}"
        return f"{self.kind}{name}: {' -> '.join(v if v is not None else missing for v in self.values)}"


def environment(traces: Sequence[Trace]) -> list[Difference]:
    """Everything about the runs that is not the same in all: versions, devices, machine, settings."""
    return [
        *_differing("version", [_texts(t.manifest.get("versions")) for t in traces]),
        *_differing("device", [{"devices": devices(t)} for t in traces]),
        *_differing("machine", [{"machine": machine(t)} for t in traces]),
        *_differing("setting", [_texts(t.manifest.get("env")) for t in traces]),
    ]


def may_change_picks(found: Sequence[Difference], device: str | None) -> list[Difference]:
    """Those of these differences that can change which algorithm a library on `device` picks.

    On a GPU its model decides; on a CPU the model is not known and the host's name has to stand for it.
    """
    on_cpu = device is not None and "CPU" in device
    not_here = _OF_GPU if on_cpu else _OF_CPU
    kept = []
    for one in found:
        if one.kind == "setting":
            if not one.name.startswith((*_NO_CHOICE, *not_here)):
                kept.append(one)
        elif one.kind == "version":
            if one.name in _VERSIONS["cpu" if on_cpu else "gpu"]:
                kept.append(one)
        elif one.kind == ("machine" if on_cpu else "device"):
            kept.append(one)
    return kept


def devices(trace: Trace) -> str | None:
    """The devices of the run other than its CPU, with what is known of their model."""
    listed = []
    for device in trace.manifest.get("devices") or []:
        if not isinstance(device, Mapping) or "CPU" in str(device.get("name")):
            continue
        listed.append(f"{device.get('name')} {describe(device)}".rstrip())
    return ", ".join(listed) or None


def describe(device: Mapping[str, Any]) -> str:
    """What tells one model from another, of a device in a manifest: `Tesla T4`, or `sm75, 40 cores, 1590 MHz`."""
    named = next((device[k] for k in ("model", "description") if device.get(k)), None)
    if named:
        return str(named)
    parts = []
    if device.get("compute_cap_major") is not None:
        parts.append(f"sm{device['compute_cap_major']}{device.get('compute_cap_minor', 0)}")
    if device.get("core_count"):
        parts.append(f"{device['core_count']} cores")
    if device.get("clock_rate"):
        parts.append(f"{int(device['clock_rate']) // 1000} MHz")
    return ", ".join(parts)


def machine(trace: Trace) -> str | None:
    """The hosts that the run's processes ran on."""
    hosts = {
        str(p["host"])
        for p in trace.manifest.get("processes") or []
        if isinstance(p, Mapping) and p.get("host")
    }
    return ", ".join(sorted(hosts)) or None


def _texts(values: object) -> dict[str, str | None]:
    if not isinstance(values, Mapping):
        return {}
    return {str(k): None if v is None else str(v) for k, v in values.items()}


def _differing(kind: Kind, values: Sequence[Mapping[str, str | None]]) -> Iterator[Difference]:
    for name in dict.fromkeys(k for one in values for k in one):
        told = tuple(one.get(name) for one in values)
        if len(set(told)) > 1:
            yield Difference(kind, name, told)
