"""TensorFlow Federated: what its C++ worker ran is led back to the computation and the line that asked for it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable

import pandas as pd
import pytest

from tests.capture.running import Finished, environment, run
from tests.stacks.conftest import SCRIPTS, Stacked
from tests.stacks.reading import chain_of, line_of
from tftrace.analysis import chain
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

STACK = "tff087"
SCRIPT = SCRIPTS / "federated.py"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded(stacked: Stacked) -> tuple[Trace, Finished, int]:
    """The trace, what the script printed, and the worker's process id."""
    trace, done = stacked(STACK, SCRIPT.name)
    found = re.fullmatch(rb"1083392\.0\n1083392\.0\nworker (\d+)\n", done.stdout)
    assert found, done.stdout
    return trace, done, int(found[1])


def linked(trace: Trace) -> pd.DataFrame:
    """Links with the events at both ends, columns of the upper one with `_above`."""
    events = trace.events
    return trace.links.merge(events, left_on="child_id", right_on="event_id").merge(
        events, left_on="parent_id", right_on="event_id", suffixes=("", "_above")
    )


def test_the_workers_log_reaches_nobody_but_the_trace(recorded: tuple[Trace, Finished, int]) -> None:
    _, done, _ = recorded
    for said in (b"Process node", b"LOG_MEMORY", b"Executor::", b"onednn_verbose"):
        assert said not in done.stdout + done.stderr


def test_the_whole_chain_of_a_convolution(recorded: tuple[Trace, Finished, int]) -> None:
    trace, _, _ = recorded
    (group,) = chain.why(trace, "conv2d")
    assert (group.mode, group.count, group.device) == ("native", 4, "/device:CPU:0")
    assert group.shapes == [[2, 16, 16, 8], [3, 3, 8, 16]]
    assert group.python is not None
    assert group.python.line == line_of(SCRIPT, "conv2d")
    assert group.caller is not None
    assert group.caller.line == line_of(SCRIPT, "total")
    layers = chain_of(group)
    assert list(layers) == list(LAYERS)
    assert layers["api"].name == "tf.nn.conv2d"
    assert layers["gen_op"].name == "gen_nn_ops.conv2d"
    assert layers["runtime"].names == ["computation total", "gRPC CreateCall", "Session::Run"]
    # that the worker's node is the one that Python made is told by its name, that the run served the request by time
    assert layers["runtime"].evidence == "inferred"
    assert "which client it served is not observed" in str(layers["runtime"].reason)
    assert (layers["kernel"].name, layers["kernel"].evidence) == ("Conv2D:_MklNativeConv2D", "measured")
    assert (layers["library"].name, layers["library"].evidence) == ("convolution", "measured")
    assert layers["device"].name is not None
    assert layers["stream_executor"].reason
    functions = [str(frame["function"]) for frame in group.native_stack]
    for name in ("dnnl_primitive_execute", "MklConvOp::Compute", "ExecutorState", "WorkerLoop"):
        assert any(name in function for function in functions), name


def test_every_node_that_the_worker_ran_is_a_call(recorded: tuple[Trace, Finished, int]) -> None:
    trace, _, worker = recorded
    calls = trace.calls.merge(trace.sites, on="site_id")
    ran = Counter(calls[calls.pid == worker].op.astype(str))
    # two clients, two rounds; the sum of the clients' results begins with a zero each round
    assert (ran["Conv2D"], ran["Sum"], ran["AddV2"]) == (4, 4, 4)
    kernels = trace.events[(trace.events.pid == worker) & (trace.events.layer == "kernel")]
    assert len(kernels) == sum(n for op, n in ran.items() if op != "Session.run")
    by_step = linked(trace)
    by_step = by_step[(by_step.pid == worker) & (by_step.layer == "kernel") & (by_step.rule == "step id")]
    assert set(by_step.child_id) == set(kernels.event_id)
    assert set(by_step.evidence) == {"measured"}


def test_the_computation_stands_with_its_requests(recorded: tuple[Trace, Finished, int]) -> None:
    trace, _, worker = recorded
    (group,) = chain.why(trace, "total")
    assert (group.op, group.count) == ("total", 2)
    assert group.python is not None
    assert group.python.line == line_of(SCRIPT, "total")
    assert isinstance(group.op_attrs, dict)
    assert group.op_attrs["type"] == "({float32[2,16,16,8]}@CLIENTS -> float32@SERVER)"
    assert re.search(r"federated\.py:\d+$", group.op_attrs["defined"])
    requests = linked(trace)
    requests = requests[requests.name.astype(str).str.startswith("gRPC ")]
    assert set(requests.rule) == {"range id"}
    assert set(requests.evidence) == {"measured"}
    sent = Counter(requests.name.astype(str))
    assert (sent["gRPC CreateCall"], sent["gRPC Compute"]) == (2, 2)
    ports = {json.loads(text)["port"] for text in requests["attrs"]}
    (process,) = (p for p in trace.manifest["processes"] if p["pid"] == worker)
    assert [f"--port={port}" for port in ports] == [a for a in process["argv"] if a.startswith("--port")]


def test_runs_of_the_worker_belong_to_the_round_that_asked(recorded: tuple[Trace, Finished, int]) -> None:
    trace, _, worker = recorded
    calls = trace.calls.merge(trace.sites, on="site_id")
    rounds = calls[calls.op == "total"].set_index("call_id")
    runs = calls[(calls.pid == worker) & (calls.op == "Session.run")]
    assert len(runs) >= 6
    assert set(runs.parent_call_id) == set(rounds.index)
    for _, one in runs.iterrows():
        of = rounds.loc[one.parent_call_id]
        assert of.start_ns <= one.start_ns <= of.start_ns + of.total_ns
    above = linked(trace)
    above = above[(above.name == "Session::Run") & (above.rule == "request time")]
    assert set(above.evidence) == {"inferred"}
    assert set(above.name_above) == {"gRPC CreateCall"}


def test_manifest_says_which_probes_worked_in_the_worker(recorded: tuple[Trace, Finished, int]) -> None:
    trace, _, _ = recorded
    probes = {p["name"]: p for p in trace.manifest["probes"]}
    for name in ("executor_log", "federated"):
        assert probes[name]["events"] > 0
        assert probes[name]["lost"] == 0


def test_of_two_computations_at_once_each_keeps_its_own(
    stacked: Stacked, stack: Callable[[str], str]
) -> None:
    script = SCRIPTS / "federated_async.py"
    trace, done = stacked(STACK, script.name)
    plain = run(script, env=environment(TF_CPP_MIN_LOG_LEVEL="2"), python=stack(STACK))
    # what the second prints last are the functions on the traceback of the one that failed
    assert (done.exit_status, done.stdout) == (plain.exit_status, plain.stdout)
    assert done.stdout.count(b"[541696.0, 1024.0]") == 2
    calls = trace.calls.merge(trace.sites, on="site_id").set_index("call_id")
    asked = calls[calls.op.isin(["convolved", "pooled", "failing"])]
    assert Counter(asked.op.astype(str)) == {"convolved": 2, "pooled": 2, "failing": 1}
    requests = linked(trace)
    requests = requests[requests.name == "gRPC CreateCall"]
    assert Counter(requests.name_above.astype(str)) == {
        "computation convolved": 2, "computation pooled": 2, "computation failing": 1,
    }  # fmt: skip
    for op, of, mark in (("Conv2D", "convolved", "conv2d"), ("MaxPool", "pooled", "pool")):
        made = calls[calls.op == op]
        assert set(made.python_line) == {line_of(script, mark)}
        behind = calls.loc[calls.loc[made.parent_call_id].parent_call_id]
        assert list(behind.op) == [of] * 2
