"""Which cuDNN to ask: the one of this environment, or another that is installed somewhere.

Nothing is downloaded. Several versions live side by side below `VERSIONS`, each in a directory that
`pip install --target` made:

    ~/.cache/tftrace/cudnn/9.10/nvidia/cudnn/lib/libcudnn.so.9
    ~/.cache/tftrace/cudnn/9.28/nvidia/cudnn/lib/libcudnn.so.9
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tftrace.capture.native import cache_directory
from tftrace.errors import UsageError

LIBRARY: Final = "libcudnn.so.9"
EXTRA: Final = "pip install 'tftrace[cudnn]'"
_VERSION = re.compile(r"\d+(\.\d+){0,3}")
_WHEEL = re.compile(r"nvidia_cudnn_cu\d+-(?P<version>\d[\d.]*)\.dist-info")
_HEADER = re.compile(r"#define CUDNN_(MAJOR|MINOR|PATCHLEVEL)\s+(\d+)")
_BELOW: Final = ("", "lib", "lib64", "nvidia/cudnn/lib")


@dataclass(frozen=True)
class Install:
    """`version` is None where neither a wheel nor a header tells it; the library itself always does. `instead` is a
    cuBLASLt to be used in place of the one beside it."""

    library: Path
    version: str | None
    instead: Path | None = None

    @property
    def nvidia(self) -> Path:
        """The directory in which wheels of NVIDIA put each library's own; another one where it is no wheel's."""
        return self.library.parents[2]

    @property
    def cublaslt(self) -> list[str]:
        """The places to try for cuBLASLt, without which cuDNN ends its process: beside it, else in this environment or
        with another version that is kept."""
        roots = (self.nvidia, *_nvidia_here(), *(folder / "nvidia" for folder in _kept_folders()))
        found = [path for root in roots for path in sorted(root.glob("*/lib/libcublasLt.so.*"))]
        given = [] if self.instead is None else [self.instead]
        return [*map(str, (*given, *found)), "libcublasLt.so.12", "libcublasLt.so.13"]


def versions_directory() -> Path:
    return cache_directory() / "cudnn"


def find(wanted: str | None = None) -> Install:
    """The cuDNN of this environment, or that of the version (`9.10` is any 9.10) or in the directory `wanted`.

    Raises UsageError: what is missing, and the command that gets it.
    """
    if wanted is None:
        here = next(_here(), None)
        if here is None:
            raise UsageError(f"cuDNN is not installed in this environment; get it (2 GB) with: {EXTRA}")
        return here
    if _VERSION.fullmatch(wanted) and not Path(wanted).exists():
        return _of_version(wanted)
    place = Path(wanted).expanduser()
    found = next(_in(place), None)
    if found is None:
        raise UsageError(
            f"--cudnn {wanted}: it holds no {LIBRARY}; give a version, or the directory of an installed cuDNN 9"
        )
    return found


def _of_version(wanted: str) -> Install:
    known = [*_here(), *_kept()]
    fitting = [one for one in known if one.version is not None and f"{one.version}.".startswith(f"{wanted}.")]
    if fitting:
        return fitting[0]
    told = ", ".join(one.version or str(one.library) for one in known) or "none"
    target = versions_directory() / wanted
    raise UsageError(
        f"--cudnn {wanted}: not installed (there is {told}); get it (1 GB) with: "
        f"pip install --no-deps --target {target} 'nvidia-cudnn-cu12=={wanted}.*'"
    )


def _here() -> Iterator[Install]:
    for folder in sys.path:
        if folder:
            yield from _at(Path(folder) / "nvidia/cudnn/lib" / LIBRARY)


def _kept() -> Iterator[Install]:
    for folder in _kept_folders():
        yield from _at(folder / "nvidia/cudnn/lib" / LIBRARY)


def _kept_folders() -> list[Path]:
    kept = versions_directory()
    return sorted(kept.iterdir(), reverse=True) if kept.is_dir() else []


def _in(place: Path) -> Iterator[Install]:
    if place.name.startswith("libcudnn.so"):
        yield from _at(place)
    for below in _BELOW:
        yield from _at(place / below / LIBRARY)
    for packages in sorted(place.glob("lib/python3*/site-packages")):  # a virtual environment
        yield from _at(packages / "nvidia/cudnn/lib" / LIBRARY)


def _at(library: Path) -> Iterator[Install]:
    if library.is_file():
        yield Install(library.absolute(), _version(library.absolute()))


def _version(library: Path) -> str | None:
    packages = library.parents[3] if len(library.parents) > 3 else library.parent
    for folder in sorted(packages.glob("nvidia_cudnn_cu*.dist-info")):
        if match := _WHEEL.fullmatch(folder.name):
            return match["version"]
    for header in ("cudnn_version.h", "cudnn_version_v9.h"):
        path = library.parents[1] / "include" / header
        if path.is_file():
            parts = dict(_HEADER.findall(path.read_text(errors="replace")))
            if len(parts) == 3:
                return f"{parts['MAJOR']}.{parts['MINOR']}.{parts['PATCHLEVEL']}"
    return None


def _nvidia_here() -> Iterator[Path]:
    for folder in sys.path:
        if folder and (Path(folder) / "nvidia").is_dir():
            yield Path(folder) / "nvidia"
