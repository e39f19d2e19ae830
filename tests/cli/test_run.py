"""`tftrace run`: what reaches the recorder, what reaches the script, and what comes back."""

from __future__ import annotations

import resource
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

import tftrace.capture.launch as launch
from tests.cli.running import process, tftrace
from tftrace.agent.contract import PROBES
from tftrace.api import load
from tftrace.capture.launch import RunOutcome, RunRequest
from tftrace.correlate import build
from tftrace.errors import CaptureError
from tftrace.store.directory import Place


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[RunRequest]:
    """The requests that reach the recorder, which records nothing and whose raw records cannot be built."""
    seen: list[RunRequest] = []

    def run(request: RunRequest) -> RunOutcome:
        seen.append(request)
        return RunOutcome(7, Place(tmp_path / "t", tmp_path / "t"), 0.1)

    def build(directory: Path, progress: Any) -> None:
        raise CaptureError("nothing was recorded")

    monkeypatch.setattr(launch, "run", run)
    monkeypatch.setattr("tftrace.correlate.build.build", build)
    return seen


def test_arguments_of_the_script_pass_untouched(
    requests: list[RunRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [
        "train.py",
        "--quiet",
        "--force",
        "-o",
        "x",
        "--",
        "--no-itt",
        "--help",
        "-m",
        "",
        "a b",
        "--epochs=3",
    ]
    result = tftrace(capsys, "run", *argv)
    assert requests == [RunRequest(argv=argv)]
    assert result.code == 7


def test_every_option_reaches_the_recorder(
    requests: list[RunRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["-o", "out", "--force", "--python", "python3.9", "--probes", "dispatch, tf-profiler", "--no-nvtx"]
    argv += [
        "--no-tf_profiler",
        "--profile-mb",
        "8",
        "--steps",
        "10:20",
        "--quiet",
        "--no-source",
        "--redact",
    ]
    tftrace(capsys, "run", *argv, "-m", "pkg.mod", "-m")
    assert requests == [
        RunRequest(
            argv=["pkg.mod", "-m"],
            module=True,
            python="python3.9",
            output=Path("out"),
            force=True,
            probes=("dispatch", "tf_profiler"),
            disabled=("tf_profiler", "nvtx"),
            profile_mb=8.0,
            steps=(10, 20),
            quiet=True,
            source=False,
            redact=True,
        )
    ]


@pytest.mark.parametrize("probe", PROBES)
def test_each_probe_has_its_switch(
    probe: str, requests: list[RunRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    tftrace(capsys, "run", f"--no-{probe}", "s.py")
    tftrace(capsys, "run", f"--no-{probe.replace('_', '-')}", "s.py")
    assert [r.disabled for r in requests] == [(probe,), (probe,)]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--steps", "20:10", "s.py"], "'20:10' is not A:B with A < B"),
        (["--steps", "ten", "s.py"], "'ten' is not A:B"),
        (["--probes", "dispatch,magic", "s.py"], "magic named; there are dispatch, graph"),
        (["--profile-mb", "0", "s.py"], "--profile-mb"),
        (["--bogus", "s.py"], "No such option '--bogus'"),
        ([], "Missing argument 'SCRIPT'"),
    ],
)
def test_a_wrong_option_is_wrong_usage_and_runs_nothing(
    argv: list[str], words: str, requests: list[RunRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    result = tftrace(capsys, "run", *argv)
    assert (result.code, result.out, requests) == (2, "", [])
    assert words in " ".join(result.err.split())


def test_a_failure_after_the_script_leaves_its_exit_code(
    requests: list[RunRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    result = tftrace(capsys, "run", "s.py")
    assert (result.code, result.out, result.err) == (7, "", "tftrace: nothing was recorded\n")


def test_a_missing_script_is_wrong_usage(tmp_path: Path) -> None:
    result = process("run", "-o", tmp_path / "t", tmp_path / "gone.py")
    assert (result.code, result.out) == (2, "")
    assert (
        result.err == f"tftrace: {tmp_path / 'gone.py'}: no such script; give a Python file, or -m MODULE\n"
    )
    assert not (tmp_path / "t").exists()


def test_an_output_that_cannot_be_is_125_and_the_script_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "s.py").write_text("print('ran')")
    result = process("run", "-o", tmp_path / "file" / "t", tmp_path / "s.py")
    assert (result.code, result.out) == (125, "")
    assert result.err.startswith("tftrace: ")
    assert result.err.count("\n") == 1


def test_a_script_without_tensorflow_runs_as_ever(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text(
        "import sys\nprint(__name__, sys.argv)\n"
        "print('to stderr', file=sys.stderr)\nsys.exit(int(sys.argv[1]))"
    )
    result = process("run", "--quiet", "-o", tmp_path / "t", script, "9", "--quiet")
    assert (result.code, result.err) == (9, "to stderr\n")
    assert result.out == f"__main__ {[str(script), '9', '--quiet']}\n"
    assert (tmp_path / "t" / "manifest.json").is_file()


def test_a_killed_script_gives_128_and_the_signal(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    result = process("run", "--quiet", "-o", tmp_path / "t", script)
    assert result.code == 137


def test_a_taken_place_is_kept_without_force_and_replaced_with_it(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text("print('once')")
    target = tmp_path / "t"
    assert process("run", "--quiet", "-o", target, script).code == 0
    before = (target / "run.json").read_bytes()
    refused = process("run", "--quiet", "-o", target, script)
    assert (refused.code, refused.out) == (2, "")
    assert "--force" in refused.err
    assert (target / "run.json").read_bytes() == before
    assert process("run", "--quiet", "--force", "-o", target, script).code == 0
    assert (target / "run.json").read_bytes() != before


def test_the_default_place_is_named_after_the_script(tmp_path: Path) -> None:
    (tmp_path / "my train.py").write_text("")
    assert process("run", "--quiet", "my train.py", cwd=tmp_path).code == 0
    [made] = (tmp_path / "traces").iterdir()
    assert made.name.startswith("my_train-2")


def test_python_is_the_interpreter_that_runs(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text("import sys\nprint(sys.executable)")
    result = process("run", "--quiet", "--python", sys.executable, "-o", tmp_path / "t", script)
    assert result.out == f"{sys.executable}\n"
    wrong = process("run", "--quiet", "--python", tmp_path / "python", "-o", tmp_path / "u", script)
    assert wrong.code == 2
    assert not (tmp_path / "u").exists()


def interpreter_with(path: Path, tensorflow: str | None) -> Path:
    """An interpreter with no packages but a TensorFlow whose `__init__` is that text."""
    venv.create(path, symlinks=True)
    if tensorflow is not None:
        (packages,) = path.glob("lib/python*/site-packages")
        (packages / "tensorflow").mkdir()
        (packages / "tensorflow" / "__init__.py").write_text(tensorflow)
    return path / "bin" / "python"


def test_an_interpreter_without_tensorflow_is_named(tmp_path: Path) -> None:
    """The script itself fails there, with its own traceback and exit code."""
    script = tmp_path / "s.py"
    script.write_text("import tensorflow as tf\n")
    python = interpreter_with(tmp_path / "venv", None)
    result = process("run", "--python", python, "-o", tmp_path / "t", script)
    assert (result.code, result.out) == (1, "")
    lines = result.err.splitlines()
    assert "ModuleNotFoundError: No module named 'tensorflow'" in lines
    assert "  failed    ModuleNotFoundError at s.py:1: No module named 'tensorflow'" in lines
    assert lines[-1].startswith("  next      tftrace doctor --python ")


def test_a_tensorflow_that_is_too_old_is_left_alone_and_named(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text("import tensorflow as tf\nprint(tf.__version__)\n")
    python = interpreter_with(tmp_path / "venv", "__version__ = '1.15.5'\n")
    result = process("run", "--python", python, "-o", tmp_path / "t", script, COLUMNS="120")
    assert (result.code, result.out) == (0, "1.15.5\n")
    why = "TensorFlow 1.15.5 is older than 2.12, the oldest that is traced"
    lines = result.err.splitlines()
    assert lines[1] == f"  ran       no TensorFlow op was executed: {why}"
    assert lines[-1].startswith("  next      tftrace doctor --python ")
    assert "lost      nothing" in result.err
    manifest = load(tmp_path / "t").manifest
    assert {p["reason"] for p in manifest["probes"]} == {why}
    assert manifest["versions"]["tensorflow"] == "1.15.5"


def test_an_old_trace_stands_while_the_script_runs(tmp_path: Path) -> None:
    script, target = tmp_path / "s.py", tmp_path / "t"
    script.write_text("import pathlib, sys\nprint(pathlib.Path(sys.argv[1]).read_text(), end='')")
    assert process("run", "--quiet", "-o", target, script, script).code == 0
    old = (target / "run.json").read_text()
    done = process("run", "--quiet", "--force", "-o", target, script, target / "run.json")
    assert (done.code, done.out, done.err) == (0, old, "")
    assert (target / "run.json").read_text() != old
    assert load(target).manifest["argv"][-1] == str(target / "run.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.py", "t"]
    assert b".part" not in b"".join(path.read_bytes() for path in target.rglob("*.json*"))


def test_a_disk_that_fills_after_the_script_leaves_the_old_trace_and_the_new_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script, target = tmp_path / "s.py", tmp_path / "t"
    script.write_text("raise SystemExit(3)")
    assert process("run", "--quiet", "-o", target, script).code == 3
    before = {p: p.read_bytes() for p in sorted(target.rglob("*")) if p.is_file()}
    written = build.write_tables
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)

    def on_a_full_disk(directory: Path, tables: Any) -> Any:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, kept[1]))  # what a full disk is to a writer
        try:
            return written(directory, tables)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, kept)

    monkeypatch.setattr(build, "write_tables", on_a_full_disk)
    done = tftrace(capsys, "run", "--quiet", "--force", "-o", target, script)
    assert done.code == 3
    new = tmp_path / "t-new"
    assert done.err.startswith(f"tftrace: {new}: the tables cannot be written: ")
    assert done.err.endswith(f"(the new records are in {new}; {target} is as it was)\n")
    assert {p: p.read_bytes() for p in sorted(target.rglob("*")) if p.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.py", "t", "t-new"]
    monkeypatch.undo()
    assert load(new).manifest["exit_status"] == 3  # built from what was kept
