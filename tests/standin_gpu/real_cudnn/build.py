"""NVIDIA's own cuDNN on the stand-in GPU: its engines, knobs, workspaces and log records, with made-up times.

The packages come from PyPI, into a cache of this user and not into the environment of the tests; they are large
(about 2 GB). Nothing of them is changed: a shim (`shim.c`) takes the soname and calls them.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.standin_gpu import build as standin

HERE = Path(__file__).parent
VERSION = "9.28.0.42"
PACKAGES = (
    f"nvidia-cudnn-cu12=={VERSION}",
    "nvidia-cublas-cu12==12.9.3.13",
    "nvidia-cuda-nvrtc-cu12>=12.9,<12.10",
)
PROPERTIES = HERE / "a100.json"


def packages(download: bool) -> Path:
    """The directory `nvidia` with the installed packages.

    Raises UnavailableError where they are not there and `download` is false, or pip cannot get them.
    """
    place = standin.cache_directory() / f"nvidia-cudnn-{VERSION}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            if not download:
                raise standin.UnavailableError(
                    f"{PACKAGES[0]} is not in {place.parent}; {standin.DOWNLOAD}=1 downloads 2 GB"
                )
            with tempfile.TemporaryDirectory(dir=place.parent) as folder:
                target = Path(folder) / "packages"
                done = subprocess.run(
                    [
                        sys.executable,
                        "-m",
                        "pip",
                        "install",
                        "--quiet",
                        "--no-deps",
                        "--target",
                        target,
                        *PACKAGES,
                    ],
                    capture_output=True,
                    text=True,
                )
                if done.returncode != 0:
                    last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
                    raise standin.UnavailableError(f"pip could not install {PACKAGES[0]}: {last}")
                os.rename(target, place)
    return place / "nvidia"


def build(download: bool = False) -> Path:
    """The directory with the libraries, to be put on LD_LIBRARY_PATH. Raises UnavailableError with the reason."""
    base = standin.build()
    nvidia = packages(download)
    parts = (
        Path(__file__).read_bytes(),
        (HERE / "shim.c").read_bytes(),
        str(base).encode(),
        str(nvidia).encode(),
    )
    place = standin.place_for("standin-real-cudnn", *parts)
    with standin.built_once(place) as folder:
        if folder is not None:
            _build_in(folder, base, nvidia)
    return place


def _build_in(lib: Path, base: Path, nvidia: Path) -> None:
    real_cudnn = nvidia / "cudnn" / "lib" / "libcudnn.so.9"
    real_blas = nvidia / "cublas" / "lib" / "libcublasLt.so.12"
    includes = [nvidia / "cudnn" / "include", *standin.include_directories(standin.tensorflow_directory())]
    for soname in (*standin.SONAMES, standin.LIBRARY):
        (lib / soname).symlink_to(base / soname)
    with tempfile.TemporaryDirectory() as folder:
        _behind(
            Path(folder),
            lib / "libcudnn.so.9",
            [real_cudnn],
            [HERE / "shim.c", standin.SOURCES / "handles.c"],
            includes,
        )
        # cuDNN asks for it by the name under which TensorFlow has the stand-in's: that one first, then the real one
        _behind(Path(folder), lib / "libcublasLt.so.12", [base / standin.LIBRARY, real_blas], [], [])


def _behind(
    folder: Path, made: Path, libraries: list[Path], sources: list[Path], includes: list[Path]
) -> None:
    """Builds a library that needs `libraries` by their paths: a linker takes as name what the soname says."""
    needed = []
    for number, library in enumerate(libraries):
        needed.append(folder / f"lib{made.name}-{number}.so")
        standin.run("gcc", "-shared", "-o", needed[-1], f"-Wl,-soname,{library}", "-x", "c", "/dev/null")
    made.unlink()
    flags = [*standin.FLAGS, *(f"-isystem{path}" for path in includes)]
    sources = sources or [Path("/dev/null")]
    standin.run(
        "gcc",
        *flags,
        "-shared",
        "-o",
        made,
        "-x",
        "c",
        *sources,
        "-x",
        "none",
        "-Wl,--no-as-needed",
        *needed,
        "-ldl",
    )


def environment(libraries: Path) -> dict[str, str]:
    """Variables with which a process runs on the stand-in with the real cuDNN."""
    return {**standin.environment(libraries), "STANDIN_GPU_PROPERTIES": str(PROPERTIES)}
