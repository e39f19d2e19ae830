"""The cuDNN probe on NVIDIA's own library: engines and knobs as TensorFlow names them, calls as cuDNN logs them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.capture.running import environment, run
from tests.standin_gpu.build import SCRIPTS
from tftrace.analysis import chain
from tftrace.api import load
from tftrace.ingest.agent_raw import processes
from tftrace.ingest.cudnn.calls import FUNCTIONS, read_cudnn
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow, pytest.mark.real_cudnn]


@pytest.fixture(scope="module")
def traced(real_cudnn: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Trace, str, str]:
    """(trace, stderr with TensorFlow's own account, cuDNN's log) of a cold and two warm convolutions."""
    place: Path = tmp_path_factory.mktemp("real_cudnn_probe")
    done = run(
        SCRIPTS / "eager_conv.py",
        traced_to=place / "trace",
        env=environment(
            **real_cudnn,
            CUDNN_LOGLEVEL_DBG="3",
            CUDNN_LOGDEST_DBG=str(place / "cudnn.log"),
            TF_CPP_VMODULE="gpu_utils=2,cuda_dnn=4",
        ),
    )
    assert done.exit_status == 0, done.stderr.decode()
    text = (place / "cudnn.log").read_text(errors="replace")
    return load(place / "trace"), done.stderr.decode(), text


def executions(trace: Trace) -> list[dict[str, Any]]:
    events = trace.events
    chosen = events[(events.layer == "library") & (events.name == "cudnnBackendExecute")]
    return [json.loads(a) for a in chosen["attrs"]]


def test_as_many_calls_as_cudnn_logged(traced: tuple[Trace, str, str]) -> None:
    trace, _, log = traced
    assert trace.path is not None
    calls = read_cudnn(processes(trace.path / "raw")[0])
    made = calls.records["function"].tolist()
    # these are logged once, others with a second record for their status; within cuDNN nothing executes
    assert made.count(FUNCTIONS.index("cudnnBackendExecute")) == log.count(
        "function cudnnBackendExecute() called:"
    )
    assert calls.unreadable == 0


def test_the_engine_is_named_as_tensorflow_names_its_plan(traced: tuple[Trace, str, str]) -> None:
    trace, said, _ = traced
    tags = set(re.findall(r"plan tag: (?:cudnn_frontend::)?\S*?(eng\d+(?:_k\d+=-?\d+)*)\W*$", said, re.M))
    ran = executions(trace)
    named = {e["algorithm"] for e in ran}
    assert len(named) > 10
    assert named <= tags, sorted(named - tags)[:3]
    assert all(isinstance(e["workspace_bytes"], int) for e in ran)
    assert {e["tuning"] for e in ran} == {True, False}


def test_the_chain_is_measured(traced: tuple[Trace, str, str]) -> None:
    for group in chain.document(traced[0], "conv2d")["groups"]:
        entries = {entry["layer"]: entry for entry in group["chain"]}
        for layer in ("kernel", "stream_executor", "library"):
            assert entries[layer]["evidence"] == "measured", entries[layer]
        assert group["library"]["version"].startswith("9.28")
        assert group["library"]["problem"]["input"] == [2, 16, 16, 8]
