"""`tftrace tune` at the command line: what is asked for, and what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.cli.running import process, tftrace
from tftrace.views.settings_file import HEAD

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "tests" / "contracts" / "algorithms.schema.json").read_text())
MANIFEST = json.loads((ROOT / "tests" / "contracts" / "manifest.schema.json").read_text())
EXAMPLE = ROOT / "traces" / "examples" / "eager_conv2d"
SMALL = "2,12,12,16:3,3,16,16"


@pytest.mark.tf
def test_a_tuning_is_shown_pinned_and_read_like_any_other_trace(tmp_path: Path) -> None:
    options = ("--only", "onednn", "--only", "onednn isa=SSE41", "--budget", "40", "--pin", "settings.sh")
    done = process("tune", "--conv2d", SMALL, *options, "-o", "traces/small", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    document = json.loads(done.out)
    jsonschema.validate(document, SCHEMA)
    assert {"pin", "tuned", "not_replayed"} <= set(document)
    jsonschema.validate(json.loads((tmp_path / "traces" / "small" / "manifest.json").read_text()), MANIFEST)
    assert (tmp_path / "settings.sh").read_text().startswith(HEAD)
    assert done.err == "tftrace: traces/small\n"
    again = json.loads(process("algorithms", "traces/small", "--json", cwd=tmp_path).out)
    jsonschema.validate(again, SCHEMA)
    assert again["problems"][0]["chosen"] == document["problems"][0]["chosen"] is not None
    assert "small" in process("list", cwd=tmp_path).out
    compared = process("compare", "traces/small", "traces/small", "--json", cwd=tmp_path)
    assert json.loads(compared.out)["problems"][0]["verdict"] == "same"


@pytest.mark.tf
def test_a_budget_of_zero_lists_what_would_be_tried_and_leaves_nothing(tmp_path: Path) -> None:
    done = process("tune", EXAMPLE, "--budget", "0", "--pin", "p.sh", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "8,56,56,64:3,3,64,64:1:SAME:float32" in done.out
    assert "5 calls in the trace" in done.out
    assert "nothing was tried: the budget is 0" in done.out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("--conv2d", "8,56"), 2, "is no convolution"),
        ((str(EXAMPLE), "--conv2d", SMALL), 2, "not both"),
        (("--conv2d", SMALL, "--budget", "-1"), 2, "--budget"),
        (("--conv2d", SMALL, "--python", "absent/python"), 2, "no such interpreter"),
        (("--conv2d", f"{SMALL}:1:SAME:int8", "-o", "x"), 2, "floating-point"),
        (("--conv2d", SMALL, "--pin", "absent/settings.sh"), 2, "cannot be written"),
        (("absent",), 3, "does not exist"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    argv: tuple[str, ...], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = tftrace(capsys, "tune", *argv)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert not list(tmp_path.iterdir())


def test_a_trace_without_convolutions_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.txt"
    log.write_text(
        "onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32::blocked:cdba::f0 "
        "dst:f32::blocked:Acdb64a::f0,,,128x128x3x3,0.33\n"
    )
    assert tftrace(capsys, "import", log, "-o", tmp_path / "t").code == 0
    done = tftrace(capsys, "tune", tmp_path / "t")
    assert done.code == 3
    assert "holds no 2-D convolution that can be replayed; give one with --conv2d" in done.err


def test_another_file_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.sh").write_text("export MINE=1\n")
    done = tftrace(capsys, "tune", "--conv2d", SMALL, "--pin", "mine.sh")
    assert done.code == 2
    assert "is no settings file of tftrace" in done.err
    assert (tmp_path / "mine.sh").read_text() == "export MINE=1\n"
