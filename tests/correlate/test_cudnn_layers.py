"""From the op to cuDNN on the stand-in GPU: kernel, StreamExecutor and library calls of one native stack, the trials of
an autotuner apart from the real call, and the candidates with their times.

Which engine is the fastest is made up (tests/standin_gpu/native/engines.c); that it is found, and how, is tested.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from tests.standin_gpu.build import SCRIPTS
from tftrace.analysis import algorithms, chain
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]

RUNNER = "stream_executor::gpu::CudnnExecutionPlanRunner::operator()"
FORWARD = {0: 420.0, 1: 180.0, 2: 90.0, 4: 150.0}  # us of the stand-in's engines, those that run
BACKPROP_INPUT = {0: 460.0, 1: 210.0, 2: 120.0, 4: 200.0}
BACKPROP_FILTER = {0: 500.0, 1: 240.0, 2: 300.0, 4: 80.0}


@pytest.fixture(scope="module")
def traced(recorded: Callable[..., Trace], standin_gpu: dict[str, str]) -> Callable[..., Trace]:
    known: dict[tuple[str, ...], Trace] = {}

    def go(*script_and_options: str) -> Trace:
        if script_and_options not in known:
            script, *options = script_and_options
            known[script_and_options] = recorded(os.fspath(SCRIPTS / script), *options, **standin_gpu)
        return known[script_and_options]

    return go


def layers(group: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["layer"]: entry for entry in group["chain"]}


def executions(trace: Trace) -> pd.DataFrame:
    events = trace.events
    chosen = events[(events.layer == "library") & (events.name == "cudnnBackendExecute")].reset_index(
        drop=True
    )
    return pd.concat(
        [chosen.drop(columns="attrs"), pd.DataFrame([json.loads(a) for a in chosen["attrs"]])], axis=1
    )


@pytest.mark.parametrize(
    ("script", "op", "kernel", "mode"),
    [
        ("eager_conv.py", "conv2d", "Conv2D:Conv2DOp", "eager"),
        ("function_conv.py", "conv2d", "Conv2D:Conv2D", "function"),
        ("gradient.py", "Conv2DBackpropInput", "Conv2DBackpropInput:Conv2DBackpropInputOp", "eager"),
        ("gradient.py", "Conv2DBackpropFilter", "Conv2DBackpropFilter:Conv2DBackpropFilterOp", "eager"),
    ],
)
def test_the_chain_is_measured_from_the_kernel_down(
    traced: Callable[..., Trace], script: str, op: str, kernel: str, mode: str
) -> None:
    groups = chain.document(traced(script), op)["groups"]
    assert groups
    for group in groups:
        entries = layers(group)
        assert group["mode"] == mode
        assert entries["kernel"]["name"] == kernel
        assert entries["stream_executor"]["name"] == RUNNER
        assert entries["library"]["name"] == "cudnnBackendExecute"
        for layer in ("stream_executor", "library"):
            assert entries[layer]["evidence"] == "measured", entries[layer]
        # TensorFlow's profile at times has no event of the executor's first run, to which the kernel would be linked
        missing = 1 if mode == "function" else 0
        assert entries["kernel"]["evidence_counts"].get("measured", 0) >= group["count"] - missing
        assert entries["library"]["parent"] == "stream_executor"
        assert entries["stream_executor"]["parent"] == "kernel"
        library = group["library"]
        assert library["name"] == "cuDNN"
        assert library["tuning"] is False
        assert library["problem"]["input"] == [2, 16, 16, 8]
        assert library["problem"]["filter"] == [3, 3, 8, 16]
        functions = [frame["function"] for frame in group["native_stack"]]
        assert functions[0] == RUNNER
        assert not any("AutotuneConvImpl" in name for name in functions)


@pytest.mark.parametrize(
    ("script", "direction", "winner", "workspace"),
    [
        ("eager_conv.py", "forward", 2, 1 << 20),
        ("gradient.py", "backprop_input", 2, 1 << 20),
        ("gradient.py", "backprop_filter", 4, 8 << 10),
    ],
)
def test_the_engine_that_ran_is_named_with_its_workspace(
    traced: Callable[..., Trace], script: str, direction: str, winner: int, workspace: int
) -> None:
    ran = executions(traced(script))
    real = ran[(ran.tuning == False) & ran.problem.map(lambda p: p["direction"] == direction)]  # noqa: E712
    assert set(real.engine) == {winner}
    assert set(real.workspace_bytes) == {workspace}
    assert set(real.algorithm) == {f"eng{winner}_k2={winner}_k14=0"}
    assert set(real.status) == {"SUCCESS"}


def test_trials_of_the_autotuner_stand_apart_from_the_real_calls(traced: Callable[..., Trace]) -> None:
    trace = traced("eager_conv.py")
    ran = executions(trace)
    assert ran.tuning.value_counts().to_dict() == {True: 5, False: 3}
    assert sorted(ran[ran.tuning == True].engine) == [0, 1, 2, 3, 4]  # noqa: E712
    assert set(ran[ran.engine == 3].status) == {"EXECUTION_FAILED"}
    groups = chain.document(trace, "conv2d")["groups"]
    cold, warm = sorted(groups, key=lambda g: g["count"])
    assert (cold["count"], warm["count"]) == (1, 2)
    tried = [c for c in cold["library_calls"] if c["call"] == "cudnnBackendExecute"]
    assert [c["tuning"] for c in tried] == [True] * 5 + [False]
    assert not any(c["tuning"] for c in warm["library_calls"])


def test_a_cold_call_shows_what_cudnn_was_told_and_asked_in_order(traced: Callable[..., Trace]) -> None:
    groups = chain.document(traced("eager_conv.py"), "conv2d")["groups"]
    cold = next(g for g in groups if g["count"] == 1)
    calls = [(c["call"], c["about"]) for c in cold["library_calls"]]
    wanted = [
        ("cudnnCreate", None),
        ("cudnnBackendCreateDescriptor", "TENSOR"),
        ("cudnnBackendSetAttribute", "TENSOR_DIMENSIONS"),
        ("cudnnBackendCreateDescriptor", "CONVOLUTION"),
        ("cudnnBackendCreateDescriptor", "OPERATION_CONVOLUTION_FORWARD"),
        ("cudnnBackendFinalize", "OPERATIONGRAPH"),
        ("cudnnBackendGetAttribute", "ENGINEHEUR_RESULTS"),
        ("cudnnBackendFinalize", "EXECUTION_PLAN"),
        ("cudnnBackendGetAttribute", "EXECUTION_PLAN_WORKSPACE_SIZE"),
        ("cudnnBackendFinalize", "VARIANT_PACK"),
        ("cudnnBackendExecute", None),
    ]
    places = [calls.index(one) for one in wanted]
    assert places == sorted(places)
    tried = {
        c["engine"]: c["status"]
        for c in cold["library_calls"]
        if c["call"] == "cudnnBackendExecute" and c["tuning"]
    }
    assert tried.pop(3) == "EXECUTION_FAILED"
    assert set(tried.values()) == {"SUCCESS"}
    made = sum(c["count"] for c in cold["library_calls"] if c["call"] == "cudnnBackendCreateDescriptor")
    assert made > 1000


@pytest.mark.parametrize(
    ("options", "time_of", "script", "direction", "times"),
    [
        # what a trial launched took on the device
        ((), "device", "eager_conv.py", "forward", FORWARD),
        ((), "device", "gradient.py", "backprop_input", BACKPROP_INPUT),
        ((), "device", "gradient.py", "backprop_filter", BACKPROP_FILTER),
        # without a profile, what TensorFlow's log says that the autotuner took a trial for
        (("--no-tf-profiler",), "TensorFlow's autotuner", "eager_conv.py", "forward", FORWARD),
        (("--no-tf-profiler",), "TensorFlow's autotuner", "gradient.py", "backprop_input", BACKPROP_INPUT),
        (("--no-tf-profiler",), "TensorFlow's autotuner", "gradient.py", "backprop_filter", BACKPROP_FILTER),
    ],
)
def test_the_ledger_holds_every_candidate_with_the_time_of_its_kernel(
    traced: Callable[..., Trace],
    options: tuple[str, ...],
    time_of: str,
    script: str,
    direction: str,
    times: dict[int, float],
) -> None:
    document = algorithms.document(traced(script, *options))
    problem = next(
        p
        for p in document["problems"]
        if p["library"] == "cuDNN"
        and p["problem"]["direction"] == direction
        and any(c["source"].startswith("cudnn_probe") for c in p["candidates"])
    )
    mine = [c for c in problem["candidates"] if c["source"].startswith("cudnn_probe")]
    timed = {int(c["engine"]): c["time_us"] for c in mine if c["time_us"] is not None}
    assert timed == times
    assert {c["time_of"] for c in mine if c["time_us"] is not None} == {time_of}
    fastest = min(times, key=lambda e: times[e])
    assert [c["algorithm"] for c in mine if c["chosen"]] == [f"eng{fastest}_k2={fastest}_k14=0"]
    assert {c["engine"]: c["status"] for c in mine}["3"] == "failed"
    assert [c["status"] for c in mine if c["engine"] is None] == ["unsupported"]  # a plan that was refused
    assert document["synthetic"] is True


def test_what_is_fused_with_a_convolution_is_named(traced: Callable[..., Trace]) -> None:
    trace = traced("fused.py")
    ran = executions(trace)
    assert {tuple(p["fused"]) for p in ran.problem} == {("add", "bias", "relu")}
    assert {p["layout"] for p in ran.problem} == {"NCHW"}


def test_xla_has_a_tuner_of_its_own(traced: Callable[..., Trace]) -> None:
    trace = traced("xla.py")
    ran = executions(trace)
    real = ran[ran.tuning == False]  # noqa: E712
    assert set(real.engine) == {2}
    tried = ran[ran.tuning == True]  # noqa: E712
    assert {0, 1, 2, 3, 4} <= set(tried.engine)
    stacks = trace.frame("stacks").set_index("stack_id").frames
    assert all(any("Autotuner" in f["function"] for f in stacks[i]) for i in tried.stack_id)
    assert not any("Autotuner" in f["function"] for i in real.stack_id for f in stacks[i])


@pytest.mark.parametrize("script", ["eager_conv.py", "function_conv.py"])
def test_every_cudnn_call_of_a_convolution_belongs_to_it(traced: Callable[..., Trace], script: str) -> None:
    trace = traced(script)
    ran = executions(trace)
    members = trace.frame("event_calls").merge(trace.calls.merge(trace.sites, on="site_id"), on="call_id")
    owners = members[members.event_id.isin(ran.event_id)]
    assert owners.event_id.is_unique
    assert len(owners) == len(ran)
    assert set(owners.op) == {"Conv2D"}
