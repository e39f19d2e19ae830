"""TensorFlow 2.15.1 on the stand-in GPU: convolutions by algorithm, which no later TensorFlow calls."""

import json
from collections import Counter

import pytest

from tests.capture.running import environment, run
from tests.standin_gpu.build import SCRIPTS
from tests.standin_gpu.test_standin_gpu import kernels
from tftrace.analysis import chain
from tftrace.api import load

pytestmark = [pytest.mark.tf, pytest.mark.older_tensorflow]

FORWARD = "standin_cudnn_conv_fprop_algo_"


@pytest.fixture
def on_older(older_tensorflow, tmp_path):
    def go(script: str, **env: str) -> Counter[str]:
        log = tmp_path / "standin.log"
        log.unlink(missing_ok=True)
        env = environment(**older_tensorflow.environment, STANDIN_GPU_LOG=str(log), **env)
        done = run(SCRIPTS / script, env=env, python=older_tensorflow.python)
        assert done.exit_status == 0, done.stderr.decode()
        assert done.stdout.startswith(b"/job:localhost/replica:0/task:0/device:GPU:0")
        return kernels(log)

    return go


def test_a_cold_conv_times_every_algorithm_and_then_the_fastest_runs(on_older):
    ran = on_older("eager_conv.py", TF_CUDNN_USE_FRONTEND="0")
    # each twice as a candidate, the first time unmeasured; 3 is not supported and 4 fails
    assert ran == {f"{FORWARD}{a}": 2 for a in (0, 1, 2, 5, 7)} | {f"{FORWARD}6": 5}


def test_a_gradient_runs_all_three_directions(on_older):
    ran = on_older("gradient.py", TF_CUDNN_USE_FRONTEND="0")
    chosen = {name for name, count in ran.items() if count == 3}
    assert chosen == {f"{FORWARD}6", "standin_cudnn_conv_dgrad_algo_0", "standin_cudnn_conv_wgrad_algo_0"}


def test_bias_and_activation_are_one_call(on_older):
    ran = on_older("fused.py", TF_CUDNN_USE_FRONTEND="0")
    assert ran["standin_cudnn_conv_fprop_fused_algo_6"] == 3


def test_by_default_it_goes_by_operation_graphs_too(on_older):
    ran = on_older("eager_conv.py")
    assert ran["standin_cudnn_conv_fprop_engine_2"] == 5


def test_its_trace_leads_from_the_line_to_cudnns_older_call_and_its_kernel(older_tensorflow, tmp_path):
    env = environment(**older_tensorflow.environment, TF_CUDNN_USE_FRONTEND="0")
    place = tmp_path / "trace"
    done = run(SCRIPTS / "eager_conv.py", traced_to=place, env=env, python=older_tensorflow.python)
    assert done.exit_status == 0, done.stderr.decode()
    trace = load(place)
    assert trace.synthetic
    assert trace.manifest["versions"]["tensorflow"] == "2.15.1"
    events = trace.events
    device = events[events["layer"] == "device"]
    assert (device["name"].astype(str) == f"{FORWARD}6").sum() == 5

    calls = events[events["name"] == "cudnnConvolutionForward"]
    said = [json.loads(text) for text in calls["attrs"]]
    assert Counter((c["algorithm"], c["tuning"]) for c in said) == {
        **{(a, True): 2 for a in ("IMPLICIT_GEMM", "IMPLICIT_PRECOMP_GEMM", "GEMM", "FFT", "FFT_TILING")},
        ("WINOGRAD", True): 2,
        ("WINOGRAD_NONFUSED", True): 2,
        ("WINOGRAD", False): 3,
    }
    assert {c["algorithm"] for c in said if c["status"] == "EXECUTION_FAILED"} == {"FFT"}
    for group in chain.document(trace, "conv2d")["groups"]:
        layers = {entry["layer"]: entry for entry in group["chain"]}
        assert layers["library"]["name"] == "cudnnConvolutionForward"
        assert layers["stream_executor"]["name"].endswith("CudnnLegacyConvRunner::operator()")
        assert {entry["evidence"] for entry in layers.values()} == {"measured"}
