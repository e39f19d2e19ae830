"""Device work belongs to the convolution that launched it, and the autotuner's trials say so."""

from __future__ import annotations

import pytest

from tests.gpu_path.conftest import Traced
from tests.gpu_path.reading import calls_of, device_work, executions

pytestmark = [pytest.mark.tf, pytest.mark.slow]
CLOCKS_NS = 20_000
"""By so much TensorFlow's clock and the probes' may disagree on a busy machine."""


@pytest.mark.parametrize(
    ("script", "mode"), [("eager_conv.py", "eager"), ("function_conv.py", "function"), ("xla.py", "xla")]
)
def test_each_convolution_has_the_kernels_that_it_launched(traced: Traced, script: str, mode: str) -> None:
    trace = traced(script)
    calls = calls_of(trace, "Conv2D")
    assert set(calls["mode"]) == {mode}
    assert set(calls.device) == {"/device:GPU:0"}
    assert (calls.device_total_ns > 0).all()
    assert (calls.library_total_ns > 0).all()
    for call in calls.call_id.tolist():
        own = device_work(trace, call)
        assert (~own.tuning).any()
        assert set(own.device) == {"/device:GPU:0"}
        assert own.stream.notna().all()
        assert own.dur_ns.sum() >= calls.device_total_ns[calls.call_id == call].iloc[0]


@pytest.mark.parametrize("script", ["eager_conv.py", "function_conv.py"])
def test_trials_ran_under_the_cold_call_only(traced: Traced, script: str) -> None:
    trace = traced(script)
    work = [device_work(trace, call) for call in calls_of(trace, "Conv2D").call_id.tolist()]
    assert int(work[0].tuning.sum()) >= 2
    assert [int(w.tuning.sum()) for w in work[1:]] == [0, 0]
    # the same plan ran: the same kernels as often
    assert sorted(work[1].name) == sorted(work[2].name)
    assert set(work[1].name) <= set(work[0].name)


@pytest.mark.parametrize("script", ["eager_conv.py", "function_conv.py", "xla.py"])
def test_every_piece_of_device_work_has_its_launch(traced: Traced, script: str) -> None:
    trace = traced(script)
    launched = set(trace.links.child_id[trace.links.rule == "correlation id"])
    assert set(trace.events.event_id[trace.events.layer == "device"]) == launched


@pytest.mark.parametrize("script", ["eager_conv.py", "function_conv.py", "xla.py"])
def test_what_a_call_of_cudnn_launched_stands_below_it(traced: Traced, script: str) -> None:
    """The call's time on the device is that of all it launched, not of what happened to have no other parent."""
    trace = traced(script)
    links, events = trace.links, trace.events
    launches = events[events.event_id.isin(links.parent_id[links.rule == "correlation id"])]
    below = set(zip(links.child_id, links.parent_id, strict=True))
    calls = executions(trace)
    taken: set[int] = set()
    for call in calls.itertuples():
        end = call.start_ns + call.dur_ns
        own = launches[launches.tid == call.tid]
        for launch in own.event_id[own.start_ns.between(call.start_ns, end, "left")]:
            assert (launch, call.event_id) in below
        if call.status == "SUCCESS":
            # two clocks: a launch at an edge of its call may seem to begin before it, or when it has just ended
            around = own[own.start_ns.between(call.start_ns - CLOCKS_NS, end + CLOCKS_NS)]
            nearest = (around.start_ns - call.start_ns).abs().sort_values().index
            free = [one for one in around.event_id[nearest] if one not in taken]
            assert free, f"{call.name} of {call.dur_ns} ns launched nothing"
            taken.add(free[0])
    assert (calls.status == "SUCCESS").sum() > 1
