"""What the agent leaves of a process, made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tftrace.agent import contract
from tftrace.ingest.agent_raw import RawProcess, read_process

Row = dict[str, Any]


def process(
    place: Path, *, verbose: bytes = b"", windows: Iterable[Row] = (), **records: list[Row]
) -> RawProcess:
    """Records of `dispatch`, `itt`, `onednn` and `cudnn` by their columns; what is not given is 0."""
    place.mkdir(parents=True)
    (place / "process.json").write_text(
        json.dumps({"format": contract.FORMAT, "host": "made", "pid": 1, "python": "3"})
    )
    np.array([(1, 1, 1)], np.dtype(contract.CLOCK.dtype)).tofile(place / "clocks.bin")
    for name, rows in records.items():
        made = np.zeros(len(rows), np.dtype(getattr(contract, name.upper()).dtype))
        for at, row in enumerate(rows):
            for column, value in row.items():
                made[column][at] = value
        made.tofile(place / f"{name}.bin")
    (place / "verbose.bin").write_bytes(verbose)
    (place / "windows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in windows))
    return read_process(place)
