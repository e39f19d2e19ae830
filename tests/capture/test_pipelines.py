"""tf.data: ops of map functions lead back to their lines, though they run on tf.data's own threads."""

from __future__ import annotations

import json
from collections.abc import Callable

import pandas as pd
import pytest

from tests.capture.running import SCRIPTS
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]
SOURCE = (SCRIPTS / "pipelines.py").read_text().splitlines()
LINE = {text.rpartition("# ")[2]: number for number, text in enumerate(SOURCE, 1) if "# " in text}


@pytest.fixture(scope="module")
def calls(recorded: Callable[..., Trace]) -> pd.DataFrame:
    trace = recorded("pipelines.py")
    return trace.calls.merge(trace.sites, on="site_id", suffixes=("", "_site"))


@pytest.mark.parametrize(
    ("op", "within", "caller"),
    [
        ("Sin", "in the map function", "map"),
        ("MatMul", "the costly one", "map"),
        ("Greater", "filter", None),
    ],
)
def test_an_op_of_a_map_function_leads_to_its_line_and_to_the_datasets(
    calls: pd.DataFrame, op: str, within: str, caller: str | None
) -> None:
    mine = calls[calls.op == op]
    assert len(mine) == 3 * 16
    assert set(mine.python_line) == {LINE[within]}
    outer = [[place["line"] for place in json.loads(text)] for text in mine.callers]
    if caller is not None:
        assert {lines[0] for lines in outer} == {LINE[caller]}
    # each pipeline's own function, not just any of the same line
    ends = pd.Series([lines[-1] for lines in outer]).value_counts()
    assert set(ends) == {16}
    assert len(ends) == 3


def test_they_ran_on_threads_of_tf_data(calls: pd.DataFrame) -> None:
    main = set(calls[calls["mode"] == "eager"].tid)
    assert not set(calls[calls.op == "Sin"].tid) & main
