"""Only padding goes, and only of processes that have ended."""

from __future__ import annotations

import os
from pathlib import Path

from tftrace.agent import contract
from tftrace.capture.trim import trim


def make(raw: Path, pid: int, content: bytes) -> Path:
    directory = raw / f"host-{pid}"
    directory.mkdir()
    path = directory / "dispatch.bin"
    path.write_bytes(content)
    return path


def ended_pid() -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def test_zeros_behind_the_last_record_go_and_records_stay_whole(tmp_path: Path) -> None:
    size = contract.DISPATCH.size
    record = b"\x01" + bytes(size - 1)  # ends in zeros of its own
    path = make(tmp_path, ended_pid(), record * 3 + bytes(size * 70_000))
    trim(tmp_path)
    assert path.read_bytes() == record * 3


def test_a_file_of_nothing_but_padding_becomes_empty(tmp_path: Path) -> None:
    path = make(tmp_path, ended_pid(), bytes(1 << 20))
    trim(tmp_path)
    assert path.read_bytes() == b""


def test_a_running_process_is_left_alone(tmp_path: Path) -> None:
    path = make(tmp_path, os.getpid(), bytes(4096))
    trim(tmp_path)
    assert path.stat().st_size == 4096
