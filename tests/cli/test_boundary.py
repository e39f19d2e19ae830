"""The command line itself: help, errors, exit codes, and what it may cost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import ROOT, process, tftrace
from tftrace.analysis import listing
from tftrace.cli.registry import COMMANDS
from tftrace.errors import CaptureError, GateError, InputError, TftraceError, UsageError

HEAVY = ("pandas", "pyarrow", "duckdb", "plotly", "dask", "numpy", "rich", "tensorflow", "orjson")


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom tftrace.cli import main\n"
        "try: main(['--help'])\n"
        "finally: print('IMPORTED', [m for m in sys.argv[1:] if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *HEAVY],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "IMPORTED []"
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import tftrace; print(sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    extra = {m.split(".")[0] for m in eval(done.stdout)}
    assert not extra & {*HEAVY, "click"}
    assert [m for m in eval(done.stdout) if m.startswith("tftrace")] == ["tftrace"]


def test_the_package_hands_out_its_names_and_no_others() -> None:
    import tftrace as package
    from tftrace.model.trace import Trace

    assert package.Trace is Trace
    assert package.TftraceError is TftraceError
    assert {"Trace", "TftraceError", "compare", "load", "record"} <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'contrast'"):
        _ = package.contrast


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = tftrace(capsys, name, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: tftrace {name} ")


def test_a_misspelt_command_is_wrong_usage_and_is_told_its_neighbour(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = tftrace(capsys, "sumary")
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[-1] == "Error: No such command 'sumary'. Did you mean 'summary'?"


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError, 2), (InputError, 3), (GateError, 1), (CaptureError, 125)]
)
def test_an_error_of_ours_is_one_line_and_its_exit_code(
    error: type[TftraceError], code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(root: Path) -> None:
        raise error("a/b\x1b[31m:\nnot what it should be")

    monkeypatch.setattr(listing, "traces", fail)
    result = tftrace(capsys, "list")
    assert (result.code, result.out) == (code, "")
    assert result.err == "tftrace: a/b [31m: not what it should be\n"


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    code = (
        "import tftrace.analysis.listing as l, tftrace.cli\n"
        "l.traces = lambda root: 1 / 0\n"
        "tftrace.cli.main(['list'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("command", ["summary", "view", "algorithms"])
def test_a_trace_that_is_not_there_is_bad_input(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tftrace(capsys, command, tmp_path / "gone")
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith(f"tftrace: {tmp_path / 'gone'}: ")
    assert result.err.count("\n") == 1


def test_no_trace_at_all_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = tftrace(capsys, "summary")
    assert (result.code, result.out) == (3, "")
    assert result.err == (
        "tftrace: no trace given, and none under traces/; record one with 'tftrace run SCRIPT'\n"
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("form", [["--json"], []])
def test_a_reader_that_leaves_early_ends_the_command_with_141_in_silence(
    form: list[str], unbuffered: str
) -> None:
    code = (
        "import sys, tftrace.analysis.listing as l, tftrace.cli\n"
        "l.traces = lambda root: [dict(name='x' * 100, script='y')] * 20_000\n"  # more than a pipe holds
        "import tftrace.views.terminal.listing as v\n"
        "v.draw = lambda console, rows, root: console.print('\\n'.join(r['name'] for r in rows))\n"
        "tftrace.cli.main(['list', *sys.argv[1:]])"
    )
    done = subprocess.Popen(
        [sys.executable, "-c", code, *form],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert done.stdout is not None
    assert done.stderr is not None
    assert done.stdout.readline() != ""
    done.stdout.close()
    assert done.stderr.read() == ""
    assert done.wait(60) == 141


def test_help_that_nobody_reads_makes_no_noise_either() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", "from tftrace.cli import main; main(['--help'])"],
        stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_version() -> None:
    from tftrace import __version__

    result = process("--version")
    assert (result.code, result.out) == (0, f"tftrace {__version__}\n")


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tftrace", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: tftrace ")
