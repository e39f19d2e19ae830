"""What is recorded is what was executed: against TensorFlow's op callbacks, and the two hooks against each other."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.capture.running import SCRIPTS, environment, run
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]


def entries(trace: Trace) -> pd.DataFrame:
    """Calls that left Python, with their sites; nodes that ran inside a graph are left out."""
    calls = trace.calls.merge(trace.sites, on="site_id")
    return calls[calls.node.isna()]


def without_number(op: str) -> str:
    return re.sub(r"^(__inference_.*?)_\d+$", r"\1", op)  # TensorFlow numbers functions as it makes them


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """Eager ops that TensorFlow itself saw in an untraced run of the same script."""
    path = tmp_path_factory.mktemp("counts") / "counts.json"
    done = run(SCRIPTS / "mixed.py", env=environment(COUNT_TO=str(path)))
    assert done.exit_status == 0, done.stderr.decode()
    counts: Counter[str] = Counter()
    for op, count in json.loads(path.read_text()).items():
        counts[without_number(op)] += count
    return counts


def test_eager_calls_are_those_tensorflow_counts(mixed_trace: Trace, counted: Counter[str]) -> None:
    calls = entries(mixed_trace)
    # callbacks see ops that succeeded; the end of the data set is an IteratorGetNext that raises
    failed = calls[calls.status == "raised"]
    assert failed.op.astype(str).tolist() == ["IteratorGetNext"]
    # a Session's run is no eager op
    eager = calls[(calls.status == "ok") & (calls["mode"] != "session")]
    assert Counter(without_number(str(op)) for op in eager.op) == counted
    assert counted["Conv2DBackpropFilter"] == 1
    assert counted["__inference_step"] == 5


def test_session_runs_are_counted(mixed_trace: Trace) -> None:
    calls = entries(mixed_trace)
    assert (calls["mode"] == "session").sum() == 3


def test_nothing_was_lost(mixed_trace: Trace) -> None:
    by_name = {p["name"]: p for p in mixed_trace.manifest["probes"]}
    for name in ("dispatch", "graph", "onednn", "itt"):
        assert (by_name[name]["status"], by_name[name]["lost"]) == ("ok", 0), by_name[name]
    assert mixed_trace.manifest["processes"][0]["faults"] == {"count": 0, "first": None}
    assert mixed_trace.manifest["processes"][0]["cut_lines"] == 0


@pytest.fixture(scope="module")
def fallback_trace(recorded: Callable[..., Trace], tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """The same script where there is no compiler and nothing in the cache."""
    empty = tmp_path_factory.mktemp("empty")
    return recorded("mixed.py", PATH=str(empty), CC="", XDG_CACHE_HOME=str(empty / "cache"))


def test_hook_in_python_records_the_same_calls(mixed_trace: Trace, fallback_trace: Trace) -> None:
    def described(trace: Trace) -> Counter[tuple[str, ...]]:
        what = ["op", "mode", "status", "shapes", "dtypes", "op_attrs", "api", "gen_op", "python_line"]
        return Counter(entries(trace)[what].astype(str).itertuples(index=False, name=None))

    assert described(fallback_trace) == described(mixed_trace)


def test_fallback_says_what_it_lacks(fallback_trace: Trace) -> None:
    by_name = {p["name"]: p for p in fallback_trace.manifest["probes"]}
    assert by_name["dispatch"]["status"] == "partly"
    for name in ("onednn", "itt"):
        assert by_name[name]["status"] == "unavailable"
        assert "no C compiler" in by_name[name]["reason"]
    assert "library" not in set(fallback_trace.events.layer.dropna())


def test_lines_are_the_scripts(mixed_trace: Trace) -> None:
    text = Path(SCRIPTS / "mixed.py").read_text().splitlines()
    sites = entries(mixed_trace)
    for op, part in (("AddN", "tf.add_n"), ("Conv2D", "tf.nn.conv2d"), ("AssignAddVariableOp", "assign_add")):
        lines = sites[sites.op == op].python_line.unique()
        assert len(lines) == 1
        assert part in text[int(lines[0]) - 1]
