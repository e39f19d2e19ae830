"""The formats that can be imported, and which of them a file is in. A new format is a new module and one line here.

A reader is a module with `NAME`, `TITLE`, `sniff(path, head)` and `read(path)`: `head` are the first bytes, unpacked
(empty for a directory), and the first reader that knows them reads the file. Names of files play no part, except where
a format has no mark of its own (`xplane.file`).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

from tftrace.errors import InputError
from tftrace.ingest.recorded_file import read_head

MODULES: Final = (
    "tensorboard",
    "nsys",
    "xplane.file",
    "chrome",
    "cudnn.frontend_log",
    "onednn_log",
    "cudnn.rankings",
    "cudnn.log",
    "tf_log",
    "xla_autotune",
)
"""In the order in which they are asked."""


class Reader(Protocol):
    """What each module of `MODULES` is."""

    NAME: str
    TITLE: str

    def sniff(self, path: Path, head: bytes) -> bool: ...

    def read(self, path: Path) -> Any: ...


@dataclass(frozen=True)
class Found:
    """A file or directory, and the reader that knows it."""

    path: Path
    reader: Reader

    def read(self) -> Any:
        return self.reader.read(self.path)


def readers() -> list[Reader]:
    """All of them, imported."""
    return [import_module(f"tftrace.ingest.{name}") for name in MODULES]


def find(path: Path) -> Found:
    """The reader of this file or directory, by what it holds.

    Raises InputError where there is none, where the file is empty or cannot be read, and for what is neither file nor
    directory.
    """
    if not path.exists():
        raise InputError(f"{path}: does not exist; give a recorded file or a TensorBoard log directory")
    if not path.is_dir() and not path.is_file():
        raise InputError(f"{path}: is neither file nor directory; give a recorded file")
    head = b"" if path.is_dir() else read_head(path)
    known = readers()
    for reader in known:
        if path.is_dir() == (reader.NAME == "tensorboard") and reader.sniff(path, head):
            return Found(path, reader)
    if path.is_dir():
        raise InputError(
            f"{path}: a directory without *.xplane.pb; give a TensorBoard log directory, or a file"
        )
    kinds = ", ".join(reader.TITLE for reader in known)
    raise InputError(f"{path}: of no known format; tftrace imports: {kinds}")
