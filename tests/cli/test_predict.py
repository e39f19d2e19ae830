"""`tftrace predict` on the command line: lists, side by side and as JSON, and a line for whatever is missing."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.analysis.contracts import check
from tests.capture import standin_cudnn
from tests.capture.standin_cudnn import ENDS, UNKNOWN
from tests.cli.running import ROOT, process, tftrace

SPEC = "2,8,8,4:3,3,4,4"
EXAMPLE = ROOT / "traces" / "examples" / "eager_conv2d"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def cudnn(tmp_path: Path) -> Path:
    return standin_cudnn.install(tmp_path / "packages")


ONE = """\
Conv2D  2,8,8,4:3,3,4,4:1:SAME
  a100 cuDNN 9.28.0 NHWC float32 32 B
#  algorithm   workspace  notes        heuristic  refused
───────────────────────────────────────────────────────────────
1  eng32_k2=4  0 B        tensor_core  b          -
2  eng32_k2=5  1.0 kB     tensor_core  b          NOT_SUPPORTED
  3 candidates, 3 on tensor cores, 0 nondeterministic, workspace 0 B to 2.0 kB

left out: engines that need cuBLASLt (FFT): it does not start without a GPU; see --assume-cublaslt
predicted: in the order of cuDNN's heuristics, none of it run; which one is fastest is not known
"""


def test_one_list_shows_its_candidates_with_knobs_and_notes(
    capsys: pytest.CaptureFixture[str], cudnn: Path
) -> None:
    done = tftrace(capsys, "predict", "--conv2d", SPEC, "--gpu", "a100", "--cudnn", cudnn, "--top", "2")
    assert (done.code, done.err) == (0, "")
    assert done.out == ONE


def test_cublaslt_can_be_assumed_to_start(capsys: pytest.CaptureFixture[str], cudnn: Path) -> None:
    done = tftrace(
        capsys, "predict", "--conv2d", SPEC, "--gpu", "a100", "--cudnn", cudnn, "--assume-cublaslt", "--json"
    )
    assert [row["left_out"] for row in json.loads(done.out)["problems"]] == [None]


def test_several_stand_side_by_side(capsys: pytest.CaptureFixture[str], cudnn: Path) -> None:
    done = tftrace(
        capsys, "predict", "--conv2d", SPEC, "--gpu", "v100", "--gpu", "a100", "--cudnn", cudnn,
        "--layout", "nhwc", "--layout", "NCHW",
    )  # fmt: skip
    assert done.code == 0
    labels = ["v100 NHWC", "a100 NHWC", "v100 NCHW", "a100 NCHW"]
    assert all(f"  {label}: 3 candidates" in done.out for label in labels)
    tables = [line for line in done.out.splitlines() if line.startswith("#")]
    assert " ".join(tables).replace("#", "").split() == " ".join(labels).split()
    assert "v100 NHWC: TensorFlow transposes float32 to NCHW on this GPU: see --layout nchw" in done.out


def test_types_alignments_and_directions_are_compared_too(
    capsys: pytest.CaptureFixture[str], cudnn: Path
) -> None:
    done = tftrace(
        capsys, "predict", "--conv2d", SPEC, "--gpu", "a100", "--cudnn", cudnn, "--dtype", "float16", "--dtype",
        "float32", "--alignment", "4", "--alignment", "16", "--direction", "forward", "--direction",
        "backprop_filter", "--json",
    )  # fmt: skip
    document = json.loads(done.out)
    check(document, "algorithms")
    told = {
        (p["problem"]["direction"], p["problem"]["dtype"], p["alignment_bytes"], p["candidates"][0]["engine"])
        for p in document["problems"]
    }
    assert told == {
        (direction, dtype, alignment, str(alignment))
        for direction in ("forward", "backprop_filter") for dtype in ("float16", "float32") for alignment in (4, 16)
    }  # fmt: skip


def test_versions_are_compared_and_one_that_is_too_old_says_so(
    capsys: pytest.CaptureFixture[str], cudnn: Path, tmp_path: Path
) -> None:
    older = standin_cudnn.install(tmp_path / "older", "9.3.0")
    done = tftrace(
        capsys, "predict", "--conv2d", SPEC, "--gpu", "a100", "--cudnn", cudnn, "--cudnn", older, "--top", "1"
    )
    assert done.code == 0
    assert "cuDNN 9.28.0: 3 candidates" in done.out
    assert "cuDNN 9.3.0: no candidates:" in done.out
    assert "cuDNN 9.3.0 has no heuristics without a device; use 9.8 or newer" in done.out


def test_a_crash_is_a_row_and_the_others_go_on(capsys: pytest.CaptureFixture[str], cudnn: Path) -> None:
    specs = [
        SPEC,
        SPEC.replace("2", str(ENDS), 1),
        SPEC.replace("2", str(UNKNOWN), 1),
        SPEC.replace("2", "3", 1),
    ]
    options = [word for spec in specs for word in ("--conv2d", spec)]
    done = tftrace(capsys, "predict", *options, "--gpu", "a100", "--cudnn", cudnn, "--json")
    assert done.code == 0
    failed = [row["failed"] for row in json.loads(done.out)["problems"]]
    assert failed[0] is failed[3] is None
    assert "ended the process by SIGABRT" in failed[1]
    assert "CUDNN_STATUS_NOT_SUPPORTED" in failed[2]
    shown = tftrace(capsys, "predict", *options, "--gpu", "a100", "--cudnn", cudnn).out
    assert "no candidates: cuDNN ended the process by SIGABRT: a companion is not there" in shown


def test_the_convolutions_of_a_trace_stand_beside_what_it_ran(
    capsys: pytest.CaptureFixture[str], cudnn: Path
) -> None:
    done = tftrace(capsys, "predict", EXAMPLE, "--gpu", "a100", "--cudnn", cudnn)
    assert done.code == 0
    assert "5 calls in the run" in done.out
    assert "the run used oneDNN" in done.out
    document = json.loads(
        tftrace(capsys, "predict", EXAMPLE, "--gpu", "a100", "--cudnn", cudnn, "--json").out
    )
    check(document, "algorithms")
    assert document["trace"] == EXAMPLE.name
    assert all(c["evidence"] == "predicted" for p in document["problems"] for c in p["candidates"])


@pytest.mark.skipif(find_spec("nvidia") is not None, reason="this environment has packages of NVIDIA")
def test_without_the_extra_one_line_says_how_to_get_it() -> None:
    done = process("predict", "--conv2d", SPEC, "--gpu", "a100")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "tftrace: cuDNN is not installed in this environment; get it (2 GB) with: pip install 'tftrace[cudnn]'\n"
    )


@pytest.mark.parametrize(
    ("argv", "says", "code"),
    [
        (("--conv2d", SPEC), "Missing option '--gpu'", 2),
        (("--conv2d", "8,8", "--gpu", "a100"), "is no convolution: write input:filter", 2),
        (("--conv2d", SPEC, "--gpu", "k80"), "--gpu k80: no such GPU; there are v100", 2),
        (("--conv2d", SPEC, "--gpu", "none.json"), "none.json: No such file", 3),
        (("--conv2d", SPEC, "--gpu", "a100", "--cudnn", "8.1"), "--cudnn 8.1: not installed", 2),
        (("--conv2d", SPEC, "--gpu", "a100", "--alignment", "0"), "0 is not in the range", 2),
        (("--conv2d", SPEC, "--gpu", "a100", "--dtype", "x"), "'x' is not one of", 2),
        ((str(EXAMPLE), "--conv2d", SPEC, "--gpu", "a100"), "give a trace or --conv2d, not both", 2),
        (("/nowhere", "--gpu", "a100"), "/nowhere", 3),
    ],
)
def test_a_mistake_is_one_line_with_its_exit_code(
    argv: tuple[str, ...], says: str, code: int, capsys: pytest.CaptureFixture[str], cudnn: Path
) -> None:
    given = argv if "--cudnn" in argv else (*argv, "--cudnn", str(cudnn))
    done = tftrace(capsys, "predict", *given)
    assert (done.code, done.out) == (code, "")
    assert says in done.err
