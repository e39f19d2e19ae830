"""Builds the stand-in GPU from `native/` with the headers of the installed TensorFlow, once for both of their versions.

One shared object stands behind every soname that TensorFlow opens. What TensorFlow may call and `native/` does
not define returns 0 from a generated stub. Nothing of NVIDIA's is needed but the headers inside the wheel.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

SOURCES = Path(__file__).parent / "native"
SCRIPTS = Path(__file__).parent / "scripts"
SONAMES = (
    "libcuda.so.1", "libcudart.so.12", "libcudnn.so.9", "libcublas.so.12", "libcublasLt.so.12", "libcufft.so.11",
    "libcusolver.so.11", "libcusparse.so.12", "libcupti.so.12", "libnvidia-ml.so.1",
)  # fmt: skip
FLAGS = ("-std=gnu11", "-g", "-O1", "-fPIC", "-Wall", "-Werror", "-DCUDA_NO_PROTOTYPE")
LIBRARY = "libstandin_gpu.so"
_OURS = re.compile(r"(cu[A-Z]|cuda[A-Z]|cudnn|cublas|cufft|cusolver|cusparse|cupti|nvml|__cuda)\w*")


class UnavailableError(Exception):
    """The stand-in cannot be built here; the message says why."""


def tensorflow_directory() -> Path:
    spec = find_spec("tensorflow")
    if spec is None or spec.origin is None:
        raise UnavailableError("TensorFlow is not installed in this environment")
    return Path(spec.origin).parent


def include_directories(tensorflow: Path) -> list[Path]:
    """Where the wheel keeps CUDA's, cuDNN's and CUPTI's headers. Raises UnavailableError for a wheel without them."""
    gpus = tensorflow / "include" / "third_party" / "gpus"
    found = [
        gpus / "cuda" / "include",
        gpus / "cudnn" / "include",
        gpus / "cuda" / "extras" / "CUPTI" / "include",
    ]
    for header in (found[0] / "cuda.h", found[1] / "cudnn.h", found[2] / "cupti.h"):
        if not header.exists():
            raise UnavailableError(f"this TensorFlow was built without CUDA: it has no {header.name}")
    return [*found, gpus / "cuda" / "libcudacxx" / "include"]


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "tftrace-tests"


def build(directory: Path | None = None) -> Path:
    """The directory with the libraries, to be put on LD_LIBRARY_PATH; below `directory`, or a cache of this user.

    Raises UnavailableError, with the reason, where there is no compiler, no TensorFlow with CUDA's headers, or not
    Linux on x86-64.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise UnavailableError(
            f"it is written for Linux on x86-64, this is {platform.system()} on {platform.machine()}"
        )
    tools = {tool: shutil.which(tool) for tool in ("gcc", "nm")}
    for tool, path in tools.items():
        if path is None:
            raise UnavailableError(f"{tool} is not installed")
    tensorflow = tensorflow_directory()
    includes = include_directories(tensorflow)
    framework = tensorflow / "libtensorflow_framework.so.2"
    digest = hashlib.sha256(repr((FLAGS, str(framework), framework.stat().st_mtime_ns, SONAMES)).encode())
    for source in (Path(__file__), *sorted(SOURCES.glob("*.[ch]"))):
        digest.update(source.read_bytes())
    place = (directory or cache_directory()) / f"standin-gpu-{digest.hexdigest()[:16]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes that start together build it once
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=place.parent) as folder:
                _build_in(Path(folder), includes, framework)
                finished = Path(folder) / "lib"
                os.rename(finished, place)
    return place


def _build_in(folder: Path, includes: list[Path], framework: Path) -> None:
    flags = [*FLAGS, *(f"-isystem{path}" for path in includes)]
    objects = []
    for source in sorted(SOURCES.glob("*.c")):
        objects.append(folder / f"{source.stem}.o")
        _run("gcc", *flags, "-c", source, "-o", objects[-1])
    defined = _symbols("--defined-only", *objects)
    stubs = folder / "stubs.c"
    stubs.write_text(stubs_source(sorted(_symbols("-D", framework) - defined)))
    lib = folder / "lib"
    lib.mkdir()
    _run("gcc", *flags, "-shared", "-o", lib / LIBRARY, *objects, stubs, "-Wl,-Bsymbolic", "-lpthread")
    for soname in SONAMES:
        (lib / soname).symlink_to(LIBRARY)


def stubs_source(names: list[str]) -> str:
    """C source of functions that answer 0, which is success in all these libraries.

    One that makes a descriptor has to give an address, because TensorFlow keeps and returns it.
    """
    lines = ["#include <stdlib.h>"]
    for name in names:
        if re.fullmatch(r"cudnnCreate\w*Descriptor", name):
            lines.append(f"int {name}(void **made) {{ *made = calloc(1, 64); return 0; }}")
        else:
            lines.append(f"long {name}(void) {{ return 0; }}")
    return "\n".join(lines) + "\n"


def _symbols(*arguments: str | Path) -> set[str]:
    """Functions of the CUDA libraries in these files. TensorFlow exports one trampoline for each that it may call."""
    names = {
        line.split()[-1].partition("@")[0] for line in _run("nm", *arguments).splitlines() if line.strip()
    }
    return {name for name in names if _OURS.fullmatch(name)}


def _run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr}")
    return done.stdout


def environment(libraries: Path) -> dict[str, str]:
    """Variables with which a process runs on the stand-in."""
    inherited = os.environ.get("LD_LIBRARY_PATH")
    return {
        "LD_LIBRARY_PATH": f"{libraries}:{inherited}" if inherited else str(libraries),
        "CUDA_CACHE_DISABLE": "1",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
