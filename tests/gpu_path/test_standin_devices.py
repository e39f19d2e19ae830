"""Device work of traced scripts, on the stand-in GPU: from the line that made the op to the kernels it launched.

Its times are made up; what is tested is which event belongs where, and on what evidence.
"""

from __future__ import annotations

import pytest

from tests.gpu_path.conftest import Traced
from tests.gpu_path.reading import calls_of, device_work

pytestmark = pytest.mark.tf

FORWARD = "standin_cudnn_conv_fprop_engine_"


def test_a_warm_convolution_ran_one_kernel_of_cudnn_and_a_cold_one_the_trials_too(on_standin: Traced) -> None:
    for script in ("eager_conv.py", "function_conv.py"):
        trace = on_standin(script)
        counts = [
            sum(str(n).startswith(FORWARD) for n in device_work(trace, call)["name"])
            for call in calls_of(trace, "Conv2D").call_id.tolist()
        ]
        assert counts[0] > 3
        assert counts[1:] == [1, 1]


@pytest.mark.parametrize("script", ["eager_conv.py", "function_conv.py", "xla.py"])
def test_trials_say_so_and_what_ran_for_real_does_not(on_standin: Traced, script: str) -> None:
    trace = on_standin(script)
    ran = trace.events[trace.events.layer == "device"]
    ran = ran[ran["name"].astype(str).str.startswith(FORWARD)]
    tuning = ran["attrs"].str.contains('"tuning":true')
    assert int((~tuning).sum()) == len(calls_of(trace, "Conv2D"))
    assert int(tuning.sum()) > 2


def test_trials_that_xla_ran_while_compiling_are_no_executions_of_an_op(on_standin: Traced) -> None:
    trace = on_standin("xla.py")
    assert len(calls_of(trace, "Conv2D")) == 2
    events, members = trace.events, trace.frame("event_calls")
    ran = events[(events.layer == "device") & events["name"].astype(str).str.startswith(FORWARD)]
    in_convs = set(members.event_id[members.call_id.isin(calls_of(trace, "Conv2D").call_id)])
    assert len(ran) > 2
    assert len(set(ran.event_id) & in_convs) == 2


def test_what_xla_tries_within_a_function_that_it_does_not_compile_is_no_execution_either(
    on_standin: Traced,
) -> None:
    """Some of it runs in modules of the autotuner's own, some (checks of memory and of results) in none."""
    trace = on_standin("xla_in_function.py")
    sites = trace.sites.set_index("site_id")
    ran = trace.calls.site_id.map(sites.op.astype(str)).value_counts()
    assert {op: ran[op] for op in ("Conv2D", "Sum", "AddV2")} == {"Conv2D": 6, "Sum": 3, "AddV2": 3}
    assert not any("PartitionedCall" in op for op in ran.index)
    modes = {op: set(sites["mode"][sites.op == op]) for op in ("Conv2D", "Sum", "AddV2")}
    assert modes == {"Conv2D": {"xla"}, "Sum": {"function"}, "AddV2": {"function"}}
    work = trace.events[trace.events.layer == "device"]
    tried = set(work.event_id[work["attrs"].str.contains('"tuning":true')])
    convolutions = set(trace.calls.call_id[trace.calls.site_id.map(sites.op) == "Conv2D"])
    members = trace.frame("event_calls")
    assert len(tried) > 50
    assert not tried & set(members.event_id[members.call_id.isin(convolutions)])


def test_work_of_two_devices_stays_with_the_calls_of_each(on_standin: Traced) -> None:
    trace = on_standin("two_devices.py", STANDIN_GPU_DEVICES="2")
    calls = calls_of(trace, "Conv2D")
    assert set(calls.device) == {"/device:GPU:0", "/device:GPU:1"}
    for call, device in zip(calls.call_id.tolist(), calls.device.tolist(), strict=True):
        ran = device_work(trace, call)
        kernels = ran[ran["name"].astype(str).str.startswith(FORWARD)]
        assert set(kernels.device) == {device}
