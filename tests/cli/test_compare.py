"""`tftrace compare` on recorded runs: exit codes, gates, `--json`, and what it says of bad input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.contracts import check
from tests.cli.running import ROOT, tftrace
from tftrace.model.trace import Trace

RECORDED = ROOT / "traces" / "examples" / "eager_conv2d"


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the recorded example with other entries in its manifest."""

    def copy(name: str, **manifest: Any) -> Path:
        place = tmp_path / name
        shutil.copytree(RECORDED, place)
        told = json.loads((place / "manifest.json").read_text())
        (place / "manifest.json").write_text(json.dumps(told | manifest))
        return place

    return copy


def test_the_same_trace_twice_passes_every_gate(capsys: pytest.CaptureFixture[str]) -> None:
    gates = ("algorithm-changed", "problem-missing", "problem-new", "slower>5%", "op-slower>5%", "op-missing")
    options = [part for gate in gates for part in ("--fail-on", gate)]
    done = tftrace(capsys, "compare", RECORDED, RECORDED, *options)
    assert (done.code, done.err) == (0, "")
    assert "baseline eager_conv2d (1), against it eager_conv2d (2)" in done.out
    for gate in gates:
        assert f"gate {gate}: passed" in done.out


def test_json_is_one_document_that_fits_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    done = tftrace(capsys, "compare", RECORDED, RECORDED, "--json", "--fail-on", "slower>5%")
    document = json.loads(done.out)
    check(document, "compare")
    assert (done.code, document["gates"][0]["gate"], document["gates"][0]["failed"]) == (
        0,
        "slower>5%",
        False,
    )
    assert {p["verdict"] for p in document["problems"]} == {"same"}


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_traces_are_wrong_usage(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    done = tftrace(capsys, "compare", *[RECORDED] * count)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("tftrace: a comparison takes two traces or more")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("gate", ["slowr>5%", "slower>5", "nonsense", "algorithm-changed>5%"])
def test_an_unknown_gate_is_one_line_and_exit_code_2(gate: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = tftrace(capsys, "compare", RECORDED, RECORDED, "--fail-on", gate)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert gate in done.err


def test_what_is_no_trace_is_one_line_and_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path, tmp_path / "missing", ROOT / "README.md"):
        done = tftrace(capsys, "compare", RECORDED, path)
        assert (done.code, done.out) == (3, "")
        assert len(done.err.splitlines()) == 1
        assert str(path) in done.err


def test_a_trace_of_another_format_version_is_one_line(
    edited: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    done = tftrace(capsys, "compare", RECORDED, edited("newer", format_version=99))
    assert (done.code, len(done.err.splitlines())) == (3, 1)
    assert "trace format 99" in done.err


def test_what_differs_between_the_runs_is_shown(
    edited: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    other = edited("other", env={"ONEDNN_MAX_CPU_ISA": "AVX2"}, synthetic=True)
    done = tftrace(capsys, "compare", RECORDED, other)
    assert "setting ONEDNN_MAX_CPU_ISA: - | AVX2" in done.out
    assert "synthetic: a stand-in GPU ran this" in done.out
    assert json.loads(tftrace(capsys, "compare", RECORDED, other, "--json").out)["synthetic"] is True


def test_a_page_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = tftrace(capsys, "compare", RECORDED, RECORDED, "-o", tmp_path / "no" / "page.html")
    assert (done.code, len(done.err.splitlines())) == (2, 1)


@pytest.mark.tf
def test_a_limit_on_the_instruction_set_changes_the_picks_and_is_named(
    recorded: Callable[..., Trace], conv_trace: Trace, capsys: pytest.CaptureFixture[str]
) -> None:
    limited = recorded("conv.py", ONEDNN_MAX_CPU_ISA="SSE41")
    assert conv_trace.path
    assert limited.path
    if not any(conv_trace.algorithms["library"] == "oneDNN"):
        pytest.skip("oneDNN reported no primitive on this processor")
    both = (conv_trace.path, limited.path)
    gates = ("--fail-on", "algorithm-changed", "--fail-on", "slower>5%", "--fail-on", "problem-missing")
    done = tftrace(capsys, "compare", *both, *gates, "--json")
    document = json.loads(done.out)
    check(document, "compare")
    problem = next(p for p in document["problems"] if p["problem"]["op"] == "Conv2D")
    assert problem["verdict"] == "algorithm_changed"
    assert problem["cause"] == "setting ONEDNN_MAX_CPU_ISA: not set -> SSE41"
    before, after = problem["runs"]
    assert before["implementation"] != after["implementation"]
    assert before["repetitions"] == before["calls"] - 1
    [change] = problem["changes"]
    assert change["time"] == "slower"
    assert 1 < change["ratio_low"] < change["ratio"] < change["ratio_high"]
    assert done.code == 1
    [line] = done.err.splitlines()
    assert "gate algorithm-changed failed: Conv2D" in line
    assert "gate slower>5% failed: Conv2D" in line
    assert "problem-missing" not in line
    assert tftrace(capsys, "compare", *reversed(both), "--fail-on", "slower>5%").code in (0, 1)
    passing = tftrace(capsys, "compare", *reversed(both), "--fail-on", "problem-missing")
    assert passing.code == 0


@pytest.mark.tf
def test_runs_of_the_stand_in_gpu_with_and_without_autotuning(
    standin_gpu: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.capture.running import environment, run
    from tests.standin_gpu.build import SCRIPTS

    for name, setting in (("tuned", {}), ("off", {"TF_CUDNN_USE_AUTOTUNE": "0"}), ("tuned2", {})):
        env = environment(**standin_gpu, **setting)
        done = run(SCRIPTS / "gradient.py", traced_to=tmp_path / name, env=env)
        assert done.exit_status == 0, done.stderr.decode()
    same = tftrace(
        capsys, "compare", tmp_path / "tuned", tmp_path / "tuned2", "--fail-on", "algorithm-changed"
    )
    assert same.code == 0, same.out
    other = tftrace(
        capsys, "compare", tmp_path / "tuned", tmp_path / "off", "--fail-on", "algorithm-changed", "--json"
    )
    assert other.code == 1
    document = json.loads(other.out)
    check(document, "compare")
    assert document["synthetic"] is True
    picks = {p["problem"]["direction"]: [r["chosen"] for r in p["runs"]] for p in document["problems"]}
    assert {d: a.split("_")[0] for d, (a, _) in picks.items()} == {
        "forward": "eng2", "backprop_input": "eng2", "backprop_filter": "eng4"
    }  # fmt: skip
    assert {b.split("_")[0] for _, b in picks.values()} == {"eng1"}
    assert {p["cause"] for p in document["problems"]} == {"setting TF_CUDNN_USE_AUTOTUNE: not set -> 0"}
