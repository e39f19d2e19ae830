"""An interpreter with TensorFlow 2.15 (tests/stacks), traced from this one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tftrace.analysis import chain
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trace(recorded: Callable[..., Trace], stack: Callable[[str], str]) -> Trace:
    return recorded("modes.py", python=stack("tf215_estimator_slim"))


def test_versions_are_those_of_the_traced_interpreter(trace: Trace) -> None:
    assert trace.manifest["versions"]["tensorflow"].startswith("2.15.")
    assert trace.manifest["problems"] == []
    assert trace.manifest["processes"][0]["faults"] == {"count": 0, "first": None}


@pytest.mark.parametrize(("mode", "count"), [("eager", 20), ("function", 5), ("session", 3)])
def test_the_chain_goes_down_to_the_primitive(trace: Trace, mode: str, count: int) -> None:
    (group,) = (g for g in chain.document(trace, "conv2d")["groups"] if g["mode"] == mode)
    assert group["count"] == count
    layers = {entry["layer"]: entry for entry in group["chain"]}
    assert list(layers) == list(LAYERS)
    assert layers["api"]["name"] == "tf.nn.conv2d"
    assert layers["gen_op"]["name"] == "gen_nn_ops.conv2d"
    assert layers["kernel"]["name"].startswith("Conv2D:")
    assert layers["library"]["name"] == "convolution"
    assert group["library"]["implementation"]
    assert layers["stream_executor"]["reason"]
