"""The cuDNN probe by LD_PRELOAD: for a TensorFlow whose trampolines are not known. Same calls, same chain."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.capture.running import SCRIPTS, environment, run
from tests.capture.test_cudnn_probe import calls_of, names, probe
from tests.standin_gpu.build import SCRIPTS as ON_GPU
from tftrace.analysis import chain
from tftrace.capture import native
from tftrace.ingest.cudnn.calls import FUNCTIONS
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]


@pytest.fixture(scope="module")
def both(
    recorded: Callable[..., Trace], standin_gpu: dict[str, str], tmp_path_factory: Any
) -> tuple[Trace, Trace, Path]:
    """The same script by the slots and by LD_PRELOAD, with the stand-in's log of the second."""
    log = tmp_path_factory.mktemp("standin") / "log.txt"
    script = str(ON_GPU / "eager_conv.py")
    by_slots = recorded(script, **standin_gpu)
    preloaded = recorded(script, "--cudnn-preload", **standin_gpu, STANDIN_GPU_LOG=str(log))
    return by_slots, preloaded, log


def test_the_same_calls_are_recorded(both: tuple[Trace, Trace, Path]) -> None:
    by_slots, preloaded, log = both
    assert probe(preloaded)["status"] == "ok"
    assert names(calls_of(preloaded)) == names(calls_of(by_slots))
    calls = calls_of(preloaded)
    executed = calls.records[calls.records["function"] == FUNCTIONS.index("cudnnBackendExecute")]
    ran = len(re.findall(r"kernel standin_cudnn_\w+", log.read_text()))
    assert len(executed) == ran + int((executed["status"] != 0).sum())


def test_the_chain_is_measured_all_the_same(both: tuple[Trace, Trace, Path]) -> None:
    for group in chain.document(both[1], "conv2d")["groups"]:
        entries = {entry["layer"]: entry for entry in group["chain"]}
        for layer in ("kernel", "stream_executor", "library", "device"):
            assert entries[layer]["evidence"] == "measured", entries[layer]
        assert "CudnnExecutionPlanRunner" in entries["stream_executor"]["name"]
        assert group["library"]["engine"] == 2


def test_other_programs_run_and_what_the_user_preloads_stays(
    standin_gpu: dict[str, str], tmp_path: Path
) -> None:
    compiler = native.compiler()
    if compiler is None:
        pytest.skip("no C compiler")
    source, own = tmp_path / "own.c", tmp_path / "libown.so"
    source.write_text("int of_the_user = 1;\n")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", own, source], check=True)
    done = run(
        SCRIPTS / "preloaded.py",
        traced_to=tmp_path / "trace",
        options=("--cudnn-preload",),
        env=environment(**standin_gpu, LD_PRELOAD=str(own)),
    )
    assert done.exit_status == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines() == [f"['{own}']", "0", "(2, 16, 16, 16)"]


def test_without_the_probe_its_library_in_front_changes_nothing(
    standin_gpu: dict[str, str], tmp_path: Path
) -> None:
    options = ("--cudnn-preload", "--no-cudnn")
    script = ON_GPU / "eager_conv.py"
    done = run(script, traced_to=tmp_path / "trace", options=options, env=environment(**standin_gpu))
    assert done.exit_status == 0, done.stderr.decode()
    assert done.stdout == run(script, env=environment(**standin_gpu)).stdout


def test_a_library_that_was_not_preloaded_says_so() -> None:
    path, reason = native.library(in_front_of_cudnn=True)
    if path is None:
        pytest.skip(f"no native library: {reason}")
    assert ctypes.CDLL(str(path)).tft_cudnn_install_preloaded(ctypes.c_uint64(1)) == 0
