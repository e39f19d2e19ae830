"""Reader of the tables that NVIDIA's mnistCUDNN sample prints: what cuDNN ranked and what it measured.

Grammar, as the samples of cuDNN 7 to 9 write it:

    log   := (head row* | foreign line)*
    head  := "Testing cudnn" ("Get" | "Find") "Convolution" side "Algorithm" ["_v7"] " ..."
    side  := "Forward" | "BackwardData" | "BackwardFilter"
    row   := "^^^^ " status " for Algo " n ": " ms " time requiring " bytes " memory"

`ms` is -1 where nothing was measured: a `Get` asks the heuristics only. The table does not name the problem.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tftrace.errors import InputError
from tftrace.ingest.recorded_file import read_recorded

NAME: Final = "cudnn_rankings"
TITLE: Final = "tables of cudnnFind* and cudnnGet*"

_HEAD = re.compile(r"Testing (cudnn(Get|Find)Convolution(Forward|BackwardData|BackwardFilter)Algorithm\w*)")
_ROW = re.compile(
    r"\^\^\^\^ (CUDNN_STATUS_\w+) for Algo (-?\d{1,9}): (-?\d{1,12}\.\d+) time requiring (\d{1,18}) memory\s*"
)
_SNIFF = re.compile(rb"\^\^\^\^ CUDNN_STATUS_\w+ for Algo -?\d+:")


@dataclass(frozen=True)
class Ranked:
    """One row. `table` is its place among the tables of the file, `function` None where the head is missing, `time_ms`
    None where it was not measured. `line` is the row as written."""

    table: int
    function: str | None
    rank: int
    status: str
    algorithm: int
    time_ms: float | None
    workspace_bytes: int
    line: str


@dataclass(frozen=True)
class Rankings:
    """All rows of one file; `other` are the lines that are neither head nor row."""

    path: Path
    rows: list[Ranked]
    heads: int
    other: list[str]
    cut: str | None


def sniff(path: Path, head: bytes) -> bool:
    """Whether there is a row of such a table among the first bytes."""
    return _SNIFF.search(head) is not None


def read(path: Path) -> Rankings:
    """Reads the tables. Raises InputError where the file cannot be read or holds none."""
    recorded = read_recorded(path)
    rows: list[Ranked] = []
    other: list[str] = []
    function: str | None = None
    table = rank = heads = 0
    for line in recorded.data.decode("utf-8", "replace").splitlines():
        if head := _HEAD.match(line):
            heads += 1
            table, rank, function = table + bool(rows), 0, head[1]
        elif row := _ROW.fullmatch(line):
            time = float(row[3])
            rows.append(
                Ranked(
                    table, function, rank, row[1], int(row[2]), time if time >= 0 else None, int(row[4]), line
                )
            )
            rank += 1
        elif line.strip():
            other.append(line)
    if not rows:
        raise InputError(f"{path}: holds no table of cudnnFind* or cudnnGet*; give the output of mnistCUDNN")
    return Rankings(path, rows, heads, other, recorded.cut)
