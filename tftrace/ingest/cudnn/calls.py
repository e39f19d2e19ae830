"""Reads the calls into cuDNN that the agent recorded, and says what each execution computed and how.

`cudnn.bin` holds a record for each call; `cudnn_data.bin` what attributes were set, what cuDNN answered when it was
asked for them, and the arguments of the older API (formats in `tftrace.agent.contract`). Descriptors have numbers of
their own, so what was ever said of one can be put together whatever its address was:

    plan 21 {ENGINE_CONFIG: 15} > 15 {ENGINE: 17, KNOB_CHOICES: 18} > 17 {GLOBAL_INDEX: 2}, 18 {TYPE: 2, VALUE: 4}
    heuristics 12 {OPERATION_GRAPH: 9, RESULTS: 15..} > 9 {OPS: 8} > 8 {X: 1, W: 2, Y: 3, CONV_DESC: 4}

is "eng2_k2=4" for the convolution of tensors 1, 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tftrace.agent import contract
from tftrace.ingest.agent_raw import PIECE, Records, mapped
from tftrace.ingest.cudnn import graph as cudnn_graph
from tftrace.ingest.cudnn import legacy as cudnn_legacy
from tftrace.ingest.cudnn.enums import ATTRIBUTE_TYPE
from tftrace.ingest.cudnn.graph import Objects
from tftrace.store.pages import Pages

Int = npt.NDArray[np.int64]
FUNCTIONS = tuple(name for name, _ in contract.CUDNN_FUNCTIONS)
ARGUMENTS = dict(contract.CUDNN_FUNCTIONS)
EXECUTE = FUNCTIONS.index("cudnnBackendExecute")
FINALIZE = FUNCTIONS.index("cudnnBackendFinalize")
NONE = -1

_HEAD = np.dtype(contract.CUDNN_DATA.dtype)
_KINDS = (contract.CUDNN_SET, contract.CUDNN_GOT, contract.CUDNN_ARGUMENTS)
_FORMATS = {
    "BOOLEAN": "u1", "CHAR": "u1", "INT64": "<i8", "BACKEND_DESCRIPTOR": "<i8", "DOUBLE": "<f8", "FLOAT": "<f4",
    "FRACTION": "<i8",
}  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What a call computed and how; None where nothing recorded tells. `algorithm` is the engine with its knobs, in
    the form of cuDNN's plan names ("eng22_k2=4_k13=0"), or the algorithm of the older API."""

    problem: dict[str, Any] | None = None
    algorithm: str | None = None
    engine: int | None = None
    knobs: dict[str, int] | None = None
    workspace_bytes: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """The answer of cudnnFind*Algorithm or cudnnGet*Algorithm: `measured` tells whether cuDNN ran the candidates."""

    row: int
    problem: dict[str, Any] | None
    measured: bool
    candidates: tuple[cudnn_legacy.Candidate, ...]


@dataclass(frozen=True)
class CudnnCalls:
    """Calls in the order of their records; times still in the raw clock. `work[i]` is the index into `works` of what
    row i executed, NONE for a call that executes nothing."""

    records: Records
    work: Int
    works: list[Work] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)
    refused: list[tuple[int, Work]] = field(default_factory=list)
    """Plans that cuDNN would not finalise: row of the call, and what they would have computed."""
    unreadable: int = 0

    version: str | None = None
    """cuDNN's version as TensorFlow was told it: "9.3.0"."""


def version_text(number: int) -> str | None:
    """cudnnGetVersion's number as text: 8902 is 8.9.2, 90300 is 9.3.0; None for 0."""
    if number <= 0:
        return None
    major, rest = divmod(number, 10000) if number >= 90000 else divmod(number, 1000)
    return f"{major}.{rest // 100}.{rest % 100}"


def read_cudnn(directory: Path, pages: Pages | None = None) -> CudnnCalls:
    """The calls of one process directory; none where the probe left no file. What is many is in files of `pages`.

    Raises nothing: what cannot be read is counted.
    """
    pages = pages or Pages()
    records = mapped(directory / "cudnn.bin", contract.CUDNN, pages)
    path = directory / "cudnn_data.bin"
    data = path.read_bytes() if path.exists() and len(records) else b""
    return understand(records, data, pages)


def understand(every: Records, data: bytes, pages: Pages | None = None) -> CudnnCalls:
    """Puts records and data together; `every` may hold slots that were never written."""
    pages = pages or Pages()
    written = _Written(every, pages)
    unreadable = written.unreadable
    arguments: dict[int, list[int]] = {}
    described: dict[int, cudnn_legacy.Described] = {}
    attributes: dict[int, dict[int, list[Any]]] = {}
    stated: set[tuple[int, int]] = set()
    for record, number, kind, name, values in _entries(data):
        row = written.row_of(record)
        if row == NONE:
            unreadable += 1
        elif kind == contract.CUDNN_ARGUMENTS:
            function = FUNCTIONS[int(written.records["function"][row])]
            if ARGUMENTS[function].startswith("o"):
                described.setdefault(number, []).append((function, values))
            else:
                arguments[row] = values
        elif kind == contract.CUDNN_SET or (number, name) not in stated:
            # an answer names copies of the descriptors that were set: what was set leads further
            attributes.setdefault(number, {})[name] = values
            if kind == contract.CUDNN_SET:
                stated.add((number, name))
    return _read(written, attributes, described, arguments, unreadable, pages)


class _Written:
    """The records that were written and can be read, without those between them; each is looked at once, some after the
    other. `plans` are the descriptors of those that were executed."""

    def __init__(self, every: Records, pages: Pages) -> None:
        self._pages, self._count = pages, len(every)
        self.unreadable, self.version = 0, 0
        kept, plans = pages.column(np.dtype(contract.CUDNN.dtype)), [np.empty(0, np.uint64)]
        missing = [np.empty(0, np.int64)]
        for at, some in pages.pieces(every, PIECE):
            known = some["function"] < len(FUNCTIONS)
            good = (some["t0"] > 0) & known
            self.unreadable += int(((some["t0"] > 0) & ~known).sum())
            missing.append(np.flatnonzero(~good) + at)
            some = some[good]
            kept.add(some)
            plans.append(np.unique(some["object"][some["function"] == EXECUTE]))
            told = some["object"][some["function"] == FUNCTIONS.index("cudnnGetVersion")]
            self.version = self.version or (int(told[0]) if len(told) else 0)
        self.records: Records = kept.array()
        self._missing = np.concatenate(missing)
        self.plans = np.unique(np.concatenate(plans))

    def pieces(self) -> Iterator[tuple[int, Records]]:
        """Some of them after the other, each time with the row of the first."""
        return self._pages.pieces(self.records, PIECE)

    def row_of(self, record: int) -> int:
        """The row of a record, by its number + 1; NONE where it was not written, or cannot be read."""
        at = int(np.searchsorted(self._missing, record - 1))
        gone = at < len(self._missing) and self._missing[at] == record - 1
        return NONE if gone or not 0 < record <= self._count else record - 1 - at

    def types(self, wanted: set[int]) -> dict[int, int]:
        """The types of these descriptors, of those that were made."""
        numbers = np.array(sorted(n for n in wanted if 0 < n < 1 << 63), np.uint64)
        found: dict[int, int] = {}
        for _, some in self.pieces():
            some = some[some["function"] == FUNCTIONS.index("cudnnBackendCreateDescriptor")]
            some = some[np.isin(some["object"], numbers)]
            found.update(zip(some["object"].tolist(), some["detail"].tolist(), strict=True))
        return found


def _entries(data: bytes) -> list[tuple[int, int, int, int, list[Any]]]:
    """(record + 1, object, kind, attribute, values) of what was written whole."""
    found: list[tuple[int, int, int, int, list[Any]]] = []
    size, end = contract.CUDNN_BLOCK, len(data)
    data += b"\0" * (-end % size)
    heads = np.frombuffer(data, _HEAD)
    # blocks that can be heads; what lies inside the values of an earlier one is stepped over below
    likely = np.flatnonzero((heads["record"] > 0) & np.isin(heads["kind"], _KINDS))
    reach = 0
    columns = [heads[c][likely].tolist() for c in ("record", "object", "bytes", "kind", "name", "type")]
    for block, record, number, length, kind, name, code in zip(likely.tolist(), *columns, strict=True):
        start = (block + 1) * size
        if block < reach or start + length > len(data):
            continue
        reach = block + 1 - (-length // size)
        form = (
            "<i8" if kind == contract.CUDNN_ARGUMENTS else _FORMATS.get(ATTRIBUTE_TYPE.get(code, ""), "<i4")
        )
        width = int(form[-1])
        values = np.frombuffer(data, form, length // width, start).tolist()
        found.append((record, number, kind, name, values))
    return found


def _read(
    written: _Written, attributes: dict[int, dict[int, list[Any]]], described: dict[int, cudnn_legacy.Described],
    arguments: dict[int, list[int]], unreadable: int, pages: Pages,
) -> CudnnCalls:  # fmt: skip
    records = written.records
    work = pages.filled(np.int32, len(records), NONE)
    refused: list[int] = []
    for at, some in written.pieces():
        rows = np.flatnonzero(some["function"] == EXECUTE)
        work[rows + at] = np.searchsorted(written.plans, some["object"][rows])
        made = (some["function"] == FINALIZE) & (some["detail"] == cudnn_graph.PLAN)
        failed = made & (some["status"] != 0) & (some["status"] != contract.CUDNN_OPEN)
        refused += (np.flatnonzero(failed) + at).tolist()
    plans = [*written.plans.tolist(), *(int(records["object"][row]) for row in refused)]
    named = {v for of in attributes.values() for values in of.values() for v in values if isinstance(v, int)}
    objects = Objects(written.types({*plans, *attributes, *named}), attributes)
    graphs = cudnn_graph.graphs_of_configs(objects)
    works = [_plan(objects, int(plan), graphs) for plan in written.plans.tolist()]
    rankings = []
    seen: dict[tuple[int, tuple[int, ...]], int] = {}
    for row, words in arguments.items():
        number = int(records["function"][row])
        function = FUNCTIONS[number]
        if "p" in ARGUMENTS[function]:
            problem, candidates = cudnn_legacy.ranking(function, ARGUMENTS[function], words, described)
            rankings.append(Ranking(row, problem, "Find" in function, candidates))
            continue
        key = (number, tuple(words))
        if key not in seen:
            seen[key] = len(works)
            problem, algorithm, workspace = cudnn_legacy.launch(
                function, ARGUMENTS[function], words, described
            )
            works.append(Work(problem, algorithm, workspace_bytes=workspace))
        work[row] = seen[key]
    failures = [(row, _plan(objects, int(records["object"][row]), graphs)) for row in refused]
    return CudnnCalls(records, work, works, rankings, failures, unreadable, version_text(written.version))


def _plan(objects: Objects, plan: int, graphs: dict[int, int]) -> Work:
    if plan not in objects.types:
        return Work()  # made before the recording began
    config = cudnn_graph.config_of(objects, plan)
    engine = cudnn_graph.engine_of(objects, config)
    knobs = cudnn_graph.knobs_of(objects, config)
    graph = cudnn_graph.graph_of(objects, config, graphs)
    return Work(
        problem=None if graph is None else cudnn_graph.problem_of(objects, graph),
        algorithm=None if engine is None else cudnn_graph.name_of(engine, knobs),
        engine=engine,
        knobs=knobs,
        workspace_bytes=cudnn_graph.workspace_of(objects, plan, config),
        notes=cudnn_graph.notes_of(objects, config),
    )
