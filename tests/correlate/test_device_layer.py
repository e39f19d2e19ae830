"""Device work of traced scripts, on the stand-in GPU: from the line that made the op to the kernels it launched.

Its times are made up; what is tested is which event belongs where, and on what evidence.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from tests.standin_gpu.build import SCRIPTS
from tftrace.analysis import chain
from tftrace.model.trace import Trace

pytestmark = pytest.mark.tf

FORWARD = "standin_cudnn_conv_fprop_engine_"


@pytest.fixture(scope="module")
def traced(recorded: Callable[..., Trace], standin_gpu: dict[str, str]) -> Callable[..., Trace]:
    known: dict[tuple[str, ...], Trace] = {}

    def go(script: str, **env: str) -> Trace:
        key = (script, *sorted(env.items()))
        if key not in known:
            known[key] = recorded(os.fspath(SCRIPTS / script), **standin_gpu, **env)
        return known[key]

    return go


def conv_calls(trace: Trace) -> pd.DataFrame:
    calls = trace.calls.merge(trace.sites, on="site_id")
    return calls[calls.op == "Conv2D"].sort_values("start_ns")


def device_events(trace: Trace, call_id: int) -> pd.DataFrame:
    members = trace.frame("event_calls")
    events = trace.events
    mine = members.event_id[members.call_id == call_id]
    return events[(events.layer == "device") & events.event_id.isin(mine)]


@pytest.mark.parametrize(
    ("script", "mode"), [("eager_conv.py", "eager"), ("function_conv.py", "function"), ("xla.py", "xla")]
)
def test_each_convolution_has_the_kernels_that_it_launched(traced: Any, script: str, mode: str) -> None:
    trace = traced(script)
    calls = conv_calls(trace)
    assert set(calls["mode"]) == {mode}
    assert set(calls.device) == {"/device:GPU:0"}
    assert (calls.device_total_ns > 0).all()
    assert (calls.library_total_ns > 0).all()
    for call in calls.call_id.tolist():
        own = device_events(trace, call)
        assert any(str(name).startswith(FORWARD) for name in own["name"])
        assert set(own.device) == {"/device:GPU:0"}
        assert own.stream.notna().all()
        assert own.dur_ns.sum() >= calls.device_total_ns[calls.call_id == call].iloc[0]


def test_a_warm_convolution_ran_one_kernel_of_cudnn_and_a_cold_one_the_trials_too(traced: Any) -> None:
    for script in ("eager_conv.py", "function_conv.py"):
        trace = traced(script)
        counts = [
            sum(str(n).startswith(FORWARD) for n in device_events(trace, call)["name"])
            for call in conv_calls(trace).call_id.tolist()
        ]
        assert counts[0] > 3
        assert counts[1:] == [1, 1]


@pytest.mark.parametrize("script", ["eager_conv.py", "function_conv.py", "xla.py"])
def test_trials_say_so_and_what_ran_for_real_does_not(traced: Any, script: str) -> None:
    trace = traced(script)
    ran = trace.events[trace.events.layer == "device"]
    ran = ran[ran["name"].astype(str).str.startswith(FORWARD)]
    tuning = ran["attrs"].str.contains('"tuning":true')
    assert int((~tuning).sum()) == len(conv_calls(trace))
    assert int(tuning.sum()) > 2


def test_trials_that_xla_ran_while_compiling_are_no_executions_of_an_op(traced: Any) -> None:
    trace = traced("xla.py")
    assert len(conv_calls(trace)) == 2
    events, members = trace.events, trace.frame("event_calls")
    ran = events[(events.layer == "device") & events["name"].astype(str).str.startswith(FORWARD)]
    in_convs = set(members.event_id[members.call_id.isin(conv_calls(trace).call_id)])
    assert len(ran) > 2
    assert len(set(ran.event_id) & in_convs) == 2


@pytest.mark.parametrize("script", ["eager_conv.py", "function_conv.py", "xla.py"])
def test_why_leads_from_the_line_to_the_kernel(traced: Any, script: str) -> None:
    (group, *_) = chain.document(traced(script), "conv2d")["groups"]
    entries = {entry["layer"]: entry for entry in group["chain"]}
    assert entries["python"]["name"].startswith(script)
    device = entries["device"]
    assert (device["rule"], device["evidence"]) == ("correlation id", "measured")
    assert device["calls"] == group["count"]
    assert entries["kernel"]["name"] is not None
    # the kernel called the library, also where it is known by what the library launched alone
    assert (entries["library"]["name"], entries["library"]["evidence"]) == ("cudnnBackendExecute", "measured")
    assert entries["stream_executor"]["evidence"] == "measured"


def test_every_piece_of_device_work_has_its_launch(traced: Any) -> None:
    for script in ("eager_conv.py", "function_conv.py", "xla.py"):
        trace = traced(script)
        links = trace.links
        launched = set(links.child_id[links.rule == "correlation id"])
        assert set(trace.events.event_id[trace.events.layer == "device"]) == launched


def test_work_of_two_devices_stays_with_the_calls_of_each(traced: Any) -> None:
    trace = traced("two_devices.py", STANDIN_GPU_DEVICES="2")
    calls = conv_calls(trace)
    assert set(calls.device) == {"/device:GPU:0", "/device:GPU:1"}
    for call, device in zip(calls.call_id.tolist(), calls.device.tolist(), strict=True):
        ran = device_events(trace, call)
        kernels = ran[ran["name"].astype(str).str.startswith(FORWARD)]
        assert set(kernels.device) == {device}
