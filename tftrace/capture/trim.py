"""Takes off the zeros by which the agent's binary files are grown ahead of their records."""

from __future__ import annotations

import os
from pathlib import Path

from tftrace.agent import contract

RECORDS = {
    "dispatch.bin": contract.DISPATCH.size,
    "itt.bin": contract.ITT.size,
    "threads.bin": contract.THREAD.size,
    "verbose.bin": 1,
    "onednn.bin": contract.ONEDNN.size,
    "cudnn.bin": contract.CUDNN.size,
    "cudnn_data.bin": contract.CUDNN_BLOCK,
    "tf_log.bin": 1,
    "executor.bin": 1,
}
_BLOCK = 1 << 16


def trim(raw: Path) -> list[str]:
    """Shortens the files of every process below `raw` that has ended; one that still runs is left alone, because it
    writes into mapped memory behind the end that would be cut. Returns the directories of those."""
    running: list[str] = []
    for directory in raw.iterdir():
        pid = directory.name.rpartition("-")[2]
        if not directory.is_dir() or not pid.isdigit():
            continue
        if os.path.exists(f"/proc/{pid}"):
            running.append(directory.name)
            continue
        for name, size in RECORDS.items():
            path = directory / name
            try:
                used = _used(path)
                os.truncate(path, -(-used // size) * size)
            except OSError:  # vanished, or not ours to write: only room is lost
                continue
    return sorted(running)


def _used(path: Path) -> int:
    """Bytes up to the last one that is not zero."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            block = file.read(end - start).rstrip(b"\0")
            if block:
                return start + len(block)
            end = start
    return 0
