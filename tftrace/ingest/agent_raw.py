"""Reads what the agent wrote for one process (`raw/<host>-<pid>/`, formats in `tftrace.agent.contract`).

A process that was killed leaves zeros at the end of binary files and at most one cut line in text files; both are
left out here, and nothing else is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.agent import contract
from tftrace.errors import InputError
from tftrace.ingest.agent_tf_log import LoggedMessages
from tftrace.ingest.agent_verbose import VerboseLines, read_verbose, version_in
from tftrace.store.pages import Pages

Records = npt.NDArray[np.void]

PIECE: Final = 1 << 18
"""Records that are looked at at once."""


@dataclass(frozen=True)
class RawProcess:
    """The records of one process, times still in its raw clock."""

    path: Path
    process: dict[str, Any]
    status: dict[str, Any]
    clocks: Records
    threads: Records
    dispatch: Records
    itt: Records
    itt_names: dict[int, str]
    onednn: Records
    metas: dict[int, dict[str, Any]]
    sessions: dict[int, dict[str, Any]]
    stacks: dict[int, list[list[Any]]]
    exports: list[dict[str, Any]]
    graphs: list[dict[str, Any]]
    nodes: list[dict[str, Any]]
    opened: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    tracings: list[dict[str, Any]]
    optimized: list[dict[str, Any]]
    sourcemaps: dict[str, dict[int, tuple[str, int, str]]]
    native_stacks: dict[int, npt.NDArray[np.uint64]]
    windows: list[dict[str, Any]]
    maps: str
    cut_lines: int
    pages: Pages
    """Where the records of calls and tasks are: their files, looked at as far as they are read."""

    @property
    def without_python(self) -> bool:
        """Whether the process ran no Python: it opened its records by itself."""
        return self.process.get("python") is None

    @property
    def profiles(self) -> list[tuple[dict[str, Any], Path]]:
        """Windows of the TensorFlow profiler with the file each left, those that left one."""
        found = []
        for window in self.windows:
            files = sorted((self.path / "plugins" / "profile" / window["run"]).glob("*.xplane.pb"))
            found += [(window, file) for file in files]
        return found

    def tf_log(self) -> LoggedMessages:
        """Messages of TensorFlow's log, read as they are taken."""
        return LoggedMessages(self.path / "tf_log.bin")

    def verbose(self) -> VerboseLines:
        """The lines of oneDNN that were written whole; `onednn` has those that differ from one of them in their time
        alone."""
        return read_verbose(self.path / "verbose.bin")

    def pieces(self, records: Records) -> Iterator[tuple[int, Records]]:
        """Some records after the other, each time with the number of the first; see `Pages.pieces`."""
        return self.pages.pieces(records, PIECE)

    def give_back(self) -> None:
        """No record is in memory afterwards, until it is looked at again."""
        self.pages.give_back()

    def onednn_version(self) -> str | None:
        return version_in(self.path / "verbose.bin")


def _binary(path: Path, record: contract.Record) -> Records:
    dtype = np.dtype(record.dtype)
    if not path.exists():
        return np.empty(0, dtype)
    count = path.stat().st_size // dtype.itemsize
    return np.fromfile(path, dtype, count)


def mapped(path: Path, record: contract.Record, pages: Pages) -> Records:
    """The records of one file, which is looked at as far as they are read where it can be mapped."""
    dtype = np.dtype(record.dtype)
    size = path.stat().st_size // dtype.itemsize * dtype.itemsize if path.exists() else 0
    if not size:
        return np.empty(0, dtype)
    with path.open("rb") as file:
        found = pages.map(file, size, writable=False)
    return _binary(path, record) if found is None else np.frombuffer(found, dtype)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(
            f"{path}: not JSON ({error}); the recording was damaged after it was made"
        ) from error
    return value if isinstance(value, dict) else {}


class _Lines:
    """JSON lines of several files, counting those that were cut."""

    def __init__(self) -> None:
        self.cut = 0

    def read(self, path: Path) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        if not path.exists():
            return rows
        with path.open("rb") as file:
            for line in file:
                try:
                    rows.append(json.loads(line))
                except ValueError:
                    self.cut += 1
        return rows


def _stacks(rows: list[dict[str, Any]]) -> dict[int, list[list[Any]]]:
    """The frames of each stack; that of a thread goes on with the stack that started it."""
    own = {int(row["key"]): row["frames"] for row in rows}
    above = {int(row["key"]): int(row["started"]) for row in rows if "started" in row}

    def whole(key: int) -> list[list[Any]]:
        frames, seen = list(own[key]), {key}
        while (key := above.get(key, 0)) in own and key not in seen:
            frames += own[key]
            seen.add(key)
        return frames

    return {key: whole(key) for key in own}


def _native_stacks(path: Path) -> dict[int, npt.NDArray[np.uint64]]:
    words = np.fromfile(path, np.uint64) if path.exists() else np.empty(0, np.uint64)
    stacks: dict[int, npt.NDArray[np.uint64]] = {}
    at = 0
    while at + 2 <= len(words):
        key, n = int(words[at]), int(words[at + 1])
        if at + 2 + n > len(words):
            break  # cut by a sudden end
        stacks[key] = words[at + 2 : at + 2 + n]
        at += 2 + n
    return stacks


def processes(raw: Path) -> list[Path]:
    """The process directories below a trace's raw/: the script's own first, those without Python behind those that may
    have asked them for something."""
    found = [p for p in sorted(raw.iterdir()) if (p / "process.json").exists()] if raw.is_dir() else []
    told = {p: _json(p / "process.json") for p in found}
    return sorted(found, key=lambda p: (not told[p].get("main"), told[p].get("python") is None, p.name))


def read_process(path: Path) -> RawProcess:
    """Everything recorded in one process directory.

    Raises InputError where a file is not what the agent writes.
    """
    lines = _Lines()
    process = _json(path / "process.json")
    if process.get("format") != contract.FORMAT:
        raise InputError(
            f"{path / 'process.json'}: raw format {process.get('format')!r}, this tftrace reads {contract.FORMAT}"
        )
    pages = Pages()
    threads = _binary(path / "threads.bin", contract.THREAD)
    maps = path / "maps.txt"
    return RawProcess(
        path=path,
        process=process,
        status=_json(path / "status.json"),
        clocks=_binary(path / "clocks.bin", contract.CLOCK),
        threads=threads[threads["tid"] > 0],
        dispatch=mapped(path / "dispatch.bin", contract.DISPATCH, pages),
        itt=mapped(path / "itt.bin", contract.ITT, pages),
        itt_names={int(r["id"]): str(r["name"]) for r in lines.read(path / "itt_names.jsonl")},
        onednn=mapped(path / "onednn.bin", contract.ONEDNN, pages),
        metas={int(r["key"]): r for r in lines.read(path / "metas.jsonl")},
        sessions={int(r["key"]): r for r in lines.read(path / "sessions.jsonl")},
        stacks=_stacks(lines.read(path / "stacks.jsonl")),
        exports=lines.read(path / "exports.jsonl"),
        graphs=lines.read(path / "graphs.jsonl"),
        nodes=lines.read(path / "nodes.jsonl"),
        opened=lines.read(path / "opened.jsonl"),
        failures=lines.read(path / "failures.jsonl"),
        tracings=lines.read(path / "tracings.jsonl"),
        optimized=lines.read(path / "optimized.jsonl"),
        sourcemaps={
            str(r["file"]): {int(k): (str(v[0]), int(v[1]), str(v[2])) for k, v in r["lines"].items()}
            for r in lines.read(path / "sourcemaps.jsonl")
        },
        native_stacks=_native_stacks(path / "native_stacks.bin"),
        windows=lines.read(path / "windows.jsonl"),
        maps=maps.read_text(encoding="utf-8", errors="replace") if maps.exists() else "",
        cut_lines=lines.cut,
        pages=pages,
    )
