"""NVIDIA's own cuDNN under the stock TensorFlow: what it logs and chooses from is genuine, the times are not."""

import re
from collections import Counter

import pytest

from tests.capture.running import environment, run
from tests.standin_gpu.build import SCRIPTS
from tests.standin_gpu.real_cudnn.build import VERSION
from tests.standin_gpu.test_standin_gpu import kernels

pytestmark = [pytest.mark.tf, pytest.mark.real_cudnn]


@pytest.fixture(scope="module")
def conv(real_cudnn, tmp_path_factory):
    """(stderr, cuDNN's log, kernels) of a cold and two warm convolutions."""
    place = tmp_path_factory.mktemp("real_cudnn")
    done = run(
        SCRIPTS / "eager_conv.py",
        env=environment(
            **real_cudnn,
            STANDIN_GPU_LOG=str(place / "standin.log"),
            CUDNN_LOGLEVEL_DBG="3",
            CUDNN_LOGDEST_DBG=str(place / "cudnn.log"),
            TF_CPP_VMODULE="gpu_utils=2,cuda_dnn=4",
        ),
    )
    assert done.exit_status == 0, done.stderr.decode()
    assert done.stdout.decode().strip() == "/job:localhost/replica:0/task:0/device:GPU:0 (2, 16, 16, 16)"
    text = (place / "cudnn.log").read_text(errors="replace")
    return done.stderr.decode(), text, kernels(place / "standin.log", "standin_for_real_cudnn_plan")


def test_the_log_is_written_by_the_library_itself(conv):
    _, log, _ = conv
    major, minor, patch, build = (int(part) for part in VERSION.split("."))
    heads = re.findall(r"^[IWE]! CuDNN \(v(\d+) (\d+)\) function (\w+)\(\) called:$", log, re.M)
    assert {head[:2] for head in heads} == {(str(major * 10000 + minor * 100 + patch), str(build))}
    called = Counter(head[2] for head in heads)
    assert called["cudnnBackendExecute"] >= 3
    assert called["cudnnBackendFinalize"] > called["cudnnBackendExecute"]
    assert log.count("Process=") == len(heads)


def test_every_execution_in_the_log_is_a_kernel_of_the_stand_in(conv):
    _, log, ran = conv
    assert ran.total() == log.count("function cudnnBackendExecute() called:")


def test_tensorflow_tunes_over_the_real_engines(conv):
    said, _, _ = conv
    tags = set(re.findall(r"plan tag: (?:cudnn_frontend::)?\S*?(eng\d+_\S+)", said))
    # the engines with knobs that cuDNN's heuristics give for this problem, far more than the stand-in's own seven
    assert len(tags) > 10
    assert all(re.fullmatch(r"eng\d+(_k\d+=-?\d+)+\W*", tag) for tag in tags), tags
