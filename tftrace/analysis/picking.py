"""How algorithms were picked in a run: what it was told by its environment and its script, and what then happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_SETTINGS: Final = (
    "TF_CUDNN", "TF_DETERMINISTIC", "TF_ENABLE_CUBLAS", "TF_ENABLE_ONEDNN", "TF_XLA_FLAGS", "XLA_FLAGS", "CUDNN_",
    "NVIDIA_TF32", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "TF_AUTOTUNE", "TF_USE_CUDNN",
)  # fmt: skip
_DETERMINISTIC: Final = ("TF_CUDNN_DETERMINISTIC", "TF_DETERMINISTIC_OPS", "op_determinism")
_ON: Final = ("1", "true")
_OFF: Final = ("0", "false")


def settings(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What bears on the choice: variables of the environment, and what the script set by calls of TensorFlow
    (`op_determinism`, `tensor_float_32`; absent in traces that did not record it)."""
    env, called = manifest.get("env"), manifest.get("settings")
    found = {
        str(k): str(v) for k, v in _object(env).items() if str(k).startswith(_SETTINGS) and v is not None
    }
    return found | {str(k): str(v).lower() for k, v in _object(called).items() if v is not None}


def selection(told: Mapping[str, str], problems: list[dict[str, Any]]) -> dict[str, bool | None]:
    """`autotune`: whether TensorFlow tried algorithms; `deterministic`: whether only deterministic ones could be
    picked. None where neither a setting nor the run tells."""
    autotune = told.get("TF_CUDNN_USE_AUTOTUNE", "").lower()
    off = autotune in _OFF
    tried = any(problem["tunings"] for problem in problems)
    deterministic = [told[name].lower() for name in _DETERMINISTIC if name in told]
    return {
        "autotune": False if off else True if tried or autotune in _ON else None,
        "deterministic": any(word in _ON for word in deterministic) if deterministic else None,
    }


def _object(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}
