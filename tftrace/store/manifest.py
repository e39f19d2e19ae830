"""The manifest of a trace: what ran, on what, and how each probe fared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from tftrace.errors import InputError, UsageError
from tftrace.model.schemas import FORMAT_VERSION

MANIFEST: Final = "manifest.json"

_REQUIRED: Final[dict[str, type | tuple[type, ...]]] = {
    "format_version": int,
    "argv": list,
    "exit_status": (int, type(None)),
    "versions": dict,
    "processes": list,
    "probes": list,
}


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of the trace in `directory`.

    Raises InputError where there is none, where it is cut or something else's, and where another version of
    tftrace wrote a format that this one does not read.
    """
    path = directory / MANIFEST
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        what = "is no trace" if directory.is_dir() else "does not exist"
        raise InputError(
            f"{directory}: {what} (no {MANIFEST}); give a directory that 'tftrace run' wrote, see 'tftrace list'"
        ) from None
    except NotADirectoryError:
        raise InputError(f"{directory}: is a file; give the trace's directory") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        manifest = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"{path}: is cut or damaged (line {error.lineno}: {error.msg}); delete it, and the next command "
            "rebuilds the trace from raw/"
        ) from None
    return _checked(path, manifest)


def _checked(path: Path, manifest: Any) -> dict[str, Any]:
    if not isinstance(manifest, dict) or "format_version" not in manifest:
        raise InputError(f"{path}: is not a tftrace manifest; give a directory that 'tftrace run' wrote")
    version = manifest["format_version"]
    if version != FORMAT_VERSION:
        remedy = (
            "update tftrace" if isinstance(version, int) and version > FORMAT_VERSION else "record it again"
        )
        raise InputError(
            f"{path}: has trace format {version!r}, this tftrace reads {FORMAT_VERSION}; {remedy}"
        )
    for key, kind in _REQUIRED.items():
        if key not in manifest or not isinstance(manifest[key], kind):
            state = "is missing" if key not in manifest else "has the wrong type"
            raise InputError(
                f"{path}: {key!r} {state}; delete the file, and the next command rebuilds it from raw/"
            )
    for probe in manifest["probes"]:
        if not isinstance(probe, dict) or not isinstance(probe.get("name"), str) or "status" not in probe:
            raise InputError(
                f"{path}: a probe has no name or status; delete the file to have it rebuilt from raw/"
            )
    return manifest


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Writes `manifest`, whole or not at all; format_version is filled in where it is missing.

    Raises UsageError where the disk is full or the directory cannot be written; an old manifest then stands.
    """
    document = {"format_version": FORMAT_VERSION, **manifest}
    data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
    path = directory / MANIFEST
    partial = path.with_name(f"{MANIFEST}.{os.getpid()}.part")
    try:
        partial.write_bytes(data + b"\n")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}; make room or change its rights"
        ) from error
