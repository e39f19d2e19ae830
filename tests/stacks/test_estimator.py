"""tf.estimator on TensorFlow 2.15: the convolution of each older way to write one, in `train` and in `evaluate`."""

from __future__ import annotations

import pytest

from tests.stacks.conftest import SCRIPTS, Stacked
from tests.stacks.reading import chain_of, line_of
from tftrace.analysis import chain, summary
from tftrace.model.layers import LAYERS

STACK = "tf215_estimator_slim"
SCRIPT = SCRIPTS / "estimator.py"
APIS = {
    "slim": "tf_slim.conv2d",
    "layers": "tf.compat.v1.layers.conv2d",
    "keras": "tf.keras.layers.Conv2D.__call__",
}
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("way", APIS)
def test_train_and_evaluate_run_the_line_of_the_model_function(stacked: Stacked, way: str) -> None:
    trace, done = stacked(STACK, SCRIPT.name, way)
    assert done.stdout == b"['global_step', 'loss']\n"
    groups = {g.caller.line: g for g in chain.why(trace, "conv2d") if g.caller is not None}
    assert set(groups) == {line_of(SCRIPT, "train"), line_of(SCRIPT, "evaluate")}
    for group in groups.values():
        assert (group.mode, group.count) == ("session", 2)
        assert group.python is not None
        assert group.python.line == line_of(SCRIPT, way)
        layers = chain_of(group)
        assert list(layers) == list(LAYERS)
        assert layers["api"].name == APIS[way]
        assert layers["kernel"].name is not None
        assert layers["kernel"].name.endswith(":_MklNativeFusedConv2D")
        assert layers["gen_op"].name == "gen_nn_ops.conv2d"
        assert (layers["library"].name, layers["library"].evidence) == ("convolution", "measured")
        assert group.library is not None
        assert group.library.implementation
        assert layers["stream_executor"].reason


def test_the_model_function_and_the_estimator_are_callers(stacked: Stacked) -> None:
    trace, _ = stacked(STACK, SCRIPT.name, "slim")
    for group in chain.why(trace, "conv2d"):
        assert group.caller is not None
        made = next(
            c for s in trace.sites.to_dict("records") if s["site_id"] == group.site_id for c in [s["callers"]]
        )
        assert f'"line":{line_of(SCRIPT, "model_fn")}' in made
        assert f'"line":{group.caller.line}' in made


def test_train_and_evaluate_have_a_graph_and_sessions_each(stacked: Stacked) -> None:
    trace, _ = stacked(STACK, SCRIPT.name, "slim")
    rows = [row for row in summary.document(trace, "graph")["rows"] if row["count"]]
    lines = [row["number"] for row in rows]
    assert sorted(lines) == [line_of(SCRIPT, "train"), line_of(SCRIPT, "evaluate")]
    assert all(row["sessions"] for row in rows)
    assert summary.document(trace)["failures"] == []  # a pipeline that ends is no failure
