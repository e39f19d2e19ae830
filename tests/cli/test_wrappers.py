"""`tftrace wrappers` on the command line: its document, its table, and what it says of what it cannot do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.analysis import contracts
from tests.cli.running import process


@pytest.mark.tf
@pytest.mark.slow
def test_the_document_is_all_that_is_printed() -> None:
    done = process("wrappers", "tf.keras.backend.abs", "tf.keras.backend.sqrt", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    contracts.check(document, "wrappers")
    rows = {row["name"]: row for row in document["functions"]}
    assert rows["tf.keras.backend.abs"]["category"] == "thin"
    assert "tf.math.abs" in rows["tf.keras.backend.abs"]["native"]
    assert rows["tf.keras.backend.sqrt"]["category"] == "thick"


@pytest.mark.tf
@pytest.mark.slow
def test_the_table_has_a_part_a_category() -> None:
    done = process("wrappers", "tf.keras.backend.abs", "tf.keras.backend.sqrt", "tf.keras.backend.floatx")
    assert done.code == 0, done.err
    assert done.out.startswith(
        "tf.keras.backend.abs, tf.keras.backend.sqrt, tf.keras.backend.floatx: 3 functions"
    )
    parts = [
        line.split()[0]
        for line in done.out.splitlines()
        if line[:5].split() in (["thin"], ["thick"], ["alias"])
    ]
    assert parts == ["alias", "thin", "thick"]


@pytest.mark.tf
@pytest.mark.parametrize(
    ("names", "code", "says"),
    [
        (["no_such_module"], 2, "no_such_module: there is no no_such_module"),
        (["tf.keras.backend.no_such"], 2, "there is no tensorflow.keras.backend.no_such"),
        (["not a name"], 2, "is no dotted name"),
        (["broken_module"], 3, "broken_module cannot be imported: RuntimeError: broken on purpose"),
        (["tf.newaxis"], 2, "neither a module nor a function"),
    ],
)
def test_a_name_that_means_nothing_is_one_line(
    names: list[str], code: int, says: str, tmp_path: Path
) -> None:
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('broken on purpose')\n")
    done = process("wrappers", *names, PYTHONPATH=f"{_root()}:{tmp_path}")
    assert done.code == code
    assert says in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_an_interpreter_that_is_not_there_is_one_line() -> None:
    done = process("wrappers", "tf.nn", "--python", "no-such-python")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "tftrace: --python no-such-python: no such interpreter; give the path of a Python executable"
    ]


def test_an_interpreter_without_tensorflow_is_one_line(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    done = process(
        "wrappers", "tf.nn", "--python", "./python", cwd=tmp_path
    )  # from where the command was given
    assert (done.code, done.out) == (2, "")
    assert "TensorFlow cannot be imported by" in done.err
    assert done.err.count("\n") == 1


def test_a_tensorflow_that_is_too_old_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("__version__ = '2.11.0'\n")
    done = process("wrappers", "tf.nn", PYTHONPATH=f"{_root()}:{tmp_path}")
    assert (done.code, done.out) == (2, "")
    assert "has TensorFlow 2.11.0; tftrace traces 2.12 and later" in done.err
    assert done.err.count("\n") == 1


def _root() -> Path:
    return Path(__file__).resolve().parents[2]
