"""TensorFlow's verbose log is recorded whatever the user's levels are, and stderr shows what it would have shown."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.capture.running import SCRIPTS, Finished, environment, run, without_stamps

pytestmark = [pytest.mark.tf, pytest.mark.slow]

SETTINGS = [
    {},
    {"TF_CPP_MIN_LOG_LEVEL": "0"},
    {"TF_CPP_MIN_LOG_LEVEL": "1"},
    {"TF_CPP_MIN_LOG_LEVEL": "2"},
    {"TF_CPP_MIN_LOG_LEVEL": "3"},
    {"TF_CPP_VMODULE": "conv_ops_impl=2,cuda_stream=2"},
    {"TF_CPP_VMODULE": "cuda_dnn=4", "TF_CPP_MIN_LOG_LEVEL": "1"},
]
RAISED = ("conv_ops_impl.h", "gpu_utils.cc", "gpu_utils.h", "cuda_dnn.cc", "cuda_stream.cc")


def comparable(stderr: bytes) -> list[str]:
    """Lines without what differs between any two runs: times, addresses."""
    return [re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?(us|ms)", "N", line) for line in without_stamps(stderr)]


def messages(trace: Path) -> list[str]:
    return [
        text.decode()
        for path in trace.glob("raw/*/tf_log.bin")
        for text in re.findall(rb"[IWEF]\d{4} [^\n]*", path.read_bytes())
    ]


def status(trace: Path) -> dict[str, object]:
    found = json.loads(next(trace.glob("raw/*/status.json")).read_text())
    return next(p for p in found["probes"] if p["name"] == "stream_executor")


@pytest.mark.parametrize(
    "setting", SETTINGS, ids=lambda s: ",".join(f"{k[7:]}={v}" for k, v in s.items()) or "unset"
)
def test_stderr_is_what_it_would_have_been(
    standin_gpu: dict[str, str], tmp_path: Path, setting: dict[str, str]
) -> None:
    env = environment(**standin_gpu, **setting)
    plain, traced = (run(SCRIPTS / "gpu_conv.py", traced_to=to, env=env) for to in (None, tmp_path / "t"))
    assert plain.exit_status == traced.exit_status == 0, traced.stderr.decode()
    assert "os.write between" in comparable(plain.stderr)
    assert comparable(traced.stderr) == comparable(plain.stderr)
    assert traced.stdout == plain.stdout
    shown = comparable(plain.stderr)
    if setting.get("TF_CPP_VMODULE", "").startswith("conv_ops"):
        assert any("in_depth" in line for line in shown)
    else:
        assert not any("in_depth" in line for line in shown)
    said = messages(tmp_path / "t")
    for name in RAISED:
        assert any(f" {name}:" in line for line in said), name
    assert status(tmp_path / "t")["status"] == "ok"


def test_messages_carry_thread_call_and_level(standin_gpu: dict[str, str], tmp_path: Path) -> None:
    done: Finished = run(
        SCRIPTS / "gpu_conv.py",
        traced_to=tmp_path / "t",
        env=environment(**standin_gpu, TF_CPP_MIN_LOG_LEVEL="2"),
    )
    assert done.exit_status == 0, done.stderr.decode()
    (path,) = (tmp_path / "t").glob("raw/*/tf_log.bin")
    heads = re.findall(
        rb"(\d+) (\d+) (\d+) (\d+) (\d+) [IWEF]\d{4} \S+ +(\d+) (\S+):\d+\]", path.read_bytes()
    )
    assert len(heads) == status(tmp_path / "t")["events"]
    assert all(tid == of_text for tid, _, _, _, _, of_text, _ in heads)
    assert {call for _, _, call, _, _, _, name in heads if name == b"conv_ops_impl.h"} == {b"3", b"4"}
    assert {int(level) - 1 for _, _, _, level, _, _, name in heads if name == b"cuda_dnn.cc"} == {-1, 4}


def test_without_a_driver_nothing_is_changed(tmp_path: Path) -> None:
    done = run(SCRIPTS / "conv.py", traced_to=tmp_path / "t", env=environment(CUDA_VISIBLE_DEVICES="-1"))
    assert done.exit_status == 0, done.stderr.decode()
    found = status(tmp_path / "t")
    assert found["status"] == "unavailable"
    assert messages(tmp_path / "t") == []
