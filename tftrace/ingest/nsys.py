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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.errors import InputError
from tftrace.ingest.collector import resting
from tftrace.ingest.sqlite_columns import Column, NotPlainError, columns_of, combinations, immutable

NAME: Final = "nsys"
TITLE: Final = "Nsight Systems SQLite export"
NONE: Final = -1

ROWS: Final = 1 << 15
"""Rows that are in memory at once as objects."""

MANY: Final = 100_000
"""Rows of a table from which on it is worth to have them by C."""

Int = npt.NDArray[np.int64]

_MAGIC: Final = b"SQLite format 3\x00"
_RANGES: Final = (59, 60, 34)  # eventType: push/pop range, start/end range, mark
_COPY: Final = {1: "HtoD", 2: "DtoH", 8: "DtoD", 9: "HtoH", 10: "PtoP"}
_KERNEL_ATTRS: Final = (
    "gridX", "gridY", "gridZ", "blockX", "blockY", "blockZ", "registersPerThread", "staticSharedMemory",
    "dynamicSharedMemory", "contextId", "greenContextId", "graphNodeId", "gridId", "launchType", "graphId",
)  # fmt: skip
_COPY_ATTRS: Final = (
    "bytes", "copyKind", "srcKind", "dstKind", "srcDeviceId", "dstDeviceId", "contextId", "graphNodeId", "copyCount",
)  # fmt: skip
_SET_ATTRS: Final = ("bytes", "value", "memKind", "contextId", "graphNodeId")
_NUMBERS: Final = ("start", "end", "globalTid", "globalPid", "deviceId", "streamId", "correlationId")
_COLUMNS: Final = (*_NUMBERS, "eventType", "text", "copyKind")
_API_ATTRS: Final = ("returnValue", "eventClass", "callchainId")
_NVTX_ATTRS: Final = (
    "eventType", "category", "domainId", "color", "rangeId", "uint64Value", "int64Value", "doubleValue", "jsonText",
    "binaryData",
)  # fmt: skip


@dataclass(frozen=True)
class Activity:
    """The rows of one table as columns of equal length; times in ns since the epoch, -1 where a row has no value.

    `name` holds codes into `names`; `end_ns` is -1 for what never ended. `attrs` holds codes into `values`, the
    combinations there are of the values of further columns, which `attr_names` names; None where a row has none.
    """

    kind: str  # kernel, memcpy, memset, runtime, driver, cudnn, cublas, nvtx
    names: list[str]
    name: Int
    start_ns: Int
    end_ns: Int
    pid: Int
    tid: Int
    device: Int
    stream: Int
    correlation: Int
    attr_names: list[str]
    values: list[tuple[Any, ...]]
    attrs: Int

    def __len__(self) -> int:
        return len(self.name)


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
    activities = [
        _activity(base, table, kind, names, attrs, texts, shift)
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
    )


def _other_nvtx(base: _Base) -> dict[str, int]:
    """Rows of NVTX_EVENTS that are neither ranges nor marks: names of domains, categories, threads."""
    other = sum(kind not in _RANGES for some in base.slices("NVTX_EVENTS", ["eventType"]) for (kind,) in some)
    return {"NVTX_EVENTS (names)": other} if other else {}


def _split(global_tid: int) -> tuple[int, int]:
    return global_tid >> 24 & 0xFFFFFF, global_tid & 0xFFFFFF


def _activity(
    base: _Base, table: str, kind: str, name_columns: tuple[str, ...], attrs: tuple[str, ...], texts: dict[int, str],
    shift: int,
) -> Activity:  # fmt: skip
    have = base.tables[table]
    kept = [a for a in attrs if a in have]
    asked = [c for c in dict.fromkeys((*_COLUMNS, *name_columns, *kept)) if c in have]
    if asked and base.count(table) >= MANY:
        made = _Made(kind, name_columns, kept, texts, shift)
        try:
            for columns in columns_of(base.path, base.query(table, asked), len(asked), ROWS):
                made.take_columns(dict(zip(asked, columns, strict=True)), len(columns[0].value))
            return made.activity()
        except NotPlainError:
            pass
    made = _Made(kind, name_columns, kept, texts, shift)
    for rows in base.slices(table, asked):
        if kind == "nvtx":
            which = asked.index("eventType") if "eventType" in asked else None
            rows = [] if which is None else [row for row in rows if row[which] in _RANGES]
        if rows:
            made.take_rows(dict(zip(asked, zip(*rows, strict=True), strict=False)), len(rows))
    return made.activity()


class _Made:
    """The columns of one table as they are put together, some rows at a time."""

    def __init__(
        self, kind: str, name_columns: tuple[str, ...], kept: list[str], texts: dict[int, str], shift: int
    ) -> None:
        self.kind, self.kept, self.texts, self.shift = kind, kept, texts, shift
        self.naming = ("text", "copyKind", *name_columns)
        self.names: dict[str, int] = {}
        self.name_of: dict[tuple[Any, ...], int] = {}
        self.values: dict[tuple[Any, ...], int] = {}
        self.parts: list[tuple[Int, ...]] = []

    def take_rows(self, column: dict[str, tuple[Any, ...]], count: int) -> None:
        """Values as SQLite has them, of any type."""
        nothing = (None,) * count
        told = [column.get(c, nothing) for c in self.naming]
        told = [
            values if c == "copyKind" else _told_apart(values)
            for c, values in zip(self.naming, told, strict=True)
        ]
        named = list(zip(*told, strict=True))
        further = list(zip(*(column[a] for a in self.kept), strict=True)) if self.kept else [()] * count
        for key in dict.fromkeys(named):
            self._name(key)
        self._take(
            np.array([self.name_of[key] for key in named], np.int64),
            np.array([self._value(key) for key in further], np.int64),
            {c: _ints(column.get(c, nothing)) for c in _NUMBERS},
        )

    def take_columns(self, column: dict[str, Column], count: int) -> None:
        """Whole numbers, texts and nulls."""
        nothing = Column(np.zeros(count, np.int64), np.ones(count, np.bool_))
        if self.kind == "nvtx":
            value, null, texts = column.get("eventType", nothing)
            rows = np.flatnonzero(np.isin(value, _RANGES) & ~null & (texts is None))
            count = len(rows)
            column = {name: Column(v[rows], n[rows], t) for name, (v, n, t) in column.items()}
            nothing = Column(nothing.value[:count], nothing.null[:count])
        if not count:
            return

        def codes(names: Sequence[str], code: Callable[[tuple[Any, ...]], int]) -> Int:
            columns = [column.get(c, nothing) for c in names]
            number, rows = combinations(columns, count)
            keys = zip(*(some.at(rows) for some in columns), strict=True) if columns else [()] * len(rows)
            return np.array([code(key) for key in keys], np.int64)[number]

        def numbers(name: str) -> Int:
            value, null, texts = column.get(name, nothing)
            return np.where(null | (texts is not None), NONE, value)

        name, attrs = codes(self.naming, self._name), codes(self.kept, self._value)
        self._take(name, attrs, {c: numbers(c) for c in _NUMBERS})

    def _name(self, key: tuple[Any, ...]) -> int:
        code = self.name_of.get(key)
        if code is None:
            text, copy, *ids = key
            name = _name(self.kind, text, ids, copy, self.texts)
            code = self.name_of[key] = self.names.setdefault(name, len(self.names))
        return code

    def _value(self, key: tuple[Any, ...]) -> int:
        return self.values.setdefault(key, len(self.values))

    def _take(self, name: Int, attrs: Int, number: dict[str, Int]) -> None:
        start, end, own = (number[c] for c in ("start", "end", "globalTid"))
        whole = np.where(own >= 0, own, number["globalPid"])
        self.parts.append(
            (
                name,
                np.where(start >= 0, start + self.shift, NONE),
                np.where(end >= 0, end + self.shift, NONE),
                np.where(whole >= 0, whole >> 24 & 0xFFFFFF, NONE),
                np.where(own >= 0, own & 0xFFFFFF, NONE),
                *(number[c] for c in ("deviceId", "streamId", "correlationId")),
                attrs,
            )
        )

    def activity(self) -> Activity:
        made = [np.concatenate([np.empty(0, np.int64), *(part[i] for part in self.parts)]) for i in range(9)]
        name, start, end, pid, tid, device, stream, correlation, attr = made
        return Activity(
            kind=self.kind, names=list(self.names), name=name, start_ns=start, end_ns=end, pid=pid, tid=tid,
            device=device, stream=stream, correlation=correlation, attr_names=self.kept, values=list(self.values),
            attrs=attr,
        )  # fmt: skip


def _name(kind: str, text: Any, ids: list[Any], copy: Any, texts: dict[int, str]) -> str:
    if kind == "memcpy":
        return f"Memcpy{_COPY.get(copy, '')}"
    if kind == "memset":
        return "Memset"
    if text is not None:
        return str(text)
    found = next((texts[i] for i in ids if isinstance(i, int) and i in texts), None)
    return found if found is not None else f"({kind} without a name)"


def _told_apart(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """With fractions as text: 1.0 is no id, though it is equal to 1."""
    return tuple(str(v) if type(v) is float else v for v in values) if float in map(type, values) else values


def _ints(values: tuple[Any, ...]) -> Int:
    """Whole numbers; -1 for null and for anything else (SQLite holds any type in any column)."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return np.array(values, np.int64)
    if int not in kinds:
        return np.full(len(values), NONE, np.int64)
    return np.fromiter((v if type(v) is int else NONE for v in values), np.int64, len(values))
