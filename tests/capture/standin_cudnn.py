"""An installed cuDNN without NVIDIA's library: directories as wheels make them, with `native/cudnn.c` in them.

What it answers is invented; that an answer, a refusal and a crash arrive as what they are is tested on it. The real
library is asked in `tests/standin_gpu/real_cudnn`.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "native" / "cudnn.c"
ENDS, HANGS, WRITES, UNKNOWN, EMPTY = 13, 17, 19, 23, 29
"""Batch sizes at which it ends the process, never answers, writes to stdout, has no such graph, has no engine."""


def install(folder: Path, version: str = "9.28.0", cublaslt: bool = True) -> Path:
    """The directory of packages, `folder`, with a cuDNN of that version in it; skips without a compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    major, minor, patch = (int(part) for part in version.split("."))
    library = folder / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"
    library.parent.mkdir(parents=True)
    number = major * 10_000 + minor * 100 + patch
    _compile(library, f"-DVERSION={number}", "-w", str(SOURCE))
    (folder / f"nvidia_cudnn_cu12-{version}.dist-info").mkdir()
    if cublaslt:
        beside = folder / "nvidia" / "cublas" / "lib" / "libcublasLt.so.12"
        beside.parent.mkdir(parents=True)
        _compile(beside, "-x", "c", "/dev/null")
    return folder


def _compile(target: Path, *arguments: str) -> None:
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", target, *arguments], check=True)
