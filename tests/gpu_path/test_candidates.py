"""The autotuner's candidates and its winner: what the cuDNN probe saw, beside what TensorFlow logs of it."""

from __future__ import annotations

import pytest

from tests.gpu_path.conftest import Traced
from tests.gpu_path.reading import executions
from tftrace.analysis import algorithms

pytestmark = [pytest.mark.tf, pytest.mark.slow]


@pytest.mark.parametrize(
    ("script", "direction"),
    [
        ("eager_conv.py", "forward"),
        ("gradient.py", "backprop_input"),
        ("gradient.py", "backprop_filter"),
    ],
)
def test_every_candidate_that_ran_has_a_time_and_the_chosen_one_ran(
    traced: Traced, script: str, direction: str
) -> None:
    trace = traced(script)
    rows = algorithms.ledger(trace)
    mine = rows[(rows.library == "cuDNN") & (rows.direction == direction)]
    seen = mine[mine.source.str.startswith("cudnn_probe")]
    ran = executions(trace)
    ran = ran[ran.problem.map(lambda p: p["direction"] == direction)]
    assert set(seen.algorithm.dropna()) >= set(ran.algorithm)
    worked = seen[seen.status == "ok"]
    assert len(worked) >= 2
    assert (worked.time_us.astype(float) > 0).all()
    assert worked.workspace_bytes.notna().all()
    (chosen,) = seen.algorithm[seen.chosen.astype(bool)].unique()
    assert {chosen} == set(ran.algorithm[ran.tuning == False])  # noqa: E712
    assert chosen in set(worked.algorithm)


@pytest.mark.parametrize("script", ["eager_conv.py", "gradient.py"])
def test_the_plan_that_ran_is_the_one_that_tensorflow_says_it_chose(traced: Traced, script: str) -> None:
    rows = algorithms.ledger(traced(script))
    rows = rows[(rows.library == "cuDNN") & rows.chosen.astype(bool)]
    for direction, chosen in rows.groupby("direction"):
        sources = set(chosen.source.str.split(" ").str[0])
        assert any(s.startswith("cudnn_probe") for s in sources), (direction, sources)
        assert len(set(chosen.algorithm)) == 1, chosen[["source", "algorithm"]]
