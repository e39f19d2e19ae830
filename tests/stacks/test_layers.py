"""tf_slim and tf.compat.v1.layers on TensorFlow 2.15: each call is named as its line was written."""

from __future__ import annotations

import pytest

from tests.stacks.conftest import SCRIPTS, Stacked
from tests.stacks.reading import chain_of, line_of
from tftrace.analysis import chain
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

STACK = "tf215_estimator_slim"
SCRIPT = SCRIPTS / "layers.py"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trace(stacked: Stacked) -> Trace:
    trace, done = stacked(STACK, SCRIPT.name)
    assert done.stdout == b""
    return trace


@pytest.mark.parametrize(
    ("mark", "api"), [("slim", "tf_slim.conv2d"), ("layers", "tf.compat.v1.layers.conv2d")]
)
def test_the_whole_chain_of_a_convolution(trace: Trace, mark: str, api: str) -> None:
    (group,) = (g for g in chain.why(trace, "conv2d") if g.python and g.python.line == line_of(SCRIPT, mark))
    assert group.count == 3
    assert group.caller is not None
    assert group.caller.line == line_of(SCRIPT, "run")
    layers = chain_of(group)
    assert list(layers) == list(LAYERS)
    assert layers["api"].name == api
    assert layers["gen_op"].name == "gen_nn_ops.conv2d"
    assert layers["runtime"].name == "TF_SessionRun"
    assert layers["kernel"].name is not None
    assert layers["kernel"].name.endswith("Conv2D:_MklNativeConv2D")
    assert layers["kernel"].calls == 3
    assert layers["library"].name == "convolution"
    assert layers["library"].evidence == "measured"
    assert layers["stream_executor"].reason


def test_primitives_lie_in_the_kernels_that_made_them(trace: Trace) -> None:
    """TensorFlow 2.15 does not tell when its profile began: the primitives that ITT reported show it."""
    events, links = trace.events, trace.links
    inside = links.merge(events, left_on="child_id", right_on="event_id").merge(
        events, left_on="parent_id", right_on="event_id", suffixes=("", "_above")
    )
    inside = inside[(inside.layer == "library") & (inside.layer_above == "kernel")]
    assert len(inside) >= 6
    assert (inside.start_ns >= inside.start_ns_above).all()
    assert (inside.start_ns + inside.dur_ns <= inside.start_ns_above + inside.dur_ns_above).all()
