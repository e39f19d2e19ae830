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
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

SOURCES = Path(__file__).parent / "native"
SCRIPTS = Path(__file__).parent / "scripts"
SONAMES = (
    "libcuda.so.1", "libcudart.so.12", "libcudnn.so.9", "libcudnn.so.8", "libcublas.so.12", "libcublasLt.so.12",
    "libcufft.so.11", "libcusolver.so.11", "libcusparse.so.12", "libcupti.so.12", "libnvidia-ml.so.1",
)  # fmt: skip
FLAGS = ("-std=gnu11", "-g", "-O1", "-fPIC", "-Wall", "-Werror", "-DCUDA_NO_PROTOTYPE")
LIBRARY = "libstandin_gpu.so"
DOWNLOAD = "TFTRACE_TEST_DOWNLOADS"
"""With 1 in this variable tests may download large packages, and fail where they would skip."""
_OURS = re.compile(r"(cu[A-Z]|cuda[A-Z]|cudnn|cublas|cufft|cusolver|cusparse|cupti|nvml|__cuda)\w*")


class UnavailableError(Exception):
    """The stand-in cannot be built here; the message says why."""


def tensorflow_directory() -> Path:
    spec = find_spec("tensorflow")
    if spec is None or spec.origin is None:
        raise UnavailableError("TensorFlow is not installed in this environment")
    return Path(spec.origin).parent


def include_directories(tensorflow: Path, cudnn: Path | None = None) -> list[Path]:
    """Where CUDA's, CUPTI's and cuDNN's headers are: in the wheel, or for cuDNN in `cudnn`.

    Raises UnavailableError for a wheel without them.
    """
    cuda = tensorflow / "include" / "third_party" / "gpus" / "cuda"
    found = [
        cuda / "include",
        cudnn or cuda.parent / "cudnn" / "include",
        cuda / "extras" / "CUPTI" / "include",  # older wheels keep it with CUDA's
        cuda / "libcudacxx" / "include",
    ]
    for header in ("cuda.h", "cudnn.h", "cupti.h"):
        if not any((directory / header).exists() for directory in found):
            raise UnavailableError(f"this TensorFlow was built without CUDA: it has no {header}")
    return found


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "tftrace-tests"


def build(tensorflow: Path | None = None, cudnn_headers: Path | None = None) -> Path:
    """The directory with the libraries, to be put on LD_LIBRARY_PATH; in a cache of this user.

    For the TensorFlow in the directory `tensorflow` (default: the one that is installed here). A wheel older than
    2.16 has no headers of cuDNN; they are taken from `cudnn_headers`.

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
    tensorflow = tensorflow or tensorflow_directory()
    includes = include_directories(tensorflow, cudnn_headers)
    framework = tensorflow / "libtensorflow_framework.so.2"
    identity = repr((FLAGS, str(framework), framework.stat().st_mtime_ns, includes)).encode()
    sources = (Path(__file__), *sorted(SOURCES.glob("*.[ch]")))
    place = place_for("standin-gpu", identity, *(source.read_bytes() for source in sources))
    with built_once(place) as folder:
        if folder is not None:
            _build_in(folder, includes, framework)
    return place


def place_for(name: str, *parts: bytes) -> Path:
    """Where the libraries made from `parts` belong."""
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    return cache_directory() / f"{name}-{digest}"


@contextmanager
def built_once(place: Path) -> Iterator[Path | None]:
    """An empty directory that becomes `place` when all went well; None where it is there already.

    Test processes that start together wait for one of them to build it.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            yield None
            return
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            made = Path(folder) / "lib"
            made.mkdir()
            yield made
            os.rename(made, place)


def _build_in(lib: Path, includes: list[Path], framework: Path) -> None:
    flags = [*FLAGS, *(f"-isystem{path}" for path in includes)]
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for source in sorted(SOURCES.glob("*.c")):
            objects.append(Path(folder) / f"{source.stem}.o")
            run("gcc", *flags, "-c", source, "-o", objects[-1])
        stubs = Path(folder) / "stubs.c"
        stubs.write_text(
            stubs_source(sorted(_symbols("-D", framework) - _symbols("--defined-only", *objects)))
        )
        run("gcc", *flags, "-shared", "-o", lib / LIBRARY, *objects, stubs, "-Wl,-Bsymbolic", "-lpthread")
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
        line.split()[-1].partition("@")[0] for line in run("nm", *arguments).splitlines() if line.strip()
    }
    return {name for name in names if _OURS.fullmatch(name)}


def run(*command: str | Path) -> str:
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
