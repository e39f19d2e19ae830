"""Reader of Nsight Systems' SQLite export (`nsys export --type sqlite`).

Tables and columns differ by version and by what was traced, so each is looked up before it is read. Known here:

    CUPTI_ACTIVITY_KIND_KERNEL, _MEMCPY, _MEMSET     device work: start, end, deviceId, streamId, correlationId, ..
    CUPTI_ACTIVITY_KIND_RUNTIME, _DRIVER             CUDA API calls: start, end, globalTid, correlationId, nameId
    NVTX_EVENTS                                      ranges and marks: start, end, eventType, text or textId, globalTid
    CUDNN_EVENTS, CUBLAS_EVENTS                      library calls (nsys < 2024): start, end, globalTid, nameId
    StringIds                                        texts by id
    TARGET_INFO_SESSION_START_TIME                   utcEpochNs, and from 2022 on systemClockNs of the same moment
    TARGET_INFO_GPU, PROCESSES, ThreadNames, META_DATA_*

A globalTid holds the process (bits 24 to 47) and the thread (bits 0 to 23). `start` counts ns on the system clock where
`systemClockNs` is there, else from the beginning of the session; both are moved to the epoch. Tables that are not read
are named with their number of rows, so that nothing is passed over silently.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tftrace.errors import InputError
from tftrace.ingest.collector import resting
from tftrace.ingest.nsys_activities import COLUMNS, RANGES, Activity, Making
from tftrace.ingest.sqlite_columns import NotPlainError, columns_of, immutable
from tftrace.store.pages import Pages

NAME: Final = "nsys"
TITLE: Final = "Nsight Systems SQLite export"

ROWS: Final = 1 << 15
"""Rows that are in memory at once as objects."""

MANY: Final = 100_000
"""Rows of a table from which on it is worth to have them by C."""

_MAGIC: Final = b"SQLite format 3\x00"
_KERNEL_ATTRS: Final = (
    "gridX", "gridY", "gridZ", "blockX", "blockY", "blockZ", "registersPerThread", "staticSharedMemory",
    "dynamicSharedMemory", "contextId", "greenContextId", "graphNodeId", "gridId", "launchType", "graphId",
)  # fmt: skip
_COPY_ATTRS: Final = (
    "bytes", "copyKind", "srcKind", "dstKind", "srcDeviceId", "dstDeviceId", "contextId", "graphNodeId", "copyCount",
)  # fmt: skip
_SET_ATTRS: Final = ("bytes", "value", "memKind", "contextId", "graphNodeId")
_API_ATTRS: Final = ("returnValue", "eventClass", "callchainId")
_NVTX_ATTRS: Final = (
    "eventType", "category", "domainId", "color", "rangeId", "uint64Value", "int64Value", "doubleValue", "jsonText",
    "binaryData",
)  # fmt: skip


@dataclass(frozen=True)
class Nsys:
    """One export. `absolute` is false where it holds no start of the session: its times then count from there."""

    path: Path
    activities: list[Activity]
    gpus: list[dict[str, Any]]
    hostname: str | None
    versions: dict[str, str]
    thread_names: dict[tuple[int, int], str]
    process_names: dict[int, str]
    absolute: bool
    unread: dict[str, int]
    pages: Pages  # what holds the columns of the activities


def sniff(path: Path, head: bytes) -> bool:
    """Whether this is an SQLite file with Nsight Systems' tables."""
    if not head.startswith(_MAGIC):
        return False
    try:
        with _Base(path) as base:
            return bool({"StringIds", "ANALYSIS_DETAILS", "META_DATA_EXPORT"} & base.tables.keys())
    except InputError:
        return False


def read(path: Path) -> Nsys:
    """Reads an export, without writing to it. Raises InputError where it is no such file, or damaged."""
    with _Base(path) as base, resting():
        return _read(path, base)


class _Base:
    """The file, open for reading only, and its tables with their columns and rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # immutable: nsys leaves no journal, and a read-only folder cannot take the -shm file that SQLite may want
            self._connection = sqlite3.connect(immutable(path), uri=True, isolation_level=None)
            self._connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            names = self._connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
            self.tables: dict[str, list[str]] = {}
            for (name,) in names.fetchall():
                columns = self._connection.execute(f"PRAGMA table_info({_quoted(name)})").fetchall()
                self.tables[name] = [column[1] for column in columns]
        except sqlite3.Error as error:
            raise self.damaged(error) from None

    def __enter__(self) -> _Base:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{self.path}: no SQLite file or damaged ({error}); export it again with nsys export"
        )

    def rows(self, table: str, columns: list[str]) -> list[tuple[Any, ...]]:
        """The columns of all rows; a column that the table lacks is None throughout."""
        return [row for some in self.slices(table, columns) for row in some]

    def slices(self, table: str, columns: list[str]) -> Iterator[list[tuple[Any, ...]]]:
        """The same, ROWS at a time."""
        have = self.tables.get(table)
        if have is None:
            return
        try:
            found = self._connection.execute(self.query(table, columns))
            while some := found.fetchmany(ROWS):
                yield some
        except sqlite3.Error as error:
            raise self.damaged(error) from None

    def query(self, table: str, columns: list[str]) -> str:
        """What asks for the columns of all rows."""
        have = self.tables[table]
        wanted = ", ".join(_quoted(c) if c in have else "NULL" for c in columns)
        return f"SELECT {wanted or 'NULL'} FROM {_quoted(table)}"

    def count(self, table: str) -> int:
        try:
            return int(self._connection.execute(f"SELECT count(*) FROM {_quoted(table)}").fetchone()[0])
        except sqlite3.Error as error:
            raise self.damaged(error) from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_TABLES: Final = (  # table, kind, columns the name is looked for in, further columns
    ("CUPTI_ACTIVITY_KIND_KERNEL", "kernel", ("demangledName", "shortName", "mangledName"), _KERNEL_ATTRS),
    ("CUPTI_ACTIVITY_KIND_MEMCPY", "memcpy", (), _COPY_ATTRS),
    ("CUPTI_ACTIVITY_KIND_MEMSET", "memset", (), _SET_ATTRS),
    ("CUPTI_ACTIVITY_KIND_RUNTIME", "runtime", ("nameId",), _API_ATTRS),
    ("CUPTI_ACTIVITY_KIND_DRIVER", "driver", ("nameId",), _API_ATTRS),
    ("CUDNN_EVENTS", "cudnn", ("nameId",), _API_ATTRS),
    ("CUBLAS_EVENTS", "cublas", ("nameId",), _API_ATTRS),
    ("NVTX_EVENTS", "nvtx", ("textId",), _NVTX_ATTRS),
)
_DESCRIBING: Final = frozenset({"StringIds", "TARGET_INFO_SESSION_START_TIME", "PROCESSES", "ThreadNames"})


def _read(path: Path, base: _Base) -> Nsys:
    texts = {int(i): str(v) for i, v in base.rows("StringIds", ["id", "value"]) if isinstance(i, int)}
    started = base.rows("TARGET_INFO_SESSION_START_TIME", ["utcEpochNs", "systemClockNs"])
    shift = int(started[0][0]) - int(started[0][1] or 0) if started and isinstance(started[0][0], int) else 0
    absolute = shift > 0
    pages = Pages()
    activities = [
        _activity(base, table, kind, names, attrs, texts, shift, pages)
        for table, kind, names, attrs in _TABLES
        if table in base.tables
    ]
    told = {
        str(k): str(v)
        for table in ("META_DATA_EXPORT", "META_DATA_CAPTURE", "EXPORT_INFO")
        for k, v in base.rows(table, ["name", "value"])
    }
    known = {table for table, *_ in _TABLES} | _DESCRIBING
    unread = {
        table: base.count(table)
        for table in base.tables
        if table not in known
        and not table.startswith(("ENUM_", "META_DATA", "TARGET_INFO", "EXPORT_INFO", "sqlite_"))
    }
    environment = base.rows("TARGET_INFO_SYSTEM_ENV", ["name", "value"])
    return Nsys(
        path=path,
        activities=[a for a in activities if len(a)],
        gpus=[
            {"id": i, "name": name, "compute_capability": f"{a}.{b}" if a is not None else None}
            for i, name, a, b in base.rows("TARGET_INFO_GPU", ["id", "name", "computeMajor", "computeMinor"])
        ],
        hostname=next((str(v) for k, v in environment if k == "Hostname"), None),
        versions={
            key: told[name]
            for key, name in (("nsys", "EXPORT_PRODUCT_VERSION"), ("nsys_schema", "EXPORT_SCHEMA_VERSION"))
            if name in told
        },
        thread_names={
            _split(int(thread)): texts.get(name, "")
            for name, thread in base.rows("ThreadNames", ["nameId", "globalTid"])
            if isinstance(thread, int)
        },
        process_names={
            int(pid): str(name)
            for pid, name in base.rows("PROCESSES", ["pid", "name"])
            if isinstance(pid, int)
        },
        absolute=absolute,
        unread={table: n for table, n in unread.items() if n} | _other_nvtx(base),
        pages=pages,
    )


def _other_nvtx(base: _Base) -> dict[str, int]:
    """Rows of NVTX_EVENTS that are neither ranges nor marks: names of domains, categories, threads."""
    other = sum(kind not in RANGES for some in base.slices("NVTX_EVENTS", ["eventType"]) for (kind,) in some)
    return {"NVTX_EVENTS (names)": other} if other else {}


def _split(global_tid: int) -> tuple[int, int]:
    return global_tid >> 24 & 0xFFFFFF, global_tid & 0xFFFFFF


def _activity(
    base: _Base, table: str, kind: str, name_columns: tuple[str, ...], attrs: tuple[str, ...], texts: dict[int, str],
    shift: int, pages: Pages,
) -> Activity:  # fmt: skip
    have = base.tables[table]
    kept = [a for a in attrs if a in have]
    asked = [c for c in dict.fromkeys((*COLUMNS, *name_columns, *kept)) if c in have]
    if asked and base.count(table) >= MANY:
        made = Making(kind, name_columns, kept, texts, shift, pages)
        try:
            for columns in columns_of(base.path, base.query(table, asked), len(asked), ROWS):
                made.take_columns(dict(zip(asked, columns, strict=True)), len(columns[0].value))
            return made.activity()
        except NotPlainError:
            pass
    made = Making(kind, name_columns, kept, texts, shift, pages)
    for rows in base.slices(table, asked):
        if kind == "nvtx":
            which = asked.index("eventType") if "eventType" in asked else None
            rows = [] if which is None else [row for row in rows if row[which] in RANGES]
        if rows:
            made.take_rows(dict(zip(asked, zip(*rows, strict=True), strict=False)), len(rows))
    return made.activity()
