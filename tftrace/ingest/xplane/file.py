"""Knows a TensorFlow profile by its bytes; `xplane` reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tftrace.ingest.xplane.schema import STATS
from tftrace.ingest.xplane.space import XSpace, read_xspace
from tftrace.store.pages import Pages

NAME: Final = "xplane"
TITLE: Final = "TensorFlow profile (xplane.pb)"

_PLANES: Final = (b"/host:", b"/device:", b"Task Environment", b"#Chip", b"/task:")


def sniff(path: Path, head: bytes) -> bool:
    """Whether the bytes begin as an XSpace does, a plane with a name; a file of that name counts, damaged or not.

    An XSpace has no magic number: field 1 is a plane, and a plane's name stands at its beginning or behind all its
    lines, so that names of well-known planes are looked for where the name is not near.
    """
    if path.name.endswith(".xplane.pb"):
        return True
    return head[:1] == b"\x0a" and any(name in head for name in _PLANES)


def read(path: Path) -> XSpace:
    """Reads a profile. Raises InputError as `read_xspace` says."""
    return read_xspace(path, STATS, pages=Pages())
