"""The checks of `tftrace doctor`: what they make of each kind of machine, and what real interpreters answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tftrace.capture import doctor
from tftrace.capture.doctor import Machine, examine
from tftrace.errors import UsageError

WITH_GPU: dict[str, Any] = {
    "python": "3.11.7",
    "executable": "/venv/bin/python",
    "tensorflow": "2.21.0",
    "build": {"cuda": True, "cuda_version": "12.5.1", "cudnn": "9.3.0", "cupti_api": 23},
    "gpus": [{"device": "/physical_device:GPU:0", "name": "NVIDIA T4", "compute_capability": "7.5"}],
    "driver": {"loadable": True, "error": None, "standin": False, "version": 12050},
    "cudnn": "9.3.0",
    "cupti": {"api": 23, "error": None},
    "profiler_options": True,
}


def machine(environ: dict[str, str] | None = None, parameters: str = "", **facts: Any) -> Machine:
    return Machine("python", {**WITH_GPU, **facts}, None, environ or {}, Path.cwd(), parameters)


def without_gpu(**facts: Any) -> Machine:
    return machine(gpus=[], **facts)


def test_a_machine_with_everything_is_ok() -> None:
    for check in (c(machine()) for c in doctor.CHECKS if c is not doctor.native_library):
        assert (check.state, check.advice) == ("ok", None), check


@pytest.mark.parametrize(
    ("check", "given", "found"),
    [
        (doctor.python_version, machine(python="3.8.10"), "3.8.10"),
        (doctor.tensorflow_version, machine(tensorflow="2.11.1"), "2.11.1"),
        (doctor.tensorflow_version, machine(tensorflow="2.40.0-rc1"), "newer than any"),
        (doctor.tensorflow_version, machine(tensorflow=None, import_error="No module named 'x'"), "No module"),
        (doctor.gpu_visible, machine({"CUDA_VISIBLE_DEVICES": ""}, gpus=[]), "hidden by CUDA_VISIBLE_DEVICES=''"),
        (doctor.gpu_visible, machine({"CUDA_VISIBLE_DEVICES": "-1"}, gpus=[]), "hidden by"),
        (doctor.gpu_visible, without_gpu(build={"cuda": False}), "built without CUDA"),
        (doctor.gpu_visible, without_gpu(driver={"loadable": False, "error": "not there"}), "driver: not there"),
        (doctor.gpu_visible, without_gpu(), "opened no device"),
        (doctor.cudnn_version, machine(cudnn=None), "finds no libcudnn"),
        (doctor.cudnn_version, machine(cudnn="9.2.1"), "9.2.1; TensorFlow was built with 9.3.0"),
        (doctor.cudnn_version, machine(cudnn="10.1.0"), "10.1.0"),
        (doctor.cupti_version, machine(cupti={"api": None, "error": "not found"}), "finds no libcupti"),
        (doctor.cupti_version, machine(cupti={"api": 18, "error": None}), "API 18"),
        (doctor.cupti_version, machine(cupti={"api": 130001, "error": None}), "API 130001"),
        (doctor.cupti_permitted, machine(cupti={"api": 23, "error": "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES"}), "admin"),
        (
            doctor.cupti_permitted,
            machine(parameters="RmProfilingAdminOnly: 1\n", cupti={"api": 23, "error": "CUPTI_ERROR_UNKNOWN"}),
            "administrators",
        ),
        (
            doctor.cupti_permitted,
            machine(cupti={"api": 23, "error": "CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED"}),
            "another profiler",
        ),
        (doctor.other_tools, machine({"NVTX_INJECTION64_PATH": "/nsys.so"}), "an NVTX tool"),
        (doctor.profiler_options, machine(profiler_options=False), "ignores them"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_what_to_do(check: Any, given: Machine, found: str) -> None:
    result = check(given)
    assert result.state == "not ok"
    assert found in result.found
    assert result.advice


def test_later_versions_of_the_same_major_are_fine() -> None:
    assert doctor.cudnn_version(machine(cudnn="9.28.0")).state == "ok"
    assert doctor.cupti_version(machine(cupti={"api": 28, "error": None})).state == "ok"
    assert doctor.tensorflow_version(machine(tensorflow="2.12.0")).state == "ok"


@pytest.mark.parametrize("check", [doctor.cudnn_version, doctor.cupti_version, doctor.cupti_permitted])
def test_libraries_of_the_gpu_are_not_checked_without_one(check: Any) -> None:
    assert check(without_gpu()).state == "not checked"


def test_a_question_that_failed_is_not_checked_and_says_why() -> None:
    result = doctor.profiler_options(machine(profiler_options=None, failed={"profiler_options": "E: no"}))
    assert (result.state, result.found) == ("not checked", "E: no")


def test_too_little_room_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOM_BYTES", 1 << 80)
    assert doctor.disk_space(machine()).state == "not ok"


def test_room_is_that_of_the_nearest_directory_that_exists(tmp_path: Path) -> None:
    here = Machine("python", WITH_GPU, None, {}, tmp_path / "not" / "yet")
    assert doctor.disk_space(here).found.endswith(f"free at {tmp_path}")


def interpreter(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'Fatal: no such file' >&2; exit 6", "ended with 6 before it answered: Fatal: no such file"),
        ("kill -ABRT $$", "ended with -6 before it answered"),
        ("echo 'no JSON' > \"$2\"", "ended with 0 before it answered"),
    ],
)
def test_an_interpreter_that_dies_is_a_check_that_is_not_ok(tmp_path: Path, script: str, why: str) -> None:
    report = examine(interpreter(tmp_path / "python", script))
    assert report.checks[0].state == "not ok"
    assert why in report.checks[0].found
    assert {c.name: c.state for c in report.checks}["TensorFlow"] == "not checked"
    assert report.tensorflow is None


def test_an_interpreter_that_is_not_there_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no such interpreter"):
        examine("no-such-python")


def test_an_interpreter_without_tensorflow(tmp_path: Path) -> None:
    # isolated: it sees no site-packages
    report = examine(interpreter(tmp_path / "python", f'exec {sys.executable} -S -E "$@"'))
    state = {c.name: c for c in report.checks}
    assert state["Python"].state == "ok"
    assert state["TensorFlow"].found == "ModuleNotFoundError: No module named 'tensorflow'"
    assert state["profiler options"].state == "not checked"


@pytest.mark.tf
def test_the_stand_in_gpu_passes_every_check_of_a_gpu(
    standin_gpu: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in standin_gpu.items():
        monkeypatch.setenv(name, value)
    report = examine()
    state = {c.name: c for c in report.checks}
    assert report.synthetic
    assert report.tensorflow is not None
    for name in ("Python", "TensorFlow", "GPU", "cuDNN", "CUPTI version", "CUPTI permitted"):
        assert state[name].state == "ok", state[name]
    assert "Stand-in GPU (synthetic)" in state["GPU"].found
    assert state["profiler options"].state in ("ok", "not ok")
