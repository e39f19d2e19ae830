"""Trace directories: opening one, making a new one, finding those that are here."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tftrace.errors import CaptureError, InputError, TftraceError, UsageError
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace
from tftrace.store.lazy import LazyTables
from tftrace.store.manifest import MANIFEST, read_manifest, write_manifest
from tftrace.store.tables import SUFFIX, missing_tables, write_tables

__all__ = [
    "Place",
    "completing",
    "is_trace",
    "list_traces",
    "new_directory",
    "open_trace",
    "place_for",
    "replacing",
    "unfinished",
    "write_manifest",
    "write_tables",
]

DEFAULT_ROOT: Final = Path("traces")
RAW: Final = "raw"
RUN: Final = "run.json"
TIMELINE: Final = "timeline.html"
PICTURES: Final = ("flame.html", "steps.html", "waterfall.html")
"""Where a view of the trace goes that was not told another place."""
EXPORTED: Final = "exported"
"""The same for what is exported, before its suffix."""

_OWN: Final = (MANIFEST, RUN, RAW, TIMELINE, *PICTURES, *(name + SUFFIX for name in TABLES))
_PART: Final = re.compile(r".*\.\d+\.part")
_EXPORT: Final = re.compile(EXPORTED + r"(\.\w+)+")


def open_trace(path: str | os.PathLike[str]) -> Trace:
    """The trace in the directory `path`; its tables are read when they are first asked for.

    Raises InputError in one line where there is no trace, where its manifest is damaged or of another format
    version, or where a table is missing. A table that is cut or foreign raises when it is read.
    """
    directory = Path(path)
    manifest = read_manifest(directory)
    missing = missing_tables(directory)
    if missing:
        raise InputError(
            f"{directory / (missing[0] + SUFFIX)}: is missing, and there is no raw/ to rebuild it from; "
            "record the run again"
            if unfinished(directory) is None
            else f"{directory}: its tables are not built yet (no {missing[0] + SUFFIX}); "
            f"'tftrace summary {directory}' builds them from raw/"
        )
    return Trace(manifest, LazyTables(directory), directory)


def is_trace(directory: Path) -> bool:
    """Whether `directory` is a trace, finished or not, and not something else that tftrace must keep off."""
    try:
        entries = sorted(entry.name for entry in os.scandir(directory))
    except OSError:
        return False
    if RUN in entries and RAW in entries:
        return True
    if MANIFEST in entries:
        try:
            head = (directory / MANIFEST).read_bytes()
        except OSError:
            return False
        return b'"format_version"' in head and b'"probes"' in head
    # a run that was killed before it could write run.json: nothing but raw/ with an agent's process.json
    return entries == [RAW] and any((directory / RAW).glob("*/process.json"))


def unfinished(directory: Path) -> str | None:
    """Why the tables of the trace have to be built from raw/, or None where they stand or cannot be built."""
    if not (directory / RUN).is_file() or not (directory / RAW).is_dir():
        return None
    if not (directory / MANIFEST).is_file():
        return "the run was recorded, its tables were never built"
    missing = missing_tables(directory)
    return f"{missing[0] + SUFFIX} is missing" if missing else None


def new_directory(path: Path | None, script: str, force: bool = False) -> Path:
    """Makes the empty directory that a run of `script` is recorded to, and its parents.

    Without `path` it is traces/<script>-<YYYYmmdd-HHMMSS> below the working directory, numbered where two runs
    begin within one second. `force` replaces a trace that stands at `path`: only what tftrace wrote is
    removed, and a directory that is neither empty nor a trace is never touched.

    Raises UsageError where `path` is taken, CaptureError where it cannot be written.
    """
    if path is None:
        return _default(script)
    try:
        if path.is_dir():
            _take_over(path, force)
        elif path.exists() or path.is_symlink():
            raise _is_file(path)
        path.mkdir(parents=True, exist_ok=True)
        _check_writable(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def check_free(path: Path | None, force: bool) -> None:
    """Raises UsageError where `new_directory` would because `path` is taken, before much is done for it."""
    if path is None:
        return
    if path.is_dir():
        if os.listdir(path):
            _check_replaceable(path, force)
    elif path.exists() or path.is_symlink():
        raise _is_file(path)


def _default(script: str) -> Path:
    name = re.sub(r"[^\w.+-]+", "_", script).strip("._") or "run"
    stem = f"{name[:80]}-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    while True:
        path = DEFAULT_ROOT / (stem if number == 1 else f"{stem}-{number}")
        try:
            DEFAULT_ROOT.mkdir(exist_ok=True)
            path.mkdir()
        except FileExistsError as error:
            if not DEFAULT_ROOT.is_dir():
                raise _unwritable(DEFAULT_ROOT, error) from error
            number += 1
        except OSError as error:
            raise _unwritable(path, error) from error
        else:
            return path


class Place:
    """Where a trace is made until it is whole.

    `made` is the directory to write to. It is `path` itself unless an old trace is to be replaced, which stays there
    untouched until `complete`; until then the new one lies beside it, hidden.
    """

    def __init__(self, path: Path, made: Path) -> None:
        self.path, self.made = path, made

    @property
    def replaces(self) -> bool:
        """Whether an old trace stands at `path`."""
        return self.made != self.path

    def complete(self) -> Path:
        """Moves the new trace to its place, where it replaces the old one, and returns that.

        Raises CaptureError where it cannot be moved; then the old trace stands as it was.
        """
        if self.replaces:
            old = self.path.with_name(f".{self.path.name}.{os.getpid()}.old")
            moved: list[str] = []
            try:
                own = [e.name for e in os.scandir(self.path) if _is_own(e.name)]
                old.mkdir()
                try:
                    for name in own:
                        os.rename(self.path / name, old / name)
                        moved.append(name)
                    for entry in sorted(self.made.iterdir()):
                        os.rename(entry, self.path / entry.name)
                except OSError:
                    for name in moved:
                        if (self.path / name).exists():  # of the new one
                            os.rename(self.path / name, self.made / name)
                        os.rename(old / name, self.path / name)
                    old.rmdir()
                    raise
            except OSError as error:
                raise _unwritable(self.path, error) from error
            shutil.rmtree(old, ignore_errors=True)
            self.drop()
        return self.path

    def keep(self) -> Path:
        """Where what was made stays, since it could not be completed: `path`, or beside an old trace there. `made` is
        that from then on."""
        if not self.replaces:
            return self.path
        number = 1
        while True:
            beside = self.path.with_name(f"{self.path.name}-new" + (f"-{number}" if number > 1 else ""))
            if not beside.exists():
                break
            number += 1
        try:
            os.rename(self.made, beside)
        except OSError:
            return self.made
        self.made = beside
        return beside

    def drop(self) -> None:
        """Removes what was made beside an old trace."""
        if self.replaces:
            shutil.rmtree(self.made, ignore_errors=True)


def place_for(path: Path | None, script: str, force: bool) -> Place:
    """A directory to make a trace of `script` in, as `new_directory` makes it; with `force` an old trace stays at
    `path` until the new one is complete.

    Raises as `new_directory` does, before anything is made.
    """
    if path is None or not force or not path.is_dir() or not os.listdir(path):
        made = new_directory(path, script, force)
        return Place(made, made)
    _check_replaceable(path, force)
    where = path.resolve()
    try:
        return Place(
            where, Path(tempfile.mkdtemp(prefix=f".{where.name}.", suffix=".part", dir=where.parent))
        )
    except OSError as error:
        raise _unwritable(where.parent, error) from error


@contextmanager
def completing(place: Place) -> Iterator[Path]:
    """Around the last steps of a trace whose records lie in `place`: where they fail the records are kept, beside an
    old trace that stays as it was, and the error says where."""
    try:
        yield place.made
        place.complete()
    except TftraceError as error:
        made, kept = place.made, place.keep()
        if kept == place.path:
            raise
        said = str(error).replace(str(made), str(kept))
        raise type(error)(f"{said} (the new records are in {kept}; {place.path} is as it was)") from error
    except BaseException:
        place.keep()
        raise


@contextmanager
def replacing(path: Path | None, script: str, force: bool) -> Iterator[Path]:
    """A directory to make a trace in; when all went well it stands at `path`. With `force` an old trace stays there
    until then, whatever happens.

    Raises as `new_directory` does, before anything is made.
    """
    place = place_for(path, script, force)
    try:
        yield place.made
        place.complete()
    finally:
        place.drop()


def _is_file(path: Path) -> UsageError:
    return UsageError(f"{path}: is a file; choose another place with -o")


def _check_replaceable(path: Path, force: bool) -> None:
    if not is_trace(path):
        raise UsageError(f"{path}: is not empty and no trace; choose another place with -o")
    if not force:
        raise UsageError(
            f"{path}: there is a trace already; choose another place with -o, or replace it with --force"
        )
    _check_writable(path)


def _take_over(path: Path, force: bool) -> None:
    entries = list(os.scandir(path))
    if not entries:
        return
    _check_replaceable(path, force)
    for entry in entries:
        if _is_own(entry.name):
            _discard(Path(entry.path))


def _is_own(name: str) -> bool:
    return name in _OWN or bool(_PART.fullmatch(name) or _EXPORT.fullmatch(name))


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.is_symlink() or path.exists():
        path.unlink()


def _check_writable(path: Path) -> None:
    # os.access lies for root and on read-only mounts: try
    probe = path / f".tftrace.{os.getpid()}.part"
    with open(probe, "xb"):
        pass
    probe.unlink()


def _unwritable(path: Path, error: OSError) -> CaptureError:
    why = (
        "is a file"
        if error.errno in (errno.EEXIST, errno.ENOTDIR)
        else f"cannot be written: {error.strerror}"
    )
    return CaptureError(f"{path}: {why}; choose another place with -o")


def list_traces(root: Path) -> list[Path]:
    """The trace directories directly below `root`, newest run first; none where `root` does not exist."""
    found: list[tuple[float, str, Path]] = []
    try:
        entries = list(os.scandir(root))
    except OSError:
        return []
    for entry in entries:
        directory = Path(entry.path)
        if not entry.is_dir() or not is_trace(directory):
            continue
        marks = [directory / RUN, directory / MANIFEST, directory]
        when = next((mark.stat().st_mtime for mark in marks if mark.exists()), 0.0)
        found.append((when, entry.name, directory))
    return [directory for _, _, directory in sorted(found, reverse=True)]
