"""Runs a command of tftrace in this process, through the same boundary as on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tftrace.cli import main

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def tftrace(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> Result:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in argv])
    captured = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return Result(end.value.code, captured.out, captured.err)


def process(*argv: str | Path, cwd: Path | None = None, **env: str) -> Result:
    """The same in a process of its own, as wide as in a pipe: what runs the tests may set how wide its terminal is."""
    outside = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    done = subprocess.run(
        [sys.executable, "-c", "from tftrace.cli import main; main()", *map(str, argv)],
        capture_output=True, text=True, cwd=cwd, timeout=120, encoding="utf-8", errors="surrogateescape",
        env={**outside, "PYTHONPATH": str(ROOT), **env},
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)
