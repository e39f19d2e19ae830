"""Trace directories: nothing of anybody's is ever overwritten unasked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.views.traces import eager_convs
from tftrace.errors import CaptureError, UsageError
from tftrace.store.directory import (
    completing,
    is_trace,
    list_traces,
    new_directory,
    place_for,
    unfinished,
    write_manifest,
    write_tables,
)


def make(path: Path) -> Path:
    path.mkdir(parents=True)
    trace = eager_convs(1)
    write_tables(path, trace.tables)
    write_manifest(path, trace.manifest)
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_a_trace_is_replaced_by_force_alone(tmp_path: Path) -> None:
    path = make(tmp_path / "trace")
    before = contents(path)
    with pytest.raises(UsageError, match=r"there is a trace already; .* --force"):
        new_directory(path, "train.py")
    assert contents(path) == before
    assert new_directory(path, "train.py", force=True) == path
    assert contents(path) == {}


def test_force_removes_only_what_tftrace_wrote(tmp_path: Path) -> None:
    path = make(tmp_path / "trace")
    (path / "notes.txt").write_text("mine")
    (path / "plots").mkdir()
    (path / "raw").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("kept")
    new_directory(path, "train.py", force=True)
    assert contents(path) == {"notes.txt": b"mine"}
    assert (path / "plots").is_dir()
    assert (tmp_path / "elsewhere" / "precious").read_text() == "kept"


@pytest.mark.parametrize("force", [False, True])
def test_a_directory_of_somebody_elses_is_never_touched(force: bool, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "an extension of a browser"}')
    with pytest.raises(UsageError, match="is not empty and no trace"):
        new_directory(tmp_path, "train.py", force)
    assert list(contents(tmp_path)) == ["manifest.json"]


def test_an_empty_directory_and_a_new_one_are_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "a" / "b"):
        assert new_directory(path, "train.py") == path
        assert os.listdir(path) == []


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("file", "dangling"):
        with pytest.raises(UsageError, match="is a file; choose another place"):
            new_directory(tmp_path / name, "train.py", force=True)
    with pytest.raises(CaptureError, match="is a file; choose another place with -o"):
        new_directory(tmp_path / "file" / "below", "train.py")


def test_default_places_never_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda *_: "20260101-000000")
    names = [new_directory(None, "my script;rm").name for _ in range(3)]
    stem = "my_script_rm-20260101-000000"
    assert names == [stem, f"{stem}-2", f"{stem}-3"]
    (tmp_path / "file").mkdir()
    monkeypatch.chdir(tmp_path / "file")
    (tmp_path / "file" / "traces").touch()
    with pytest.raises(CaptureError, match="traces: is a file"):
        new_directory(None, "x")


def test_only_traces_are_listed_newest_first(tmp_path: Path) -> None:
    for age, name in enumerate(("newest", "older")):
        os.utime(make(tmp_path / name) / "manifest.json", (1000 - age, 1000 - age))
    (tmp_path / "not a trace").mkdir()
    killed = tmp_path / "killed" / "raw" / "host-1"
    killed.mkdir(parents=True)
    (killed / "process.json").write_text("{}")
    os.utime(tmp_path / "killed", (10, 10))
    assert [p.name for p in list_traces(tmp_path)] == ["newest", "older", "killed"]
    assert list_traces(tmp_path / "nowhere") == []
    assert not is_trace(tmp_path / "not a trace")


def test_what_is_unfinished_says_why(tmp_path: Path) -> None:
    path = make(tmp_path / "trace")
    assert unfinished(path) is None
    (path / "raw").mkdir()
    (path / "run.json").write_text("{}")
    assert unfinished(path) is None
    (path / "events.parquet").unlink()
    assert unfinished(path) == "events.parquet is missing"
    (path / "manifest.json").unlink()
    assert unfinished(path) == "the run was recorded, its tables were never built"


def test_an_old_trace_is_replaced_when_the_new_one_is_complete_and_not_before(tmp_path: Path) -> None:
    path = make(tmp_path / "trace")
    (path / "notes.txt").write_text("mine")
    before = contents(path)
    with completing(place_for(path, "train.py", force=True)) as made:
        make(made / "raw")
        (made / "run.json").write_text("{}")
        assert contents(path) == before
    assert sorted(os.listdir(path)) == ["notes.txt", "raw", "run.json"]
    assert os.listdir(tmp_path) == ["trace"]


def broken(path: Path, error: BaseException | None = None) -> None:
    """A new trace that cannot be completed: a file of it cannot replace the directory of somebody else's."""
    with completing(place_for(path, "train.py", force=True)) as made:
        (made / "manifest.json").write_text("new")
        (made / "run.txt").touch()
        if error is not None:
            raise error


def test_a_new_trace_that_cannot_be_moved_leaves_the_old_one_and_is_kept(tmp_path: Path) -> None:
    path = make(tmp_path / "trace")
    (path / "run.txt").mkdir()
    (path / "run.txt" / "mine").touch()
    before = contents(path)
    with pytest.raises(CaptureError, match=r"cannot be written: .*the new records are in .*trace-new"):
        broken(path)
    assert contents(path) == before
    assert contents(tmp_path / "trace-new") == {"manifest.json": b"new", "run.txt": b""}
    assert sorted(os.listdir(tmp_path)) == ["trace", "trace-new"]


def test_an_error_of_ours_while_a_trace_is_completed_keeps_what_was_recorded(tmp_path: Path) -> None:
    path = make(tmp_path / "trace")
    before = contents(path)
    with pytest.raises(ZeroDivisionError):
        broken(path, ZeroDivisionError())
    assert contents(path) == before
    assert contents(tmp_path / "trace-new") == {"manifest.json": b"new", "run.txt": b""}


def test_who_stopped_the_completion_finds_where_the_records_are(tmp_path: Path) -> None:
    place = place_for(make(tmp_path / "trace"), "train.py", force=True)
    (place.made / "run.json").write_text("new")
    with pytest.raises(KeyboardInterrupt), completing(place):
        raise KeyboardInterrupt
    assert place.made == tmp_path / "trace-new"
    assert contents(place.made) == {"run.json": b"new"}


def test_a_new_trace_that_replaces_none_is_made_in_its_place(tmp_path: Path) -> None:
    with completing(place_for(tmp_path / "trace", "train.py", force=True)) as made:
        assert made == tmp_path / "trace"
    with pytest.raises(UsageError, match="--force"):
        place_for(make(tmp_path / "old"), "train.py", force=False)
