"""What a machine offers a convolution to run by: the settings of a process, and what a program can ask for in it.

On a processor these are its algorithms: oneDNN at each limit of the instruction set (ONEDNN_MAX_CPU_ISA) up to the
machine's own, with float32 lowered to bfloat16 (ONEDNN_DEFAULT_FPMATH_MODE), with fewer threads; Eigen; XLA; another
layout; bfloat16; bias and activation fused or not. On a GPU: cuDNN with its autotuner on and off, deterministic,
without TF32; XLA; another layout; half precision.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tftrace.agent import contract
from tftrace.model.conv2d_spec import Conv2dSpec

ISA_LIMITS: Final[dict[str, tuple[str, ...]]] = {
    "SSE41": ("sse4_1",),
    "AVX": ("avx",),
    "AVX2": ("avx2", "fma"),
    "AVX2_VNNI": ("avx2", "avx_vnni"),
    "AVX2_VNNI_2": ("avx2", "avx_vnni_int8", "avx_ne_convert"),
    "AVX512_CORE": ("avx512f", "avx512bw", "avx512vl", "avx512dq"),
    "AVX512_CORE_VNNI": ("avx512f", "avx512_vnni"),
    "AVX512_CORE_BF16": ("avx512f", "avx512_bf16"),
    "AVX512_CORE_FP16": ("avx512f", "avx512_fp16"),
    "AVX512_CORE_AMX": ("avx512f", "amx_tile", "amx_int8", "amx_bf16"),
    "AVX512_CORE_AMX_FP16": ("avx512f", "amx_tile", "amx_fp16"),
}
"""oneDNN's limits in ascending order, with the processor's flags (/proc/cpuinfo) that each needs."""

CHANGED: Final = (
    "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_VERBOSE", "DNNL_VERBOSE", "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE", "TF_SET_ONEDNN_FPMATH_MODE", "TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS",
    "TF_XLA_FLAGS", "TF_CUDNN_USE_AUTOTUNE", "TF_CUDNN_DETERMINISTIC", "TF_DETERMINISTIC_OPS",
    "NVIDIA_TF32_OVERRIDE", "CUDNN_ERRATA_JSON_FILE", "TF_CUDNN_USE_RUNTIME_FUSION", contract.ENV_RAW,
    contract.ENV_OPTIONS,
)  # fmt: skip
"""Variables that are taken out of the environment that replays inherit: what is measured is what a candidate says."""

ERRATA: Final = "CUDNN_ERRATA_JSON_FILE"
MOST_ENGINES: Final = 128
"""Engines are numbered below this."""
ONEDNN, EIGEN, CUDNN, XLA = "oneDNN", "Eigen", "cuDNN", "XLA"
_FLOATS: Final = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Machine:
    """What replays run on. `flags`: the processor's, as Linux names them; `memory_bytes`: what may be used of it;
    `onednn`: whether TensorFlow uses it here by itself."""

    processor: str
    flags: frozenset[str]
    cpus: int
    memory_bytes: int
    gpus: tuple[str, ...] = ()
    onednn: bool = True

    @property
    def device(self) -> str:
        return "/device:GPU:0" if self.gpus else "/device:CPU:0"


@dataclass(frozen=True)
class Setting:
    """The environment of a process. `limit`: it only bounds what a library may use, and may change nothing."""

    engine: str
    name: str
    env: Mapping[str, str]
    limit: bool = False


@dataclass(frozen=True)
class Candidate:
    """One way to run a problem: `variant` as `tftrace/agent/replay.py` takes it, `code` what a program has to say for
    it."""

    name: str
    engine: str
    setting: Setting
    variant: Mapping[str, Any]
    code: tuple[str, ...] = field(default=())


def machine() -> Machine:
    """This machine; its GPUs are for TensorFlow to tell."""
    flags: set[str] = set()
    processor = "unknown"
    with open("/proc/cpuinfo") as file:
        for line in file:
            key, _, value = (part.strip() for part in line.partition(":"))
            if key in ("flags", "Features"):
                flags.update(value.split())
            elif key == "model name":
                processor = value
    return Machine(processor, frozenset(flags), len(os.sched_getaffinity(0)), int(_available_memory() * 0.8))


def _available_memory() -> int:
    """Bytes that the kernel says are to be had, or that the control group leaves where that is less."""
    available = 0
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) * 1024
    try:
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit.isdigit():
            available = min(available, int(limit) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return max(available, 0)


def limits(machine: Machine) -> list[str]:
    """Limits of the instruction set below the machine's own, the highest first."""
    had = [name for name, flags in ISA_LIMITS.items() if machine.flags.issuperset(flags)]
    return had[-2::-1]


def settings(machine: Machine) -> list[Setting]:
    """The process-wide settings that are tried, what TensorFlow does by itself first."""
    if machine.gpus:
        return [
            Setting(CUDNN, "cudnn", {}),
            Setting(CUDNN, "cudnn autotune=off", {"TF_CUDNN_USE_AUTOTUNE": "0"}),
            Setting(CUDNN, "cudnn deterministic", {"TF_CUDNN_DETERMINISTIC": "1"}),
            Setting(CUDNN, "cudnn tf32=off", {"NVIDIA_TF32_OVERRIDE": "0"}),
        ]
    on = {} if machine.onednn else {"TF_ENABLE_ONEDNN_OPTS": "1"}
    found = [Setting(ONEDNN, "onednn", on)]
    for name in limits(machine):
        found.append(Setting(ONEDNN, f"onednn isa={name}", {**on, "ONEDNN_MAX_CPU_ISA": name}, limit=True))
    math = {**on, "ONEDNN_DEFAULT_FPMATH_MODE": "BF16"}
    found.append(Setting(ONEDNN, "onednn math=bf16", math, limit=True))
    for threads in sorted({max(machine.cpus // 2, 1), 1}, reverse=True):
        if threads < machine.cpus:
            env = {**on, "TF_NUM_INTRAOP_THREADS": str(threads)}
            found.append(Setting(ONEDNN, f"onednn threads={threads}", env))
    eigen = Setting(EIGEN, "eigen", {"TF_ENABLE_ONEDNN_OPTS": "0"} if machine.onednn else {})
    return [*found, eigen] if machine.onednn else [eigen, *found]


def candidates(spec: Conv2dSpec, machine: Machine) -> list[Candidate]:
    """Every way to run `spec` here, the one that the program has now first.

    The layout and the type of the problem are those of the program; to change them, to compile with XLA or to keep
    Grappler from fusing takes a change of its code.
    """
    found: list[Candidate] = []
    plain = {"layout": spec.layout, "dtype": spec.dtype, "jit_compile": False, "unfused": False}
    for setting in settings(machine):
        if spec.dtype != "float32" and setting.name in ("onednn math=bf16", "cudnn tf32=off"):
            continue
        found.append(Candidate(setting.name, setting.engine, setting, plain))
        if setting.name in ("onednn", "cudnn"):
            found += _in_code(spec, setting, plain)
        elif setting.engine == EIGEN:
            found.append(_other_layout(spec, setting, plain))
    return found


def _in_code(spec: Conv2dSpec, setting: Setting, plain: dict[str, Any]) -> list[Candidate]:
    """What the program can ask for, under the setting that has the library's defaults."""
    ways: list[tuple[str, str, dict[str, Any], str]] = []
    if spec.dtype == "float32":
        lower = "bfloat16" if setting.engine == ONEDNN else "float16"
        cast = f"run it in {lower}: tf.cast(.., tf.{lower}), or keras.mixed_precision"
        ways.append((f"{setting.name} dtype={lower}", setting.engine, {"dtype": lower}, cast))
    if spec.fused:
        off = 'tf.config.optimizer.set_experimental_options({"remapping": False})'
        ways.append((f"{setting.name} unfused", setting.engine, {"unfused": True}, off))
    ways.append(("xla", XLA, {"jit_compile": True}, "tf.function(jit_compile=True)"))
    made = [
        Candidate(name, engine, setting, {**plain, **asked}, (code,)) for name, engine, asked, code in ways
    ]
    return [_other_layout(spec, setting, plain), *made]


def _other_layout(spec: Conv2dSpec, setting: Setting, plain: dict[str, Any]) -> Candidate:
    other = "NCHW" if spec.layout == "NHWC" else "NHWC"
    code = f'data_format="{other}", the tensors in that order'
    return Candidate(
        f"{setting.name} layout={other}", setting.engine, setting, {**plain, "layout": other}, (code,)
    )


def forced_engine(engine: int, folder: Path) -> Setting:
    """cuDNN with this engine alone: a list of errata, which cudnn-frontend reads (CUDNN_ERRATA_JSON_FILE), blocks all
    others. It is written to `folder`."""
    rules: list[dict[str, Any]] = [
        {"rule_id": f"{operation}_eng{other}", "operation": operation, "engine": other, "knob": [],
         "cudnn_version_start": 0, "cudnn_version_end": -1}
        for operation in ("ConvFwd", "ConvBwdData", "ConvBwdFilter")
        for other in range(MOST_ENGINES)
        if other != engine
    ]  # fmt: skip
    folder.mkdir(exist_ok=True)
    path = folder / f"only_engine_{engine}.json"
    path.write_text(json.dumps({"version": 1, "rules": rules}))
    return Setting(CUDNN, f"cudnn engine={engine}", {ERRATA: str(path.resolve())})


def engine_candidate(spec: Conv2dSpec, setting: Setting) -> Candidate:
    plain = {"layout": spec.layout, "dtype": spec.dtype, "jit_compile": False, "unfused": False}
    return Candidate(setting.name, setting.engine, setting, plain)


def why_not(spec: Conv2dSpec, machine: Machine) -> str | None:
    """Why `spec` cannot be replayed here, or None."""
    if spec.dtype not in _FLOATS:
        return f"its data type is {spec.dtype}: only convolutions of floating-point numbers are replayed"
    need = memory_bytes(spec)
    if need > machine.memory_bytes:
        return (
            f"it needs about {need / 1e9:.1f} GB, and {machine.memory_bytes / 1e9:.1f} GB may be used here: "
            "replay it with a smaller batch"
        )
    return None


def memory_bytes(spec: Conv2dSpec) -> int:
    """What one replay of `spec` needs at least: its arrays in float32 twice (as they are read, and as the op takes
    them), and its result."""
    sizes = [_product(spec.input), _product(spec.filter), _product(spec.output)]
    return 8 * sum(sizes) + 8 * max(sizes)


def _product(sizes: tuple[int, ...]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
