"""Functions that hang, crash, allocate or change the process cost their own result and no other."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tftrace.analysis import wrappers
from tftrace.capture.wrappers import Limits, Traced, trace
from tftrace.errors import InputError

pytestmark = [pytest.mark.tf, pytest.mark.slow]
LEFT = b"left by tests/wrappers/faulty.py"


@pytest.fixture(scope="module")
def outcome() -> Iterator[tuple[Traced, dict[str, dict[str, Any]]]]:
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(Path(__file__).parent))
    try:
        traced, index = trace(["faulty"], limits=Limits(seconds=20, memory_mb=2048))
    finally:
        patch.undo()
    document = wrappers.document(["faulty"], traced.versions, traced.functions, traced.records, index)
    yield traced, {row["name"].removeprefix("faulty."): row for row in document["functions"]}
    for pid in children_left():
        os.kill(pid, signal.SIGKILL)


def children_left() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and LEFT in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("allocates", "MemoryError"),
        ("allocates_in_the_runtime", "OOM"),
        ("crashes", "SIGSEGV"),
        ("exits", "exit code 7"),
        ("gives_a_coroutine", "NotRunError: it gives a coroutine"),
        ("hangs", "did not return within 20 s"),
        ("raises", "ValueError: on purpose"),
        ("raises_system_exit", "SystemExit: 3"),
    ],
)
def test_a_faulty_function_is_not_traced_and_says_why(outcome: Any, name: str, reason: str) -> None:
    row = outcome[1][name]
    assert row["category"] == "not_traced"
    assert reason in row["reason"]


@pytest.mark.parametrize(
    "name", ["a_good_one", "the_environment_is_as_it_was", "very_good_too", "leaves_a_child"]
)
def test_the_others_are_traced_in_a_process_as_it_was(outcome: Any, name: str) -> None:
    row = outcome[1][name]
    assert row["category"] == "thin", row
    assert row["equal"] is True


def test_a_generator_is_asked_for_what_it_gives(outcome: Any) -> None:
    row = outcome[1]["gives_a_generator"]
    assert set(row["ops"]) == {"Abs"}
    assert row["category"] != "no_op"


def test_of_a_function_that_makes_a_graph_the_ops_in_it_are_compared(outcome: Any) -> None:
    row = outcome[1]["compiled"]
    assert (row["category"], row["ops"]) == ("thin", ["Abs"])
    assert "tf.abs" in row["native"]


def test_a_convolution_of_the_users_own_is_called_with_images(outcome: Any) -> None:
    row = outcome[1]["convolves"]
    assert (row["category"], row["ops"]) == ("thin", ["Conv2D"])
    assert "tf.nn.conv2d" in row["native"]


def test_a_module_that_ends_the_interpreter_when_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "ends_at_once.py").write_text("import os\nos._exit(7)\n")
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(tmp_path))
    try:
        with pytest.raises(
            InputError, match=r"^ends_at_once: it ended the interpreter with exit code 7 before"
        ):
            trace(["ends_at_once"])
    finally:
        patch.undo()


def test_what_cannot_be_restored_takes_a_new_process(outcome: Any) -> None:
    renewed = {row["name"]: row["because"] for row in outcome[0].renewed}
    assert renewed == {"faulty.turns_numpy_behaviour_on": ["numpy's methods on tensors"]}


def test_a_process_that_a_function_left_is_neither_waited_for_nor_ended(outcome: Any) -> None:
    assert outcome[1]["leaves_a_child"]["category"] == "thin"
    assert children_left()


def test_a_worker_ends_with_its_parent(tmp_path: Path) -> None:
    """However the parent ends: its worker, in the midst of a function that hangs, is not left."""
    where = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parents[2], Path(__file__).parent))),
    }
    command = [
        sys.executable,
        "-c",
        "from tftrace.cli import main; main()",
        "wrappers",
        "faulty.hangs",
        "--seconds",
        "300",
    ]
    parent = subprocess.Popen(command, env=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        worker = os.pidfd_open(next(iter(child_running("worker.py", parent))))
    finally:
        parent.kill()
        parent.wait()
    try:
        ended, _, _ = select.select([worker], [], [], 60)
        assert ended
    finally:
        os.close(worker)


def child_running(script: str, parent: subprocess.Popen[bytes]) -> Iterator[int]:
    """Children of a process that run a script, as soon as there is one; ends with the process."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            parent.wait(0.1)
            return
        for pid in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split():
            try:
                said = Path(f"/proc/{pid}/cmdline").read_bytes()
                loaded = b"tensorflow" in Path(f"/proc/{pid}/maps").read_bytes()
            except OSError:
                continue
            if script.encode() in said and loaded:
                yield int(pid)
