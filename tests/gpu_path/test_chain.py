"""From the line down to the device: what `why` shows of convolutions on a GPU, on every ground there is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gpu_path.conftest import Ground, Traced
from tests.gpu_path.reading import calls_of, executions, layers
from tftrace.analysis import chain

pytestmark = [pytest.mark.tf, pytest.mark.slow]

RUNNER = "stream_executor::gpu::CudnnExecutionPlanRunner::operator()"
LAYERS = ("python", "api", "gen_op", "runtime", "kernel", "stream_executor", "library", "device")
SIDES = sorted([2, 16, 16, 8])  # of the scripts' image, in whatever order the layout has them


def groups_of(traced: Traced, script: str, op: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = chain.document(traced(script), op)["groups"]
    assert groups
    return groups


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
    traced: Traced, script: str, op: str, kernel: str, mode: str
) -> None:
    for group in groups_of(traced, script, op):
        entries = layers(group)
        assert tuple(entries) == LAYERS
        assert all(entries[layer]["name"] for layer in LAYERS), entries
        assert group["mode"] == mode
        assert group["device"] == "/device:GPU:0"
        assert entries["python"]["name"].startswith(script)
        assert entries["kernel"]["name"] == kernel
        assert entries["stream_executor"]["name"] == RUNNER
        assert entries["library"]["name"] == "cudnnBackendExecute"
        for layer in ("stream_executor", "library"):
            assert entries[layer]["evidence"] == "measured", entries[layer]
        assert (entries["device"]["rule"], entries["device"]["evidence"]) == ("correlation id", "measured")
        # TensorFlow's profile at times has no event of the executor's first run, to which the kernel would be linked
        missing = 1 if mode == "function" else 0
        assert entries["kernel"]["evidence_counts"].get("measured", 0) >= group["count"] - missing
        assert entries["library"]["parent"] == "stream_executor"
        assert entries["stream_executor"]["parent"] == "kernel"


@pytest.mark.parametrize(
    ("script", "op"),
    [
        ("eager_conv.py", "conv2d"),
        ("function_conv.py", "conv2d"),
        ("gradient.py", "Conv2DBackpropInput"),
        ("gradient.py", "Conv2DBackpropFilter"),
    ],
)
def test_the_library_call_has_its_engine_workspace_and_problem(traced: Traced, script: str, op: str) -> None:
    for group in groups_of(traced, script, op):
        library = group["library"]
        assert library["name"] == "cuDNN"
        assert library["version"]
        assert library["tuning"] is False
        assert isinstance(library["engine"], int)
        assert library["algorithm"].startswith(f"eng{library['engine']}")
        assert isinstance(library["workspace_bytes"], int)
        assert sorted(library["problem"]["input"]) == SIDES
        functions = [frame["function"] for frame in group["native_stack"]]
        assert functions[0] == RUNNER
        assert not any("AutotuneConvImpl" in name for name in functions)


def test_a_cold_call_shows_its_trials_apart_from_its_real_call(traced: Traced) -> None:
    groups = groups_of(traced, "eager_conv.py", "conv2d")
    cold, warm = sorted(groups, key=lambda g: g["count"])
    assert (cold["count"], warm["count"]) == (1, 2)
    tried = [c for c in cold["library_calls"] if c["call"] == "cudnnBackendExecute"]
    assert [c["tuning"] for c in tried][-1] is False
    assert sum(c["tuning"] for c in tried) >= 2
    assert not any(c["tuning"] for c in warm["library_calls"])
    ran = executions(traced("eager_conv.py"))
    assert int((ran.tuning == False).sum()) == 3  # noqa: E712
    # the plan that the real calls ran is one of those that were tried, and did not fail
    real = set(ran[ran.tuning == False].algorithm)  # noqa: E712
    good = ran[(ran.tuning == True) & (ran.status == "SUCCESS")]  # noqa: E712
    assert len(real) == 1
    assert real <= set(good.algorithm)


def test_a_cold_call_shows_what_cudnn_was_told_and_asked_in_order(traced: Traced) -> None:
    cold = next(g for g in groups_of(traced, "eager_conv.py", "conv2d") if g["count"] == 1)
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


def test_a_gradient_goes_both_ways(traced: Traced) -> None:
    ran = executions(traced("gradient.py"))
    real = ran[ran.tuning == False]  # noqa: E712
    assert set(real.problem.map(lambda p: p["direction"])) == {"forward", "backprop_input", "backprop_filter"}


def test_each_hop_is_told_with_what_was_seen_in_this_run(traced: Traced) -> None:
    for group in groups_of(traced, "eager_conv.py", "conv2d"):
        ways = {hop["mechanism"] for hop in group["hops"]}
        wanted = {"Python extension", "kernel registry", "virtual call", "trampoline, dlopen and dlsym"}
        assert wanted <= ways, ways


def test_xla_has_a_tuner_of_its_own(traced: Traced) -> None:
    trace = traced("xla.py")
    ran = executions(trace)
    stacks = trace.frame("stacks").set_index("stack_id").frames

    def in_tuner(stack: int) -> bool:
        return any("Autotuner" in frame["function"] for frame in stacks[stack])

    tried = ran[ran.tuning == True]  # noqa: E712
    real = ran[ran.tuning == False]  # noqa: E712
    assert len(tried) >= 2
    assert len(real) >= len(calls_of(trace, "Conv2D")) > 0
    assert all(in_tuner(stack) for stack in tried.stack_id)
    assert not any(in_tuner(stack) for stack in real.stack_id)


@pytest.mark.parametrize("script", ["eager_conv.py", "function_conv.py"])
def test_every_cudnn_call_of_a_convolution_belongs_to_it(traced: Traced, script: str) -> None:
    trace = traced(script)
    ran = executions(trace)
    members = trace.frame("event_calls").merge(trace.calls.merge(trace.sites, on="site_id"), on="call_id")
    owners = members[members.event_id.isin(ran.event_id)]
    assert owners.event_id.is_unique
    assert len(owners) == len(ran)
    assert set(owners.op) == {"Conv2D"}


def test_only_what_is_made_up_is_labelled_synthetic(traced: Traced, ground: Ground) -> None:
    assert traced("eager_conv.py").synthetic is ground.synthetic
