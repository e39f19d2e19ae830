"""An empty `libcuda.so.1` for a machine without NVIDIA's driver: cuDNN can then be loaded, and nothing can be run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from tftrace.capture.native import cache_directory, compiled

SONAME: Final = "libcuda.so.1"
FUNCTIONS: Final = (
    "cuGetErrorString", "cuModuleGetFunction", "cuModuleLoadData", "cuModuleUnload", "cuTensorMapEncodeIm2col",
    "cuTensorMapEncodeTiled",
)  # fmt: skip
"""What cuDNN 9.28 is linked against; 9.8 to 9.10 against none."""
NO_DEVICE: Final = 100  # CUDA_ERROR_NO_DEVICE


def empty_driver() -> tuple[Path | None, str | None]:
    """(path of the library, None), or (None, why there is none). Builds it where it is not in the cache yet."""
    source = "".join(f"int {name}(void) {{ return {NO_DEVICE}; }}\n" for name in FUNCTIONS)
    folder = cache_directory() / f"no-driver-{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    target, code = folder / SONAME, folder / "driver.c"
    if target.exists():
        return target, None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        code.write_text(source)
    except OSError as error:
        return None, f"it could not be written to {folder}: {error.strerror}"
    reason = compiled(target, ["-shared", "-fPIC", f"-Wl,-soname,{SONAME}", str(code)])
    return (target, None) if reason is None else (None, reason)
