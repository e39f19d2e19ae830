"""The list of traces, from directories as tftrace leaves them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.views.traces import MANIFEST
from tftrace.analysis import listing
from tftrace.store.manifest import write_manifest


def made(path: Path, age: int, **more: Any) -> None:
    path.mkdir()
    write_manifest(path, {**MANIFEST, **more})
    os.utime(path / "manifest.json", (1_000_000 - age, 1_000_000 - age))


def test_each_trace_is_a_row_newest_first(tmp_path: Path) -> None:
    made(
        tmp_path / "old",
        50,
        created="2026-11-24T04:40:12+00:00",
        argv=["/usr/bin/python3", "/home/u/train.py", "-v"],
        exit_status=1,
        tables={"calls": 42, "events": 99},
    )
    made(tmp_path / "new", 10, synthetic=True, argv=["python", "-m", "pkg.mod"])
    (tmp_path / "no trace").mkdir()
    (tmp_path / "file").write_text("")
    new, old = listing.traces(tmp_path)
    assert old == {
        "name": "old",
        "path": str(tmp_path / "old"),
        "when": "2026-11-24T04:40:12+00:00",
        "script": "train.py",
        "exit_status": 1,
        "versions": {"tensorflow": "2.21.0"},
        "ops": 42,
        "events": 99,
        "bytes": (tmp_path / "old" / "manifest.json").stat().st_size,
        "synthetic": False,
        "problem": None,
    }
    assert (new["name"], new["script"], new["synthetic"], new["ops"]) == ("new", "pkg.mod", True, None)


def test_a_run_cut_short_is_listed_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "cut" / "raw" / "box-1").mkdir(parents=True)
    (tmp_path / "cut" / "raw" / "box-1" / "process.json").write_text("{}")
    [row] = listing.traces(tmp_path)
    assert (row["name"], row["problem"], row["bytes"]) == ("cut", "tables not built yet", 2)


def test_a_place_without_traces_has_none(tmp_path: Path) -> None:
    assert listing.traces(tmp_path) == []
    assert listing.traces(tmp_path / "gone") == []


@pytest.mark.parametrize(
    ("argv", "script"),
    [
        (["a/b.py", "x"], "b.py"),
        (["(left out)"], "(left out)"),
        ([], None),
        (["python3.11"], None),
        (None, None),
    ],
)
def test_the_script_is_found_in_the_command(argv: Any, script: str | None, tmp_path: Path) -> None:
    made(tmp_path / "t", 0, argv=argv if argv is not None else [])
    assert listing.traces(tmp_path)[0]["script"] == script
