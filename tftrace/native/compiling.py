"""Compiles C sources of this package with the system's compiler, into the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

SOURCES: Final = Path(__file__).parent
_LIBRARIES: Final = ("-ldl", "-lpthread")
_LOOPS: Final = ("-std=gnu11", "-O2", "-fwrapv", "-fPIC", "-shared")
"""Flags of what only goes over arrays. What overflows wraps, as in numpy: numbers of a trace may be anything."""


def compiler() -> str | None:
    return next((c for c in (os.environ.get("CC"), "cc", "gcc", "clang") if c and shutil.which(c)), None)


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "tftrace"


def cached(name: str, flags: Sequence[str], sources: Sequence[Path]) -> Path:
    """Where the library made of these sources is, or would be."""
    digest = hashlib.sha256(" ".join(flags).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return cache_directory() / f"{name}-{digest.hexdigest()[:16]}.so"


def compiled(target: Path, arguments: Sequence[str]) -> str | None:
    """Puts what the C compiler makes of `arguments` at `target`, all of it or nothing; else says why it could not."""
    command = compiler()
    if command is None:
        return "no C compiler (cc, gcc or clang) to build it with"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            built = Path(folder) / target.name
            run = subprocess.run(
                [command, *arguments, "-o", str(built), *_LIBRARIES], capture_output=True, text=True
            )
            if run.returncode != 0:
                return f"{command} failed: {run.stderr.strip().splitlines()[0] if run.stderr.strip() else ''}"
            os.replace(built, target)
    except OSError as error:
        return f"it could not be written to {target.parent}: {error.strerror}"
    return None


def loops(name: str, source: Path, *headers: Path) -> tuple[Any, str | None]:
    """(the functions of one C source that only goes over arrays, None), or (None, why there are none). Compiles it
    where that, or one of the `headers` that it includes, is not in the cache yet as it is."""
    target = cached(name, _LOOPS, [source, *headers])
    if not target.exists() and (reason := compiled(target, [*_LOOPS, str(source)])) is not None:
        return None, reason
    try:
        return ctypes.CDLL(str(target)), None
    except OSError as error:
        return None, str(error)
