"""TensorFlow's own tracer hears of what the stand-in did: kernels, copies, fills, the autotuner's trials among them."""

import json
from collections import Counter

import numpy as np
import pytest

pytestmark = pytest.mark.tf


@pytest.fixture(scope="module")
def device_events(standin_trace):
    events = standin_trace.events
    return events[events["device"].astype(str).str.contains("GPU") & (events["layer"] == "device")]


def test_kernels_have_the_durations_that_were_made_up_for_them(device_events):
    convs = device_events[device_events["name"].astype(str).str.startswith("standin_cudnn_")]
    counted = Counter(zip(convs["name"].astype(str), convs["dur_ns"], strict=True))
    assert counted == {
        ("standin_cudnn_conv_fprop_engine_0", 420_000): 1,
        ("standin_cudnn_conv_fprop_engine_1", 180_000): 1,
        ("standin_cudnn_conv_fprop_engine_2", 90_000): 4,
        ("standin_cudnn_conv_fprop_engine_4", 150_000): 1,
    }


def test_every_record_has_a_stream_and_a_correlation_id_of_its_own(device_events):
    ids = device_events["correlation_id"]
    assert ids.notna().all()
    assert ids.is_unique
    assert device_events["stream"].notna().all()


def test_copies_and_fills_are_recorded_with_their_size(device_events):
    name = device_events["name"].astype(str)
    attrs = {
        kind: [json.loads(a) for a in device_events["attrs"][name.str.startswith(kind)]]
        for kind in ("MemcpyH2D", "MemcpyD2H", "Memset")
    }
    assert [a["bytes"] for a in attrs["MemcpyH2D"]] == [4]
    result = attrs["MemcpyD2H"][-1]  # the script fetches float[2,16,16,16]
    assert (result["bytes"], result["from_memory"], result["to_memory"]) == (32768, "device", "pinned")
    assert all(a["bytes"] > 0 and a["memory"] == "device" for a in attrs["Memset"])


def test_work_of_one_stream_does_not_overlap(device_events):
    for _, rows in device_events.sort_values("start_ns").groupby("stream"):
        start = rows["start_ns"].to_numpy(np.int64)
        # as integers: doubles count these times in steps of 256 ns
        end = start + rows["dur_ns"].to_numpy(np.int64)
        assert (start[1:] >= end[:-1]).all()
