"""Finds the profiles in a TensorBoard log directory: `**/plugins/profile/<run>/<host>.xplane.pb`.

The profile's own directory (`plugins/profile/<run>`, or one above it) will do as well. What TensorBoard computed from
the profiles (`*.kernel_stats.pb`, `*.trace.json.gz`, ..) is not read: the profiles hold all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tftrace.errors import InputError
from tftrace.ingest.xplane.schema import STATS
from tftrace.ingest.xplane.space import XSpace, read_xspace
from tftrace.store.pages import Pages

NAME: Final = "tensorboard"
TITLE: Final = "TensorBoard log directory"

_PROFILES: Final = "*.xplane.pb"


@dataclass(frozen=True)
class Logdir:
    """The profiles below one directory, each with its path in there."""

    path: Path
    profiles: list[tuple[Path, XSpace]]


def sniff(path: Path, head: bytes) -> bool:
    """Whether there is a profile anywhere below this directory."""
    return path.is_dir() and next(path.rglob(_PROFILES), None) is not None


def read(path: Path) -> Logdir:
    """Reads every profile. Raises InputError where there is none, or where one cannot be read."""
    found = sorted(p for p in path.rglob(_PROFILES) if p.is_file())
    if not found:
        raise InputError(f"{path}: holds no *.xplane.pb; give the log directory that holds plugins/profile/")
    return Logdir(path, [(p.relative_to(path), read_xspace(p, STATS, pages=Pages())) for p in found])
