"""What the traces below a directory hold, from their manifests alone: no table is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tftrace.errors import InputError
from tftrace.store.directory import list_traces
from tftrace.store.manifest import read_manifest


def traces(root: Path) -> list[dict[str, Any]]:
    """One row for each trace directly below `root`, newest first.

    name, path; when (ISO time of the run's begin); script (name only) and exit_status; versions; ops
    (executions), events; bytes on disk; synthetic. A value that the trace does not tell is None. `problem`
    says why a manifest could not be read, else None: such a trace is listed all the same.
    """
    return [_row(path) for path in list_traces(root)]


def _row(path: Path) -> dict[str, Any]:
    problem = None
    manifest: Mapping[str, Any] = {}
    try:
        manifest = read_manifest(path)
    except InputError as error:
        problem = "tables not built yet" if not (path / "manifest.json").is_file() else str(error)
    tables = manifest.get("tables")
    counts = tables if isinstance(tables, Mapping) else {}
    return {
        "name": path.name,
        "path": str(path),
        "when": manifest.get("created") or _modified(path),
        "script": _script(manifest.get("argv")),
        "exit_status": manifest.get("exit_status"),
        "versions": dict(manifest.get("versions") or {}),
        "ops": counts.get("calls"),
        "events": counts.get("events"),
        "bytes": _bytes(path),
        "synthetic": bool(manifest.get("synthetic", False)),
        "problem": problem,
    }


def _script(argv: Any) -> str | None:
    """The script's name from the command that ran it: `python [-m] SCRIPT ..` or `SCRIPT ..`."""
    words = [str(word) for word in argv] if isinstance(argv, list) else []
    if words and os.path.basename(words[0]).startswith(("python", "pypy")):
        words = words[1:]
    if words[:1] == ["-m"]:
        return words[1] if len(words) > 1 else None
    return os.path.basename(words[0]) if words else None


def _modified(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).isoformat()


def _bytes(path: Path) -> int:
    """Size of all files in the directory; those that vanish or cannot be seen meanwhile count as nothing."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return total
