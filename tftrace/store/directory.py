"""The trace directory: makes a new one, writes its tables, opens one, lists those below a root."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tftrace.errors import CaptureError, InputError, UsageError
from tftrace.store.manifest import MANIFEST, cannot_write, read_manifest

if TYPE_CHECKING:
    import pyarrow as pa

    from tftrace.model.trace import Trace

DEFAULT_ROOT: Final = Path("traces")
RAW: Final = "raw"
RUN: Final = "run.json"
TIMELINE: Final = "timeline.html"

_TABLES: Final = ("events", "links", "sites", "calls", "event_calls", "stacks", "algorithms")
_OURS: Final = (MANIFEST, RUN, RAW, TIMELINE, *(f"{name}.parquet" for name in _TABLES))
"""All that tftrace ever puts in a trace directory, and so all that `force` ever removes from one."""


class LazyTables(Mapping[str, "pa.Table"]):
    """The Parquet tables of a trace directory by name, each read at its first use and kept."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[str, pa.Table] = {}

    def __getitem__(self, name: str) -> pa.Table:
        if name not in _TABLES:
            raise KeyError(name)
        if name not in self._read:
            self._read[name] = _read_table(self._directory, name)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_TABLES)

    def __len__(self) -> int:
        return len(_TABLES)


def open_trace(path: Path | str) -> Trace:
    """The trace in the directory `path`. Tables are read (memory-mapped) when they are first asked for.

    Raises InputError, here or at the first use of a table, where something is missing, cut or not a trace.
    """
    from tftrace.model.trace import Trace

    directory = Path(path)
    if not directory.exists():
        raise InputError(f"{directory}: no such trace; 'tftrace list' shows those under {DEFAULT_ROOT}/")
    if not directory.is_dir():
        raise InputError(f"{directory}: a trace is a directory, and this is a file")
    return Trace(read_manifest(directory), LazyTables(directory), directory)


def _read_table(directory: Path, name: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tftrace.model.schemas import TABLES

    path = directory / f"{name}.parquet"
    remedy = (
        f"delete it, and it is made again from {RAW}/ the next time the trace is opened"
        if has_raw(directory)
        else "record the run again"
    )
    schema = TABLES[name]
    try:
        table = pq.ParquetFile(path, memory_map=True).read()
        missing = [field.name for field in schema if field.name not in table.column_names]
        if missing:
            raise InputError(f"{path}: not a table of tftrace: no column {', '.join(missing)}; {remedy}")
        return table.select(schema.names).cast(schema)
    except FileNotFoundError:
        raise InputError(f"{path}: missing; {remedy.removeprefix('delete it, and ')}") from None
    except (OSError, pa.ArrowException, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: cut or damaged ({first[:120]}); {remedy}") from error


def write_tables(directory: Path, tables: Mapping[str, pa.Table]) -> None:
    """Writes each table of `tables` (by name) as `<name>.parquet`.

    All files are written beside the old ones first and then renamed, so a full disk leaves the old tables
    untouched. Raises TftraceError where the directory cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts: list[tuple[Path, Path]] = []
    path = directory
    try:
        for name, table in tables.items():
            path = directory / f"{name}.parquet"
            part = directory / f".{name}.{os.getpid()}.part"
            parts.append((part, path))
            names = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
            integers = {f.name: "DELTA_BINARY_PACKED" for f in table.schema if pa.types.is_integer(f.type)}
            if name == "stacks":  # frames repeat across stacks as names do
                names += [f"frames.list.element.{f}" for f in ("kind", "function", "file", "module")]
            # Parquet's default, a dictionary tried on every column, is several times slower on times and ids
            pq.write_table(table, part, compression="zstd", use_dictionary=names, column_encoding=integers)
        for part, path in parts:
            os.replace(part, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        for part, _ in parts:
            part.unlink(missing_ok=True)


def has_raw(directory: Path) -> bool:
    """Whether the raw records are there, from which everything else can be made again."""
    raw = directory / RAW
    return raw.is_dir() and any(raw.iterdir())


def is_complete(directory: Path) -> bool:
    """Whether the manifest and every table are there."""
    return (directory / MANIFEST).is_file() and all((directory / f"{t}.parquet").is_file() for t in _TABLES)


def is_trace(directory: Path) -> bool:
    """Whether `directory` is one of ours: a manifest, or the raw records of a run cut short."""
    try:
        if (directory / MANIFEST).is_file():
            read_manifest(directory)
            return True
    except InputError:
        pass
    return any((directory / RAW).glob("*/process.json")) or (
        (directory / RAW).is_dir() and (directory / RUN).is_file()
    )


def new_directory(path: Path | None, script: str, force: bool) -> Path:
    """An empty directory for a new trace: `path`, or `traces/<script>-<YYYYmmdd-HHMMSS>`.

    `force` lets an existing trace at `path` be replaced; files that tftrace did not write
    stay where they are. A directory that holds something else is never touched. Raises UsageError where `path` is taken and
    CaptureError where it cannot be written.
    """
    try:
        if path is None:
            return _dated(script)
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path}: a file is there; a trace needs a directory, choose another with -o")
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            _clear(path, force)
        if not os.access(path, os.W_OK | os.X_OK):
            raise CaptureError(f"{path}: not writable; choose another place with -o")
    except OSError as error:
        where = path or DEFAULT_ROOT
        raise CaptureError(
            f"{where}: cannot be written: {error.strerror}; choose another place with -o"
        ) from error
    return path


def _dated(script: str) -> Path:
    stem = re.sub(r"[^\w.-]+", "_", script).strip("._-")[:80] or "run"
    base = f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    DEFAULT_ROOT.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, 1000):
        path = DEFAULT_ROOT / (base if attempt == 1 else f"{base}-{attempt}")
        try:
            path.mkdir()  # two runs begun within one second must not share a directory
        except FileExistsError:
            continue
        return path
    raise CaptureError(f"{DEFAULT_ROOT / base}: taken a thousand times; choose another place with -o")


def _clear(path: Path, force: bool) -> None:
    if not is_trace(path):
        raise UsageError(
            f"{path}: holds files that are no trace, so it is left alone; choose another place with -o"
        )
    if not force:
        raise UsageError(f"{path}: a trace is there; --force replaces it, or choose another place with -o")
    # the manifest first: what is left of a removal that is cut short is no complete trace
    for name in _OURS:
        entry = path / name
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


def list_traces(root: Path | str = DEFAULT_ROOT) -> list[Path]:
    """The trace directories directly below `root`, newest first.

    A directory that is no trace, or whose manifest cannot be read, is passed over. A `root` that does not
    exist holds none.
    """
    found: list[tuple[int, str, Path]] = []
    root = Path(root)
    for entry in root.iterdir() if root.is_dir() else ():
        if entry.is_dir() and (entry / MANIFEST).is_file():
            try:
                manifest = read_manifest(entry)
            except InputError:
                continue
            found.append((started_ns(manifest, entry), entry.name, entry))
    return [path for _, _, path in sorted(found, reverse=True)]


def started_ns(manifest: Mapping[str, Any], directory: Path | None = None) -> int:
    """When the run began, in ns since the epoch; for a manifest that does not say, when it was written."""
    try:
        return int(datetime.fromisoformat(str(manifest.get("created"))).timestamp() * 1e9)
    except ValueError:
        pass
    return (directory / MANIFEST).stat().st_mtime_ns if directory else 0
