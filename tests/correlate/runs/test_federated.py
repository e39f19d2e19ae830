"""A worker's work is led back to what asked for it, and where two computations may be meant nothing is told."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tftrace.analysis import chain
from tftrace.api import load
from tftrace.correlate.runs.federated import Asked, Invocation
from tftrace.correlate.tables.columns import NONE
from tftrace.ingest.agent_raw import processes
from tftrace.ingest.executor_log import NodeRun
from tftrace.model.trace import Trace

EXAMPLE = Path(__file__).parents[3] / "traces" / "examples" / "federated"


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """The recording in the repository, its tables made anew from its raw records. Its binaries are not here: its native
    stacks are addresses without names, as those of a stripped binary are."""
    place = tmp_path_factory.mktemp("federated") / "trace"
    place.mkdir()
    shutil.copytree(EXAMPLE / "raw", place / "raw")
    shutil.copy(EXAMPLE / "run.json", place)
    return load(place)


def test_tables_can_be_rebuilt_from_raw(rebuilt: Trace) -> None:
    before = load(EXAMPLE)
    assert len(rebuilt.calls) == len(before.calls)
    assert len(rebuilt.events) == len(before.events)
    rules = [Counter(zip(t.links.rule, t.links.evidence, strict=True)) for t in (before, rebuilt)]
    assert rules[1]["step id", "measured"] == rules[0]["step id", "measured"] > 0
    assert rules[1]["request time", "inferred"] == rules[0]["request time", "inferred"] > 0


def test_chain_of_a_convolution_from_its_line_to_the_primitive(rebuilt: Trace) -> None:
    (group,) = chain.why(rebuilt, "conv2d")
    assert group.python is not None
    assert group.caller is not None
    assert (group.mode, group.count, group.python.line, group.caller.line) == ("native", 4, 19, 29)
    by_layer = {entry.layer: entry for entry in group.chain}
    assert by_layer["kernel"].name == "Conv2D:_MklNativeConv2D"
    assert by_layer["library"].name == "convolution"
    assert by_layer["runtime"].evidence == "inferred"


def test_a_process_that_went_on_is_told_as_such(rebuilt: Trace) -> None:
    (worker,) = (p for p in rebuilt.manifest["processes"] if not p["main"])
    assert worker["missing"].startswith("it was still running when the script had ended")


def test_a_worker_comes_after_the_process_that_asked_whatever_they_are_called(tmp_path: Path) -> None:
    for name, told in {
        "vm-1": {"python": None}, "vm-2": {"python": "3.11"}, "vm-3": {"python": None, "main": True},
    }.items():  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "process.json").write_text(json.dumps(told))
    assert [p.name for p in processes(tmp_path)] == ["vm-3", "vm-2", "vm-1"]


def node(name: str, step: int = 1) -> NodeRun:
    return NodeRun(step, name, name, {}, [], "", 1, 10, 20)


def asked(
    *spans: tuple[int, int, list[list[list[str]]]], requests: list[dict[str, Any]] | None = None,
    nodes: list[dict[str, Any]] | None = None,
) -> Asked:  # fmt: skip
    """Invocations of (begin, end, graphs sent)."""
    invocations = [Invocation(i, {}, start, end, [i]) for i, (start, end, _) in enumerate(spans)]
    raw: Any = SimpleNamespace(nodes=nodes or [])
    number = np.arange(len(spans))
    rows = requests or []
    return Asked(
        raw, number, invocations, rows, {i: sent for i, (_, _, sent) in enumerate(spans)}, number, number,
        np.arange(len(rows)), np.array([int(r.get("of", NONE)) for r in rows], np.int64),
    )  # fmt: skip


CONVOLUTION, SUM = [["x", "Placeholder"], ["Conv2D", "Conv2D"]], [["y", "Placeholder"], ["Sum", "Sum"]]


def test_a_run_belongs_to_the_only_computation_that_was_under_way() -> None:
    one = asked((0, 100, [SUM]), (200, 300, [SUM]))
    # the nodes do not matter: TFF adds graphs of its own
    assert [one.invocation_at(t, [node("Conv2D")]) for t in (50, 150, 250)] == [0, NONE, 1]


def test_of_several_it_belongs_to_the_one_that_sent_its_nodes() -> None:
    both = asked((0, 100, [SUM]), (50, 150, [CONVOLUTION]))
    assert both.invocation_at(75, [node("Conv2D"), node("x")]) == 1
    assert both.invocation_at(75, [node("Sum")]) == 0


def test_where_several_sent_the_same_or_none_did_nothing_is_told() -> None:
    same = asked((0, 100, [CONVOLUTION]), (50, 150, [CONVOLUTION]))
    assert same.invocation_at(75, [node("Conv2D")]) == NONE
    assert asked((0, 100, [SUM]), (50, 150, [SUM])).invocation_at(75, [node("Conv2D")]) == NONE


def test_a_request_goes_to_the_worker_that_listens_at_its_port() -> None:
    rows = [{"t0": 0, "t1": 100, "port": 1, "of": 0}, {"t0": 50, "t1": 150, "port": 2, "of": 0}]
    one = asked((0, 150, []), requests=rows)
    worker: Any = SimpleNamespace(process={"argv": ["worker_binary", "--port=2"]})
    assert one.request_at(75, worker) == 1
    assert one.request_at(25, worker) == NONE
    left_out: Any = SimpleNamespace(process={"argv": []})
    assert one.request_at(75, left_out) == NONE  # either may be meant


NOT_KNOWN: frozenset[str] = frozenset()


def made(graph: int, name: str, stack: int) -> dict[str, Any]:
    return {"graph": graph, "node": name, "op": name, "stack": stack}


def test_a_node_is_the_one_of_its_name_in_the_graph_that_shares_most_nodes() -> None:
    rows = [made(1, "Conv2D", 11), made(1, "x", 12), made(2, "Conv2D", 21), made(3, "Sum", 31)]
    assert asked(nodes=rows).making([node("Conv2D"), node("x")], NOT_KNOWN) == {"Conv2D": 0, "x": 1}
    assert asked(nodes=rows).making([node("Relu")], NOT_KNOWN) == {}


def test_a_node_that_two_lines_may_have_made_has_no_line() -> None:
    twice = [made(1, "Conv2D", 11), made(2, "Conv2D", 21)]
    assert asked(nodes=twice).making([node("Conv2D")], NOT_KNOWN) == {}
    again = [made(1, "Conv2D", 11), made(2, "Conv2D", 11)]
    assert asked(nodes=again).making([node("Conv2D")], NOT_KNOWN) == {"Conv2D": 0}


def test_what_was_sent_tells_more_than_what_is_left_of_it() -> None:
    """TensorFlow pruned all but the sum, which two graphs have."""
    rows = [made(1, "Sum", 11), made(1, "Conv2D", 12), made(2, "Sum", 21), made(2, "Assert", 22)]
    one = asked((0, 100, [[["Sum", "Sum"], ["Assert", "Assert"]], [["Relu", "Relu"]]]), nodes=rows)
    sent = one.sent_as(0, [node("Sum")])
    assert sent == {"Sum", "Assert"}
    assert one.making([node("Sum")], sent) == {"Sum": 2}
    assert one.making([node("Sum")], NOT_KNOWN) == {}
    assert one.sent_as(0, [node("_arg")]) == one.sent_as(NONE, [node("Sum")]) == NOT_KNOWN


def test_a_row_that_was_cut_is_left_out(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "raw", tmp_path / "raw")
    shutil.copy(EXAMPLE / "run.json", tmp_path)
    (path,) = (tmp_path / "raw").glob("*/requests.jsonl")
    rows = path.read_bytes().splitlines(keepends=True)
    assert json.loads(rows[-1])["request"] == "Compute"
    path.write_bytes(b"".join(rows[:-1]) + rows[-1][:20])
    requests = load(tmp_path).events.name.astype(str)
    assert (requests == "gRPC Compute").sum() == 1
