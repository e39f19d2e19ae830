"""Processes that replay: how they are asked, and how their ends are told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tftrace.capture.pool import MOST_STARTS, Pool
from tftrace.capture.settings import Setting
from tftrace.capture.worker import LATE, Ended, Worker, spread
from tftrace.errors import CaptureError

SETTING = Setting("oneDNN", "onednn", {})


def interpreter(tmp_path: Path, body: str) -> str:
    """An executable in the place of a Python interpreter."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def running(pid: int) -> bool:
    """Whether the process runs: one that was killed may wait for init to take notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def start(tmp_path: Path, body: str) -> Worker:
    return Worker.start(interpreter(tmp_path, body), {}, tmp_path / "worker")


def test_a_process_that_is_killed_says_by_what_and_its_last_words(tmp_path: Path) -> None:
    worker = start(tmp_path, "echo 'I0000 no matter' >&2; echo 'it hurts' >&2; kill -SEGV $$")
    answer = worker.ask({"do": "start"}, 30)
    assert answer == Ended("it was killed by SIGSEGV: it hurts")
    assert not worker.alive
    assert worker.ask({"do": "start"}, 30) == answer


def test_a_process_that_ends_says_with_which_code(tmp_path: Path) -> None:
    answer = start(tmp_path, "exit 7").ask({"do": "start"}, 30)
    assert answer == Ended("it ended with exit code 7")


def test_a_process_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    worker = start(tmp_path, "trap '' USR1; sleep 1000 & echo $! >&2; wait; sleep 1000")
    assert worker.ask({"do": "start"}, 0.5) == Ended(f"no answer within 1 s: {LATE}", late=True)
    grandchild = int((worker.folder / "stderr.txt").read_text().split()[0])
    assert any(not running(grandchild) for _ in range(100_000))  # a signal takes its time


def test_a_missing_interpreter_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="could not be started: No such file"):
        Worker.start(str(tmp_path / "absent"), {}, tmp_path / "worker")


def test_the_end_of_one_process_leaves_the_others_and_its_own_rest_unanswered(tmp_path: Path) -> None:
    good = Worker.start(sys.executable, {}, tmp_path / "good")
    bad = start(tmp_path, "kill -ABRT $$")
    commands = [{"do": "drop", "of": "bad"}, {"do": "drop", "of": "bad"}, {"do": "drop", "of": "good"}]
    answers = dict(spread({good: "good", bad: "bad"}, commands, 30))
    good.end("done")
    assert answers == {0: Ended("it was killed by SIGABRT"), 2: {}}


def test_a_setting_that_ends_its_processes_is_given_up(tmp_path: Path) -> None:
    with Pool(interpreter(tmp_path, "kill -ILL $$"), tmp_path / "raw", 0) as pool:
        pool.forks = False
        for _ in range(MOST_STARTS):
            assert pool.start([SETTING], 30) == {"onednn": "it was killed by SIGILL"}
        (reason,) = pool.start([SETTING], 30).values()
    assert reason == f"its process ended {MOST_STARTS} times: it was killed by SIGILL"


def test_settings_of_the_caller_do_not_reach_a_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    monkeypatch.setenv("TFTRACE_RAW", "somewhere")
    worker = Worker.start(interpreter(tmp_path, "env >&2"), {"TF_ENABLE_ONEDNN_OPTS": "0"}, tmp_path / "w")
    worker.ask({"do": "start"}, 30)
    seen = (worker.folder / "stderr.txt").read_text()
    assert "TF_ENABLE_ONEDNN_OPTS=0" in seen
    assert "ONEDNN_MAX_CPU_ISA" not in seen
    assert "TFTRACE_RAW" not in seen
