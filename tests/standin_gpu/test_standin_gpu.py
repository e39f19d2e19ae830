"""The stock TensorFlow on the stand-in GPU: its own convolution code runs, tunes and is profiled there."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.capture.running import environment, run
from tests.standin_gpu.build import SCRIPTS, UnavailableError, include_directories

pytestmark = pytest.mark.tf

FORWARD = "standin_cudnn_conv_fprop_engine_"


def kernels(log: Path, prefix: str = "standin_cudnn_") -> Counter[str]:
    """How often each kernel of that prefix ran, by default those of the stand-in's own cuDNN."""
    lines = log.read_text().splitlines()
    return Counter(m[1] for line in lines if (m := re.search(rf"kernel ({prefix}\w*)", line)))


@pytest.fixture
def on_standin(standin_gpu, tmp_path):
    def go(script: str, **env: str) -> tuple[list[str], str, Counter[str]]:
        """Lines of stdout, stderr, and the kernels of the stand-in's cuDNN."""
        log = tmp_path / "standin.log"
        log.unlink(missing_ok=True)
        done = run(SCRIPTS / script, env=environment(**standin_gpu, STANDIN_GPU_LOG=str(log), **env))
        assert done.exit_status == 0, done.stderr.decode()
        return done.stdout.decode().splitlines(), done.stderr.decode(), kernels(log)

    return go


def test_a_cold_conv_times_every_engine_and_then_the_fastest_runs(on_standin):
    said, log, ran = on_standin("eager_conv.py", TF_CPP_VMODULE="gpu_utils=2,cuda_dnn=4")
    assert said == ["/job:localhost/replica:0/task:0/device:GPU:0 (2, 16, 16, 16)"]
    # 0, 1, 2 and 4 once as candidates; then the winner for the cold call and for two warm ones
    assert ran == {f"{FORWARD}{e}": 1 for e in (0, 1, 4)} | {f"{FORWARD}2": 4}
    # engine 3 fails in its trial, 5 is filtered because it converts its inputs down, 6 is never a plan
    results = re.findall(r"results \{.*?\n\}", log, re.S) or re.findall(r"results \{[^}]*\}[^}]*\}", log)
    assert any("failure" in r for r in results), log[-3000:]


def test_determinism_excludes_the_nondeterministic_engine(on_standin):
    _, _, ran = on_standin("gradient.py")
    assert (ran["standin_cudnn_conv_wgrad_engine_4"], ran["standin_cudnn_conv_wgrad_engine_1"]) == (2, 1)
    _, _, ran = on_standin("gradient.py", TF_CUDNN_DETERMINISTIC="1")
    assert ran["standin_cudnn_conv_wgrad_engine_4"] == 0
    assert ran["standin_cudnn_conv_wgrad_engine_1"] == 2


def test_a_gradient_runs_all_three_directions(on_standin):
    said, _, ran = on_standin("gradient.py")
    assert said == ["/job:localhost/replica:0/task:0/device:GPU:0 (2, 16, 16, 8) (3, 3, 8, 16)"]
    assert {name.split("_")[3] for name in ran} == {"fprop", "dgrad", "wgrad"}


@pytest.mark.parametrize("script", ["function_conv.py", "half.py", "xla.py"])
def test_functions_half_precision_and_xla_run_on_the_device(on_standin, script):
    said, _, ran = on_standin(script)
    assert said == ["/job:localhost/replica:0/task:0/device:GPU:0 (2, 16, 16, 16)"]
    assert ran[f"{FORWARD}2"] >= 3


def test_bias_and_relu_are_fused_into_one_graph(on_standin):
    _, _, ran = on_standin("fused.py")
    assert ran["standin_cudnn_conv_fprop_fused_engine_2"] == 3
    assert not any(name.startswith(FORWARD) for name in ran)


def test_two_devices(on_standin):
    said, _, ran = on_standin("two_devices.py", STANDIN_GPU_DEVICES="2")
    assert [line.partition("device:")[2].split()[0] for line in said] == ["GPU:0", "GPU:1", "GPU:0"]
    assert ran[f"{FORWARD}2"] == 4


def test_a_wheel_without_the_headers_is_a_reason(tmp_path):
    with pytest.raises(UnavailableError, match=r"built without CUDA: it has no cuda\.h"):
        include_directories(tmp_path)
