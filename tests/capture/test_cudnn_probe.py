"""The cuDNN probe on TensorFlow's own trampolines: what it records, what it leaves alone, how it goes away."""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.capture.running import SCRIPTS, environment, run
from tests.standin_gpu.build import SCRIPTS as ON_GPU
from tftrace.agent import contract
from tftrace.capture import native
from tftrace.ingest.agent_raw import processes
from tftrace.ingest.cudnn.calls import FUNCTIONS, CudnnCalls, read_cudnn
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf]
ROOT = Path(__file__).parents[2]


def probe(trace: Trace) -> dict[str, Any]:
    return next(p for p in trace.manifest["probes"] if p["name"] == "cudnn")


def calls_of(trace: Trace) -> CudnnCalls:
    assert trace.path is not None
    return read_cudnn(processes(trace.path / "raw")[0])


def names(calls: CudnnCalls) -> Counter[str]:
    return Counter(FUNCTIONS[i] for i in calls.records["function"].tolist())


def test_the_library_and_its_readers_agree_on_the_functions() -> None:
    path, reason = native.library()
    if path is None:
        pytest.skip(f"no native library: {reason}")
    library = ctypes.CDLL(str(path))
    library.tft_cudnn_function.restype = ctypes.c_char_p
    found = []
    letters = ctypes.c_char_p()
    while (name := library.tft_cudnn_function(len(found), ctypes.byref(letters))) is not None:
        assert letters.value is not None
        found.append((name.decode(), letters.value.decode()))
    assert tuple(found) == contract.CUDNN_FUNCTIONS


@pytest.fixture(scope="module")
def eager(
    recorded: Callable[..., Trace], standin_gpu: dict[str, str], tmp_path_factory: Any
) -> tuple[Trace, Path]:
    log = tmp_path_factory.mktemp("standin") / "log.txt"
    return recorded(str(ON_GPU / "eager_conv.py"), **standin_gpu, STANDIN_GPU_LOG=str(log)), log


@pytest.mark.slow
def test_every_execution_that_cudnn_saw_is_recorded(eager: tuple[Trace, Path]) -> None:
    trace, log = eager
    ran = len(re.findall(r"kernel standin_cudnn_\w+", log.read_text()))
    calls = calls_of(trace)
    executed = calls.records[calls.records["function"] == FUNCTIONS.index("cudnnBackendExecute")]
    # the engine that fails is executed too, but runs no kernel
    assert len(executed) == ran + int((executed["status"] != 0).sum())
    assert (executed["status"] != 0).sum() == 1
    assert (executed["stack"] > 0).all()
    assert (executed["t1"] >= executed["t0"]).all()
    assert set(executed["call"].tolist()) == {3, 4, 5}  # two fills come before the three convolutions
    status = probe(trace)
    assert (status["status"], status["lost"]) == ("ok", 0)
    assert status["events"] == len(calls.records)


@pytest.mark.slow
def test_what_is_made_is_given_back_or_kept_in_a_plan(eager: tuple[Trace, Path]) -> None:
    count = names(calls_of(eager[0]))
    assert count["cudnnBackendCreateDescriptor"] > count["cudnnBackendDestroyDescriptor"] > 1000
    assert count["cudnnBackendFinalize"] > 10
    assert calls_of(eager[0]).version == eager[0].manifest["versions"]["cudnn"]


@pytest.mark.slow
def test_the_older_api_is_recorded_through_the_same_slots(
    recorded: Callable[..., Trace], standin_gpu: dict[str, str]
) -> None:
    calls = calls_of(recorded("cudnn_older_api.py", **standin_gpu))
    problem = {
        "op": "convolution", "direction": "forward", "input": [2, 16, 16, 8], "layout": "NHWC",
        "filter": [3, 3, 8, 16], "output": [2, 8, 8, 16], "strides": [2, 2], "dilations": [1, 1], "groups": 1,
        "padding": [[1, 1], [1, 1]], "dtype": "float32", "math": "float32",
    }  # fmt: skip
    launched = [calls.works[w] for w in calls.work.tolist() if w >= 0]
    assert [w.algorithm for w in launched[:3]] == ["IMPLICIT_PRECOMP_GEMM"] * 3
    assert launched[0].problem == problem | {"fused": []}
    assert launched[0].workspace_bytes == 65536
    assert launched[3].problem is not None
    assert launched[3].problem["op"] == "batch_normalization_forward_inference"
    (ranking,) = calls.rankings
    assert [(c.algorithm, c.time_ms, c.status) for c in ranking.candidates] == [
        ("IMPLICIT_PRECOMP_GEMM", 0.5, 0),
        ("WINOGRAD", None, 9),
    ]
    assert ranking.problem == problem
    forward = calls.records[calls.records["function"] == FUNCTIONS.index("cudnnConvolutionForward")]
    (stream,) = set(forward["stream"].tolist())
    assert stream  # the handle's own
    assert (forward["stack"] > 0).all()


@pytest.mark.slow
def test_without_cudnn_everything_is_as_tensorflow_answers_itself(tmp_path: Path) -> None:
    script = SCRIPTS / "cudnn_missing.py"
    bare = run(script)
    traced = run(script, traced_to=tmp_path / "trace")
    assert traced.stdout == bare.stdout
    assert traced.exit_status == bare.exit_status == 0
    assert len(bare.stdout.splitlines()) == 4
    calls = read_cudnn(processes(tmp_path / "trace" / "raw")[0])
    assert names(calls) == {
        "cudnnCreate": 1,
        "cudnnBackendCreateDescriptor": 2,
        "cudnnBackendExecute": 1,
    }
    assert (calls.records["status"] != 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("gpu", [False, True])
def test_a_recording_that_has_ended_leaves_no_slot_behind(
    gpu: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    more = request.getfixturevalue("standin_gpu") if gpu else {}
    env = environment(**more, PYTHONPATH=str(ROOT))
    done = run(SCRIPTS / "cudnn_slots.py", str(tmp_path), env=env)
    assert done.exit_status == 0, done.stderr.decode()
    first, second = done.stdout.decode().splitlines()
    assert first == ("same 0" if gpu else first)
    states, clean = second.rsplit(" ", 1)
    assert clean == "True"
    used = ["resolved", "resolved", "resolved", "resolved", "empty"] if gpu else ["empty"] * 5
    assert states == str(used)


@pytest.mark.slow
def test_a_run_without_a_gpu_says_that_nothing_called_cudnn(conv_trace: Trace) -> None:
    status = probe(conv_trace)
    assert (status["status"], status["events"], status["lost"]) == ("ok", 0, 0)
    assert "no call into cuDNN" in status["reason"]


@pytest.mark.slow
def test_stacks_can_be_limited_and_what_is_left_out_is_counted(
    recorded: Callable[..., Trace], standin_gpu: dict[str, str]
) -> None:
    trace = recorded("cudnn_many.py", "--cudnn-stacks", "0", **standin_gpu)
    calls = calls_of(trace)
    executed = calls.records[calls.records["function"] == FUNCTIONS.index("cudnnBackendExecute")]
    left_out = int((executed["stack"] == 0).sum())
    # what an autotuner may be trying keeps its stack: the first executions of each plan
    assert 0 < left_out < len(executed)
    assert (executed["flags"][executed["stack"] == 0] & contract.CUDNN_NOT_SAMPLED).all()
    status = probe(trace)
    assert status["status"] == "partly"
    assert f"{left_out} calls have no native stack" in status["reason"]
    assert trace.path is not None
    raw = json.loads((processes(trace.path / "raw")[0] / "status.json").read_text())
    assert next(p for p in raw["probes"] if p["name"] == "cudnn")["without_stack"] == left_out


def test_trampolines_of_another_form_are_refused_and_left_alone(tmp_path: Path) -> None:
    path, reason = native.library()
    compiler = native.compiler()
    if path is None or compiler is None:
        pytest.skip(f"no native library: {reason}")
    source, built = tmp_path / "strange.c", tmp_path / "libstrange_framework.so"
    source.write_text(
        "int cudnnCreate(void **h) { *h = 0; return 42; }\nint cudnnDestroy(void *h) { return 7; }\n"
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", built, source], check=True)
    strange, library = ctypes.CDLL(str(built)), ctypes.CDLL(str(path))
    library.tft_cudnn_install.argtypes = [ctypes.c_char_p, ctypes.c_uint64]
    before = ctypes.string_at(ctypes.cast(strange.cudnnCreate, ctypes.c_void_p).value, 16)
    assert library.tft_cudnn_install(b"libstrange_framework.so", 1) == -1
    assert library.tft_cudnn_install(b"libnot_loaded.so", 1) == 0
    assert ctypes.string_at(ctypes.cast(strange.cudnnCreate, ctypes.c_void_p).value, 16) == before
    assert strange.cudnnCreate(ctypes.byref(ctypes.c_void_p())) == 42
    assert library.tft_cudnn_remove() == 0
