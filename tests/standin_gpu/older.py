"""TensorFlow 2.15.1 on the stand-in GPU: the last whose convolutions can go by cuDNN's older API, by algorithm.

Its wheel has CUDA's headers but none of cuDNN; those come from NVIDIA's package of cuDNN 8, of which nothing else is
kept.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.stacks.environments import install
from tests.standin_gpu import build as standin

VERSION = "2.15.1"
CUDNN = "nvidia-cudnn-cu12==8.9.7.29"
_HEADERS = "nvidia/cudnn/include/"


@dataclass(frozen=True)
class Older:
    """`python` has that TensorFlow; `environment` is for its process."""

    python: str
    environment: dict[str, str]


def prepare(download: bool) -> Older:
    """Installs it into a cache of this user, once. Raises UnavailableError where it is not there and may not be got."""
    if sys.version_info >= (3, 12):
        raise standin.UnavailableError(f"TensorFlow {VERSION} runs on Python 3.11 and older")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    place = standin.cache_directory() / f"tensorflow-{VERSION}-python{version}"
    with standin.built_once(place) as folder:
        if folder is not None:
            if not download:
                raise standin.UnavailableError(
                    f"TensorFlow {VERSION} is not in {place.parent}; {standin.DOWNLOAD}=1 downloads 2 GB"
                )
            _install(folder)
    packages = place / "lib" / f"python{version}" / "site-packages"
    libraries = standin.build(packages / "tensorflow", place / "cudnn" / _HEADERS)
    return Older(str(place / "bin" / "python"), standin.environment(libraries))


def _install(place: Path) -> None:
    install(place, sys.executable, f"tensorflow=={VERSION}")
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, CUDNN)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(place / "cudnn", [n for n in archive.namelist() if n.startswith(_HEADERS)])


def _run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise standin.UnavailableError(f"{' '.join(map(str, command[1:4]))} failed: {last}")
