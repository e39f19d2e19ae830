"""What the optimizer made of graphs, and why a function was traced again, on older TensorFlow."""

from __future__ import annotations

import pytest

from tests.stacks.conftest import Stacked
from tftrace.analysis.chain import why
from tftrace.analysis.tracings import retraced

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["tf212_tflearn", "tf215_estimator_slim"])
def test_fates_of_nodes(stacked: Stacked, name: str) -> None:
    trace, _ = stacked(name, "optimized.py")
    sites = trace.sites
    told = {(r.op, r.mode): r.fate for r in sites[sites.fate.notna()].itertuples()}
    assert told["Sqrt", "function"] == told["RealDiv", "function"] == "folded"
    assert told["Max", "function"] == "pruned"
    for mode in ("function", "session"):
        assert told["BiasAdd", mode] == told["Relu", mode] == "fused"
    groups = why(trace, "conv2d")
    assert {g.mode for g in groups} == {"function", "session"}
    assert sum(g.count for g in groups) == 6
    assert all({f["op"] for f in g.fused} == {"BiasAdd", "Relu"} for g in groups)


def test_a_tracing_for_another_shape(stacked: Stacked) -> None:
    trace, _ = stacked("tf215_estimator_slim", "optimized.py")
    (row,) = retraced(trace)
    assert [again["why"] for again in row["again"]] == ["x: shape (2, 8, 8, 3), then (3, 8, 8, 3)"]
