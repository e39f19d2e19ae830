"""The manifest: whole or not at all, and refused in one line where it is not one that this version reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from tftrace.errors import InputError, UsageError
from tftrace.model.schemas import FORMAT_VERSION
from tftrace.store.manifest import MANIFEST, read_manifest, write_manifest

WHOLE: dict[str, Any] = {
    "argv": ["train.py", "Ω"], "exit_status": None, "versions": {}, "processes": [],
    "probes": [{"name": "itt", "status": "ok", "later": 1}], "of a later version": True,
}  # fmt: skip


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_manifest(tmp_path, WHOLE)
    assert read_manifest(tmp_path) == {"format_version": FORMAT_VERSION, **WHOLE}
    assert [p.name for p in tmp_path.iterdir()] == [MANIFEST]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_version": FORMAT_VERSION + 1}, "update tftrace"),
        ({"format_version": 0}, "record it again"),
        ({"format_version": "1"}, "record it again"),
        ({"probes": {}}, "'probes' has the wrong type"),
        ({"exit_status": "0"}, "'exit_status' has the wrong type"),
        ({"probes": [{"status": "ok"}]}, "a probe has no name or status"),
        ({"probes": ["itt"]}, "a probe has no name or status"),
    ],
)
def test_another_format_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / MANIFEST
    path.write_bytes(orjson.dumps({"format_version": FORMAT_VERSION, **WHOLE, **change}))
    with pytest.raises(InputError) as error:
        read_manifest(tmp_path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is cut or damaged"),
        (b'{"format_version": 1, "arg', "is cut or damaged"),
        (b"\xff\xfe{}", "is cut or damaged"),
        (b"[]", "is not a tftrace manifest"),
        (b'{"name": "somebody else\'s"}', "is not a tftrace manifest"),
        (b'{"format_version": 1}', "'argv' is missing"),
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_manifest(tmp_path)


def test_place_without_a_manifest_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, said in (
        (tmp_path, "is no trace"),
        (tmp_path / "no", "does not exist"),
        (tmp_path / "file", "is a file"),
    ):
        with pytest.raises(InputError, match=said):
            read_manifest(path)


def test_a_write_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_manifest(tmp_path, WHOLE)
    before = (tmp_path / MANIFEST).read_bytes()

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match="No space left on device; make room"):
        write_manifest(tmp_path, {**WHOLE, "argv": []})
    assert (tmp_path / MANIFEST).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [MANIFEST]
