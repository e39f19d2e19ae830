"""What stands in for the companions of cuDNN that need a GPU, so that it can be asked without one.

Nothing of them runs anything: an empty `libcuda.so.1` where there is no driver, without which cuDNN 9.28 cannot be
loaded; and, only where that is asked for, a cuBLASLt that says that it started.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from tftrace.capture.native import cache_directory, compiled

DRIVER: Final = "libcuda.so.1"
DRIVER_FUNCTIONS: Final = (
    "cuGetErrorString", "cuModuleGetFunction", "cuModuleLoadData", "cuModuleUnload", "cuTensorMapEncodeIm2col",
    "cuTensorMapEncodeTiled",
)  # fmt: skip
"""What cuDNN 9.28 is linked against; 9.8 to 9.10 against none."""
NO_DEVICE: Final = 100  # CUDA_ERROR_NO_DEVICE
_CUBLASLT: Final = """\
static int handle;
int cublasLtCreate(void **made) { *made = &handle; return 0; }
int cublasLtDestroy(void *made) { return 0; }
int cublasLtMatmulAlgoGetHeuristic(void) { return 15; } /* CUBLAS_STATUS_NOT_SUPPORTED: nobody may use that handle */
"""


def empty_driver() -> tuple[Path | None, str | None]:
    """(path of the library, None), or (None, why there is none). Builds it where it is not in the cache yet."""
    source = "".join(f"int {name}(void) {{ return {NO_DEVICE}; }}\n" for name in DRIVER_FUNCTIONS)
    return _built(f"no-driver-{_digest(source)}", DRIVER, source, [])


def started_cublaslt(real: Path) -> tuple[Path | None, str | None]:
    """The same for a library with the name of `real`, a cuBLASLt, that has it behind it for all but its start."""
    place = f"cublaslt-{_digest(_CUBLASLT + str(real))}"
    # a linker writes into a library what the other calls itself: one that calls itself by the path of the real one
    path, reason = _built(place, "real.so", "", [], soname=str(real))
    if path is None:
        return None, reason
    return _built(place, real.name, _CUBLASLT, ["-Wl,--no-as-needed", str(path)])


def _built(
    place: str, name: str, source: str, more: list[str], soname: str | None = None
) -> tuple[Path | None, str | None]:
    folder = cache_directory() / place
    target, code = folder / name, folder / f"{name}.c"
    if target.exists():
        return target, None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        code.write_text(source)
    except OSError as error:
        return None, f"it could not be written to {folder}: {error.strerror}"
    reason = compiled(target, ["-shared", "-fPIC", f"-Wl,-soname,{soname or name}", str(code), *more])
    return (target, None) if reason is None else (None, reason)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
