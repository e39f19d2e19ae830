"""`tftrace import`: a trace directory from files that others recorded.

The inputs are copied as they are to raw/imported/, where the tables can be rebuilt from; of a TensorBoard log directory
only its profiles. run.json says what was imported, the manifest what each file held and how its times were placed.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tftrace.correlate.imports.containment import contain
from tftrace.correlate.imports.facts import EPOCH, UTC_ASSUMED, Facts
from tftrace.correlate.ledger.algorithm_rows import settle
from tftrace.correlate.tables.columns import TraceBuilder
from tftrace.errors import CaptureError, UsageError
from tftrace.ingest.registry import Found, find
from tftrace.model import schemas
from tftrace.model.layers import LAYERS
from tftrace.store.directory import replacing, write_tables
from tftrace.store.manifest import write_manifest

ADDERS: Final = {
    "cudnn_log": "cudnn",
    "cudnn_frontend_log": "cudnn_frontend",
    "nsys": "nsys",
    "onednn_log": "onednn",
    "cudnn_rankings": "cudnn_rankings",
    "chrome": "chrome",
    "tf_log": "tf_log",
    "xla_autotune": "xla_autotune",
    "xplane": "profiles",
    "tensorboard": "profiles",
}
"""Name of a reader -> module of `tftrace.correlate.imports` with `dated(record)` and `add(record, build, base_ns)`."""

IMPORTED: Final = "imported"
Progress = Callable[[str, float], None]

_STAND_IN = re.compile(r"stand[-_ ]?in|fake ?gpu", re.IGNORECASE)
_AT_THE_FIRST: Final = "beginning where the first file that tells its time begins, else at 0"
_OF_THE_SCRIPT: Final = ("python", "api", "gen_op")
_NOT_RECORDED: Final = "none of the imported files records it"
_NO_SCRIPT: Final = "imported from records of others, which hold no frame of a script"


@dataclass(frozen=True)
class _Part:
    """One imported file: what it is, and what became of it."""

    found: Found
    stored: Path
    given: str


def import_files(paths: Sequence[Path], directory: Path | None, force: bool = False) -> Path:
    """Makes a trace of these files; returns its directory. Without `directory` it is traces/<first file>-<time>.

    Everything is read before anything is written, so a file that cannot be read leaves no half trace. With `force` the
    old one stays in its place until the new one is whole. Raises InputError for a file of no known format, empty or
    damaged; UsageError where the directory is taken.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a file is given twice, and would count twice; give each file once")
    found = [find(path) for path in paths]
    records = [one.read() for one in found]
    for one in found:
        if directory is not None and directory.resolve() in one.path.resolve().parents:
            raise UsageError(
                f"{one.path}: lies in {directory}, which would be replaced; choose another place with -o"
            )
    with replacing(directory, paths[0].name, force) as place:
        _import(place, found, records)
    return place if directory is None else directory


def _import(place: Path, found: list[Found], records: list[Any]) -> None:
    stored = [_store(one, number, place) for number, one in enumerate(found, 1)]
    rows = [
        {"given": str(one.path), "stored": str(path.relative_to(place)), "reader": one.reader.NAME}
        for one, path in zip(found, stored, strict=True)
    ]
    run = {
        "argv": ["tftrace", "import", *(str(one.path) for one in found)], "imported": rows,
        "created_ns": time.time_ns(), "exit_status": None,
    }  # fmt: skip
    try:
        (place / "run.json").write_text(json.dumps(run, indent=1))
    except OSError as error:
        raise CaptureError(f"{place / 'run.json'}: cannot be written: {error.strerror}; make room") from error
    parts = [_Part(one, path, str(one.path)) for one, path in zip(found, stored, strict=True)]
    _build(place, run, parts, records, lambda what, done: None)


def rebuild(directory: Path, run: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Tables and manifest of an imported trace from its raw/imported/ and run.json; returns the manifest.

    Raises InputError where a file there is gone or has been damaged.
    """
    parts: list[_Part] = []
    records: list[Any] = []
    for number, row in enumerate(run["imported"]):
        path = directory / str(row["stored"])
        progress(f"reading {path.name}", number / max(len(run["imported"]), 1) * 0.6)
        found = find(path)
        records.append(found.read())
        parts.append(_Part(found, path, str(row["given"])))
    return _build(directory, run, parts, records, progress)


def _store(found: Found, number: int, place: Path) -> Path:
    """Copies the input, unless it lies there already."""
    name = re.sub(r"[^\w.+-]+", "_", found.path.resolve().name).lstrip(".") or "file"
    target = place / "raw" / IMPORTED / f"{number:02d}" / name
    try:
        if not found.path.is_dir():
            target.parent.mkdir(parents=True)
            shutil.copy2(found.path, target)
            return target
        for profile in sorted(found.path.rglob("*.xplane.pb")):
            copy = target / profile.relative_to(found.path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(profile, copy)
    except OSError as error:
        raise CaptureError(
            f"{target}: cannot be written: {error.strerror}; make room, or choose another place with -o"
        ) from error
    return target


def _build(
    directory: Path, run: dict[str, Any], parts: list[_Part], records: list[Any], progress: Progress
) -> dict[str, Any]:
    """`records` hold what the files held; each is given up as soon as its events are added."""
    build = TraceBuilder(directory)
    adders = [import_module(f"tftrace.correlate.imports.{ADDERS[p.found.reader.NAME]}") for p in parts]
    facts: dict[int, Facts] = {}
    base = 0
    # what tells its time comes first: the rest begins where that does
    dated = [adder.dated(record) for adder, record in zip(adders, records, strict=True)]
    order = sorted(range(len(parts)), key=lambda i: not dated[i])
    for done, i in enumerate(order):
        progress(f"joining {parts[i].stored.name}", 0.6 + 0.2 * done / len(parts))
        facts[i] = adders[i].add(records[i], build, base)
        records[i] = None
        if dated[i]:
            first = build.first_start()
            base = base if first is None else first
    contain([one.spans for _, one in sorted(facts.items()) if one.spans is not None], build)
    settle(build)
    progress("writing", 0.85)
    rows = write_tables(directory, build.streams())
    manifest = _manifest(run, parts, [facts[i] for i in range(len(parts))], build)
    manifest["tables"] = rows
    write_manifest(directory, manifest)
    progress("done", 1.0)
    return manifest


def _manifest(
    run: dict[str, Any], parts: list[_Part], facts: list[Facts], build: TraceBuilder
) -> dict[str, Any]:
    created = run.get("created_ns")
    versions: dict[str, Any] = {}
    for fact in facts:
        versions = fact.versions | versions
    devices = _unique([d for f in facts for d in f.devices])
    names = [str(d.get("name")) for d in devices] + build.words.values
    return {
        "format_version": schemas.FORMAT_VERSION,
        "created": datetime.fromtimestamp(created / 1e9, timezone.utc).isoformat() if created else None,
        "argv": list(run.get("argv", [])),
        "exit_status": None,
        "wall_us": None,
        "synthetic": any(_STAND_IN.search(name) for name in names),
        "versions": versions,
        "devices": devices,
        "env": {},
        "clocks": [_clock(p, f) for p, f in zip(parts, facts, strict=True)],
        "processes": _processes(facts),
        "probes": _probes(parts, facts),
        "unobserved": {
            layer: _NO_SCRIPT if layer in _OF_THE_SCRIPT else _NOT_RECORDED
            for layer in LAYERS
            if layer not in build.layers()
        },
        "problems": [],
        "imported": [
            {"file": p.given, "stored": f"raw/{IMPORTED}/{p.stored.parent.name}/{p.stored.name}",
             "reader": p.found.reader.NAME, "entries": f.entries, "events": f.events, "lost": f.lost,
             "reason": f.reason, **f.details}
            for p, f in zip(parts, facts, strict=True)
        ],
    }  # fmt: skip


def _clock(part: _Part, facts: Facts) -> dict[str, Any]:
    placed = "as written" if facts.clock in (EPOCH, UTC_ASSUMED) else _AT_THE_FIRST
    return {
        "file": part.given, "clock": facts.clock, "placed": placed,
        "wall_clock_steps": facts.details.get("clock_steps"),
    }  # fmt: skip


def _processes(facts: list[Facts]) -> list[dict[str, Any]]:
    """Processes of all files, one row a host and pid; threads as told by any of them."""
    rows: dict[tuple[Any, Any], dict[str, Any]] = {}
    for fact in facts:
        for process in fact.processes:
            key = (process.get("host"), process.get("pid"))
            row = rows.setdefault(key, {"name": _process_name(process), "main": False, "finished": True})
            row.update({k: v for k, v in process.items() if v is not None})
            row.setdefault("pid", None)
    return list(rows.values())


def _process_name(process: dict[str, Any]) -> str:
    pid = process.get("pid")
    return f"{process.get('host') or 'unknown'}-{'unknown' if pid is None else pid}"


def _probes(parts: list[_Part], facts: list[Facts]) -> list[dict[str, Any]]:
    """One row a reader: the files of one format together."""
    rows: dict[str, dict[str, Any]] = {}
    for part, fact in zip(parts, facts, strict=True):
        name = f"import:{part.found.reader.NAME}"
        row = rows.setdefault(
            name, {"name": name, "status": "ok", "reason": None, "events": 0, "lost": 0, "overhead_us": None}
        )
        row["events"] += fact.events
        row["lost"] += fact.lost
        if fact.reason:
            row["status"] = "partly"
            said = f"{part.stored.name}: {fact.reason}"
            row["reason"] = said if row["reason"] is None else f"{row['reason']}; {said}"
    return list(rows.values())


def _unique(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for at, row in enumerate(rows) if row not in rows[:at]]
