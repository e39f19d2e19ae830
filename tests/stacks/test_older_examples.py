"""The examples for older stacks: they run there, their recordings are whole, and the table beside them is right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.capture.running import ROOT, environment, run
from tests.stacks.reading import chain_of
from tftrace.analysis import chain, graph_runs
from tftrace.api import load
from tftrace.model.trace import Trace

EXAMPLES = ROOT / "examples" / "older"
RECORDED = ROOT / "traces" / "examples"
APIS = {
    "slim": "tf_slim.conv2d",
    "layers": "tf.compat.v1.layers.conv2d",
    "keras": "tf.keras.Sequential.fit",
    "estimator": "tf.compat.v1.layers.conv2d",
    "tflearn": "tflearn.conv_2d",
}


@pytest.mark.parametrize("way", APIS)
def test_the_recording_of_each_way_ends_in_the_library(way: str) -> None:
    (group,) = chain.why(load(RECORDED / f"conv_{way}"), "conv2d")
    assert group.count == 20
    layers = chain_of(group)
    assert layers["api"].name == APIS[way]
    assert layers["library"].name == "convolution"
    assert layers["library"].calls == 20
    assert group.mode == ("function" if way == "keras" else "session")


def test_the_table_has_a_column_a_trace() -> None:
    command = [
        sys.executable,
        EXAMPLES / "side_by_side.py",
        RECORDED / "conv_slim",
        RECORDED / "conv_tflearn",
    ]
    env = environment(PYTHONPATH=str(ROOT))
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=env, check=True)
    rows = {line[:26].strip(): line[26:].split() for line in done.stdout.splitlines()}
    assert rows[""] == ["conv_slim", "conv_tflearn"]
    assert rows["TensorFlow"] == ["2.15.1", "2.12.1"]
    assert rows["called on the line"] == ["tf_slim.conv2d", "tflearn.conv_2d"]
    assert rows["calls into the runtime"] == ["1", "4"]
    assert rows["the convolution's kernel"] == ["_MklNativeFusedConv2D"] * 2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), [("tf215_estimator_slim", "keras"), ("tf212_tflearn", "tflearn")])
def test_the_script_runs_in_its_environment(
    name: str, way: str, stack: Callable[[str], str], tmp_path: Path
) -> None:
    options = ("--no-tf-profiler", "--no-itt")
    env = environment(TF_CPP_MIN_LOG_LEVEL="2")
    done = run(
        EXAMPLES / "one_conv.py", way, traced_to=tmp_path / "t", options=options, python=stack(name), env=env
    )
    assert done.exit_status == 0, done.stderr.decode()
    assert APIS[way] in set(load(tmp_path / "t").sites["api"].dropna())


@pytest.mark.slow
def test_evaluate_works_where_the_graph_of_the_network_is_the_default(stack: Callable[[str], str]) -> None:
    done = run(EXAMPLES / "tflearn_evaluate.py", "inside", python=stack("tf212_tflearn"))
    assert done.exit_status == 0, done.stderr.decode()
    assert b"accuracy: [" in done.stdout


def test_the_recorded_failure_ended_the_script() -> None:
    trace: Trace = load(RECORDED / "tflearn_evaluate")
    assert trace.manifest["exit_status"] == 1
    (failed,) = graph_runs.failures(trace)
    assert failed["other_graph"]
    assert trace.manifest["processes"][0]["exception"]["message"] == failed["message"]
