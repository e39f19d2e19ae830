"""Builds the native library with the system's C compiler, once for each version of its sources."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "native"
FLAGS = (
    "-std=gnu11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-omit-frame-pointer", "-fexceptions",
)  # fmt: skip
LIBRARIES = ("-ldl", "-lpthread")


def compiler() -> str | None:
    return next((c for c in (os.environ.get("CC"), "cc", "gcc", "clang") if c and shutil.which(c)), None)


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "tftrace"


def library(in_front_of_cudnn: bool = False) -> tuple[Path | None, str | None]:
    """(path of the library, None), or (None, why there is none). Builds it where it is not in the cache yet.

    The variant `in_front_of_cudnn` exports cudnn's functions, to be preloaded.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return None, f"it is written for Linux on x86-64, this is {platform.system()} on {platform.machine()}"
    sources = sorted(SOURCES.glob("*.[ch]"))
    flags = (*FLAGS, "-DTFT_CUDNN_PRELOAD") if in_front_of_cudnn else FLAGS
    digest = hashlib.sha256(" ".join(flags).encode())
    for source in sources:
        digest.update(source.read_bytes())
    target = cache_directory() / f"tftrace-{digest.hexdigest()[:16]}.so"
    if target.exists():
        return target, None
    reason = compiled(target, [*flags, *map(str, (s for s in sources if s.suffix == ".c"))])
    return (target, None) if reason is None else (None, reason)


def compiled(target: Path, arguments: list[str]) -> str | None:
    """Puts what the C compiler makes of `arguments` at `target`, all of it or nothing; else says why it could not."""
    command = compiler()
    if command is None:
        return "no C compiler (cc, gcc or clang) to build it with"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            built = Path(folder) / target.name
            run = subprocess.run(
                [command, *arguments, "-o", str(built), *LIBRARIES], capture_output=True, text=True
            )
            if run.returncode != 0:
                return f"{command} failed: {run.stderr.strip().splitlines()[0] if run.stderr.strip() else ''}"
            os.replace(built, target)
    except OSError as error:
        return f"it could not be written to {target.parent}: {error.strerror}"
    return None
