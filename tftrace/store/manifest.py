"""Reads and writes `manifest.json`, the one file that says what a trace directory is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tftrace.errors import InputError, TftraceError

MANIFEST: Final = "manifest.json"
FORMAT_VERSION: Final = 1
"""Newest format that this tftrace reads. `tftrace.model.schemas` holds the same number beside the tables'
columns; it is repeated here because reading a manifest must not cost the import of pyarrow."""

_REQUIRED: Final = ("format_version", "argv", "exit_status", "versions", "processes", "probes")


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of the trace in `directory`, as it stands in the file.

    Raises InputError where it is missing, not a manifest, or of a format newer than this tftrace reads.
    """
    import orjson

    path = directory / MANIFEST
    try:
        data = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{directory}: not a trace: it holds no {MANIFEST}; record one with 'tftrace run'"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"{path}: cut or damaged at line {error.lineno}: {error.msg}; record the run again"
        ) from error
    if not isinstance(data, dict) or "format_version" not in data:
        raise InputError(f"{path}: not the manifest of a trace: it has no format_version")
    version = data["format_version"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"{path}: format_version is {version!r}, not a number from 1 on")
    if version > FORMAT_VERSION:
        raise InputError(f"{path}: format_version {version} is newer than this tftrace reads; update tftrace")
    missing = [key for key in _REQUIRED if key not in data]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; record the run again")
    for key, kind in (("argv", list), ("versions", dict), ("processes", list), ("probes", list)):
        if not isinstance(data[key], kind):
            raise InputError(f"{path}: {key} is not {'a list' if kind is list else 'an object'}")
    if not all(isinstance(probe, dict) for probe in data["probes"]):
        raise InputError(f"{path}: probes holds something that is no object")
    return data


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Replaces the manifest of `directory` as a whole: a reader finds the old or the new one, never a part.

    Raises TftraceError where it cannot be written; the old one is then untouched.
    """
    import orjson

    body = orjson.dumps(dict(manifest), option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
    replace_file(directory / MANIFEST, body + b"\n")


def replace_file(path: Path, body: bytes) -> None:
    """Writes `body` to `path` by way of a temporary file beside it. Raises TftraceError where it cannot."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(body)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> TftraceError:
    """One line for a write that failed, whatever the reason."""
    return TftraceError(
        f"{path}: cannot be written: {error.strerror or error}; free space or choose another place"
    )
