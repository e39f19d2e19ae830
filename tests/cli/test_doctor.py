"""`tftrace doctor`: its lines, its document, its exit code."""

from __future__ import annotations

import json

import pytest

from tests.cli.running import tftrace
from tests.cli.test_terminal import HOSTILE, drawn
from tftrace.capture import doctor as checks
from tftrace.capture.doctor import Check, Report
from tftrace.views.terminal import doctor

REPORT = Report(
    python="/venv/bin/python",
    tensorflow="2.21.0",
    synthetic=False,
    checks=[
        Check("TensorFlow", "ok", "2.21.0, built with CUDA 12.5.1"),
        Check("GPU", "not ok", "no NVIDIA driver", "nothing on a machine without one"),
        Check("cuDNN", "not checked", "no GPU is visible"),
    ],
)

TEXT = """\
TensorFlow  ok           2.21.0, built with CUDA 12.5.1
GPU         not ok       no NVIDIA driver
                         nothing on a machine without one
cuDNN       not checked  no GPU is visible

1 check not ok"""


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    asked: list[str | None] = []

    def examine(python: str | None) -> Report:
        asked.append(python)
        return REPORT

    monkeypatch.setattr(checks, "examine", examine)
    return asked


def test_a_line_a_check_and_what_to_do() -> None:
    assert drawn(lambda c: doctor.draw(c, REPORT.document())) == TEXT


def test_what_is_not_ok_changes_no_exit_code(
    examined: list[str | None], capsys: pytest.CaptureFixture[str]
) -> None:
    result = tftrace(capsys, "doctor", "--python", "old/python")
    assert (result.code, result.out.strip()) == (0, TEXT)
    assert examined == ["old/python"]


def test_the_document(examined: list[str | None], capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(tftrace(capsys, "doctor", "--json").out)
    assert document["synthetic"] is False
    assert document["checks"][1] == {
        "name": "GPU",
        "state": "not ok",
        "found": "no NVIDIA driver",
        "advice": "nothing on a machine without one",
    }


def test_an_interpreter_that_is_not_there_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    result = tftrace(capsys, "doctor", "--python", "no-such-python")
    assert (result.code, result.out) == (2, "")
    assert (
        result.err
        == "tftrace: --python no-such-python: no such interpreter; give the path of a Python executable\n"
    )


def test_hostile_answers_are_spelled_out() -> None:
    report = Report("python", None, True, [Check("GPU", "ok", HOSTILE, HOSTILE)])
    text = drawn(lambda c: doctor.draw(c, report.document()), 500)
    assert "\\x1b[31m[red]" in text
    assert "\x1b" not in text
    assert "synthetic: a stand-in GPU" in text
