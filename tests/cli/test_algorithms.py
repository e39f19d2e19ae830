"""`tftrace algorithms --classify`: a JSON object a line, and bad input in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import tftrace


def test_each_line_is_one_call_and_gives_one_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        "cudnn::gemm::computeOffsetsKernel(cudnn::gemm::ComputeOffsetsParams) || volta_scudnn_128x64_relu_small_nn_v1",
        "nothing of cuDNN",
        "",
        "volta_gcgemm_32x32_nt || void fft2d_c2r_32x32<float, false, false, 0u, false, false>(float*)",
    ]
    path = tmp_path / "calls.txt"
    path.write_text("\n".join(lines) + "\n")
    done = tftrace(capsys, "algorithms", "--classify", path)
    assert (done.code, done.err) == (0, "")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [f["algorithm"] for f in found] == ["IMPLICIT_PRECOMP_GEMM", None, None, "FFT_TILING"]
    assert [f["rule"] for f in found] == ["cudnn-tiles", None, None, "fft-32x32"]
    assert found[1] == {"algorithm": None, "confidence": 0.0, "rule": None, "direction": None, "other": None}


def test_bytes_that_are_no_text_are_calls_of_unknown_kernels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "calls.bin"
    path.write_bytes(bytes(range(256)) * 4)
    done = tftrace(capsys, "algorithms", "--classify", path)
    assert done.code == 0
    assert {json.loads(line)["algorithm"] for line in done.out.splitlines()} == {None}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--classify", "absent.txt"], 3, "absent.txt: cannot be read: No such file"),
        (["--classify", "empty.txt"], 3, "empty.txt: is empty"),
        (["--classify", "."], 3, ".: cannot be read: Is a directory"),
        (["trace", "--classify", "empty.txt"], 2, "--classify reads kernel names instead of a trace"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str],
    code: int, says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").touch()
    done = tftrace(capsys, "algorithms", *arguments)
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert len(done.err.splitlines()) == 1
