"""The script under tftrace is the script as it is: streams, arguments, tracebacks, threads, environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.capture.running import SCRIPTS, Finished, environment, run, run_on_terminal, without_stamps
from tftrace.ingest.agent_raw import processes as processes_below
from tftrace.ingest.agent_raw import read_process

pytestmark = [pytest.mark.tf, pytest.mark.slow]

# what tftrace adds for the script and its children; everything else is untouched
ADDED = {"TFTRACE_RAW", "TFTRACE_OPTIONS", "PYTHONPATH", "INTEL_LIBITTNOTIFY64", "ONEDNN_ITT_TASK_LEVEL"}


class Twins:
    """One script run both ways, with what it reported about itself."""

    def __init__(self, folder: Path) -> None:
        self.trace = folder / "trace"
        self.plain, self.plain_environment = self.run(folder, None)
        self.traced, self.traced_environment = self.run(folder, self.trace)

    @staticmethod
    def run(folder: Path, traced_to: Path | None) -> tuple[Finished, dict[str, str]]:
        report = folder / "report.json"
        done = run(
            SCRIPTS / "transparent.py", "-o", "--quiet", "tricky arg", "--", traced_to=traced_to,
            stdin=b"a line\nand another\n", env=environment(REPORT=str(report)),
        )  # fmt: skip
        assert done.exit_status == 0, done.stderr.decode()
        return done, json.loads(report.read_text())


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    return Twins(tmp_path_factory.mktemp("twins"))


def test_stdout_is_byte_identical(twins: Twins) -> None:
    assert b"printf before the convolution" in twins.plain.stdout
    assert b"a child of the shell" in twins.plain.stdout
    assert twins.traced.stdout == twins.plain.stdout


def test_stderr_says_the_same(twins: Twins) -> None:
    assert "os.write to 2" in without_stamps(twins.plain.stderr)
    assert without_stamps(twins.traced.stderr) == without_stamps(twins.plain.stderr)


def test_environment_gains_only_what_is_documented(twins: Twins) -> None:
    plain, traced = twins.plain_environment, twins.traced_environment
    assert set(traced) - set(plain) <= ADDED
    assert {k: v for k, v in traced.items() if k not in ADDED} == plain


def test_lines_of_onednn_were_recorded_and_not_shown(twins: Twins) -> None:
    processes = [read_process(path) for path in processes_below(twins.trace / "raw")]
    convolutions = 0
    for process in processes:  # written whole once; of each further one only the time is kept
        lines = process.verbose()
        convolution = np.array([",exec,cpu,convolution," in form for form in lines.forms], bool)
        whole = set(lines.block[convolution[lines.form]].tolist())
        convolutions += len(whole) + sum(int(r["line"]) in whole for r in process.onednn)
    assert convolutions >= 40
    assert b",exec,cpu,convolution," not in twins.traced.stdout


def test_terminal_sees_the_same(tmp_path: Path) -> None:
    shown = []
    for traced_to in (None, tmp_path / "trace"):
        done = run_on_terminal(
            SCRIPTS / "transparent.py", "on a terminal", traced_to=traced_to, typed=b"typed\n",
            env=environment(REPORT=str(tmp_path / "report.json"), TF_CPP_MIN_LOG_LEVEL="3"),
        )  # fmt: skip
        assert done.exit_status == 0, done.stdout.decode()
        shown.append(done.stdout)
    assert b'"stdin": "typed\\n", "terminals": [true, true, true]' in shown[0]
    assert without_stamps(shown[1]) == without_stamps(shown[0])


def test_interpreter_of_the_script_is_the_one_asked_for(twins: Twins) -> None:
    process = json.loads(next(twins.trace.glob("raw/*/process.json")).read_text())
    assert process["executable"] == sys.executable
