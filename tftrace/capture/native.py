"""Builds the agent's native library with the system's C compiler, once for each version of its sources."""

from __future__ import annotations

import platform
from pathlib import Path

from tftrace.native.compiling import SOURCES, cache_directory, cached, compiled, compiler

__all__ = ["cache_directory", "compiled", "compiler", "library"]

FLAGS = (
    "-std=gnu11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-omit-frame-pointer", "-fexceptions",
)  # fmt: skip


def library(in_front_of_cudnn: bool = False) -> tuple[Path | None, str | None]:
    """(path of the library, None), or (None, why there is none). Builds it where it is not in the cache yet.

    The variant `in_front_of_cudnn` exports cudnn's functions, to be preloaded.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return None, f"it is written for Linux on x86-64, this is {platform.system()} on {platform.machine()}"
    sources = sorted(SOURCES.glob("*.[ch]"))
    flags = (*FLAGS, "-DTFT_CUDNN_PRELOAD") if in_front_of_cudnn else FLAGS
    target = cached("tftrace", flags, sources)
    if target.exists():
        return target, None
    reason = compiled(target, [*flags, *map(str, (s for s in sources if s.suffix == ".c"))])
    return (target, None) if reason is None else (None, reason)
