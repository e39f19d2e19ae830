"""Traces in other tools' formats: every event is there once, with its own times, on tracks that nest."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.views import traces
from tftrace.api import load
from tftrace.errors import InputError, UsageError
from tftrace.ingest import chrome as chrome_reader
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace
from tftrace.views.export import FORMATS, export
from tftrace.views.page import legible

perfetto_trace_pb2: Any = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")

EXAMPLES = Path(__file__).parents[2] / "traces" / "examples"
Spans = Counter[tuple[str, int, int]]  # name, start in ns since the epoch, duration


def expected(trace: Trace) -> Spans:
    rows = trace.events
    names = [legible(name, 10_000) for name in rows["name"].astype(str)]
    return Counter(zip(names, rows["start_ns"], rows["dur_ns"], strict=True))


def spans_of_nested(begun: list[tuple[bool, str | None, int]]) -> Spans:
    """Of the begins and ends of one track, which have to nest and never go back in time."""
    running: list[tuple[str, int]] = []
    found: Spans = Counter()
    for begins, name, at in begun:
        if begins:
            assert name is not None
            running.append((name, at))
        else:
            opened, start = running.pop()
            assert name in (None, opened)
            found[opened, start, at - start] += 1
    assert not running
    times = [at for *_, at in begun]
    assert times == sorted(times)
    return found


def read_perfetto(path: Path) -> tuple[Spans, Any]:
    """Read as Perfetto itself reads it, by its own messages."""
    told = perfetto_trace_pb2.Trace.FromString(path.read_bytes())
    names: dict[int, str] = {}
    tracks: dict[int, list[tuple[bool, str | None, int]]] = {}
    for packet in told.packet:
        names |= {row.iid: row.name for row in packet.interned_data.event_names}
        if packet.HasField("track_event"):
            event = packet.track_event
            begins = event.type == perfetto_trace_pb2.TrackEvent.TYPE_SLICE_BEGIN
            assert begins or event.type == perfetto_trace_pb2.TrackEvent.TYPE_SLICE_END
            name = names[event.name_iid] if begins else None
            tracks.setdefault(event.track_uuid, []).append((begins, name, packet.timestamp))
    described = {p.track_descriptor.uuid for p in told.packet if p.HasField("track_descriptor")}
    assert tracks.keys() <= described
    return sum((spans_of_nested(rows) for rows in tracks.values()), Counter()), told


def read_chrome(path: Path) -> tuple[Spans, dict[str, Any]]:
    document = json.loads(path.read_text())
    began = document["otherData"]["began_ns"]
    complete = [e for e in document["traceEvents"] if e["ph"] == "X"]
    threads: dict[tuple[int, int], list[tuple[int, int]]] = {}
    found: Spans = Counter()
    for event in complete:
        start, dur = round(event["ts"] * 1000), round(event["dur"] * 1000)
        found[event["name"], began + start, dur] += 1
        threads.setdefault((event["pid"], event["tid"]), []).append((start, start + dur))
    for rows in threads.values():
        assert nests(rows)
    return found, document


def nests(spans: list[tuple[int, int]]) -> bool:
    running: list[int] = []
    for start, end in sorted(spans, key=lambda s: (s[0], -s[1])):
        while running and running[-1] <= start:
            running.pop()
        if running and end > running[-1]:
            return False
        running.append(end)
    return True


def read_speedscope(path: Path, began: int) -> tuple[Spans, dict[str, Any]]:
    document = json.loads(path.read_text())
    names = [frame["name"] for frame in document["shared"]["frames"]]
    found: Spans = Counter()
    for profile in document["profiles"]:
        assert profile["unit"] == "nanoseconds"
        assert profile["startValue"] <= min(e["at"] for e in profile["events"])
        assert profile["endValue"] >= max(e["at"] for e in profile["events"])
        found += spans_of_nested(
            [(e["type"] == "O", names[e["frame"]], began + e["at"]) for e in profile["events"]]
        )
    return found, document


@pytest.mark.parametrize("name", ["eager_conv2d", "h200_conv2d"])
def test_every_event_is_exported_once_with_its_own_times(name: str, tmp_path: Path) -> None:
    trace = load(EXAMPLES / name)
    assert read_perfetto(export(trace, "perfetto", tmp_path / "p"))[0] == expected(trace)
    assert read_chrome(export(trace, "chrome", tmp_path / "c"))[0] == expected(trace)
    began = int(trace.events["start_ns"].min())
    assert read_speedscope(export(trace, "speedscope", tmp_path / "s"), began)[0] == expected(trace)
    flat = pd.read_parquet(export(trace, "parquet", tmp_path / "f"))
    assert flat["event_id"].tolist() == trace.events["event_id"].tolist()


spans = st.tuples(st.integers(0, 300), st.integers(0, 200), st.sampled_from(LAYERS), st.integers(0, 1))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(spans, min_size=1, max_size=40))
def test_tracks_nest_however_the_events_overlap(
    rows: list[tuple[int, int, str, int]], tmp_path: Path
) -> None:
    built = traces.Builder()
    for start, dur, layer, thread in rows:
        built.event(layer, f"{layer} {dur}", start, dur, tid=traces.PID + thread)
    trace = built.trace()
    assert read_perfetto(export(trace, "perfetto", tmp_path / "p"))[0] == expected(trace)
    assert read_chrome(export(trace, "chrome", tmp_path / "c"))[0] == expected(trace)
    began = int(trace.events["start_ns"].min())
    assert read_speedscope(export(trace, "speedscope", tmp_path / "s"), began)[0] == expected(trace)


def test_perfetto_has_threads_times_arguments_and_flows(tmp_path: Path) -> None:
    trace = load(EXAMPLES / "eager_conv2d")
    told = read_perfetto(export(trace, "perfetto", tmp_path / "p"))[1]
    (snapshot,) = (p.clock_snapshot for p in told.packet if p.HasField("clock_snapshot"))
    assert len({clock.timestamp for clock in snapshot.clocks}) == 1
    (pid,) = set(trace.events["pid"])
    described = [p.track_descriptor for p in told.packet if p.HasField("track_descriptor")]
    assert {d.process.pid for d in described if d.HasField("process")} == {pid}
    assert {d.thread.tid for d in described if d.HasField("thread")} == set(trace.events["tid"])
    data = next(p.interned_data for p in told.packet if p.HasField("interned_data"))
    keys = {row.iid: row.name for row in data.debug_annotation_names}
    values = {row.iid: row.str.decode() for row in data.debug_annotation_string_values}
    names = {row.iid: row.name for row in data.event_names}
    begun = [p.track_event for p in told.packet if p.track_event.name_iid]
    primitive = next(e for e in begun if names[e.name_iid] == "convolution")
    arguments = {keys[a.name_iid]: values[a.string_value_iid] for a in primitive.debug_annotations}
    assert arguments["op"] == "Conv2D"
    assert arguments["api"] == "tf.nn.conv2d"
    assert arguments["line"].endswith("eager_conv2d.py:17")
    assert arguments["shapes"] == "[[8,56,56,64],[3,3,64,64]]"
    assert arguments["implementation"] == "brg_conv_fwd:avx512_core"
    flows = Counter(flow for e in begun for flow in e.flow_ids)
    assert flows
    assert set(flows.values()) == {2}


def test_chrome_names_threads_and_the_device_as_tensorflow_does(tmp_path: Path) -> None:
    """So tftrace's own reader, made for TensorFlow's files, finds kernels on the device's streams."""
    trace = load(EXAMPLES / "h200_conv2d")
    path = export(trace, "chrome", tmp_path / "exported.trace.json")
    read = chrome_reader.read(path)
    on_device = trace.events[trace.events["stream"].notna()]
    devices = [i for i, name in enumerate(read.processes) if name.startswith("/device:GPU:0")]
    assert len(devices) == 1
    assert int(np.count_nonzero(read.process == devices[0])) == len(on_device) > 0
    named = {read.threads[t].split(",")[0] for t in set(read.thread[read.process == devices[0]].tolist())}
    assert named == {f"Stream #{int(s)}" for s in set(on_device["stream"])}
    _, document = read_chrome(path)
    flows = Counter(e["ph"] for e in document["traceEvents"] if e["ph"] in "sf")
    assert flows["s"] == flows["f"] > 0


def test_speedscope_frames_say_the_line(tmp_path: Path) -> None:
    trace = load(EXAMPLES / "eager_conv2d")
    document = json.loads(export(trace, "speedscope", tmp_path / "s").read_text())
    frames = document["shared"]["frames"]
    (conv,) = (f for f in frames if f["name"] == "eager_conv2d.py:17")
    assert (Path(conv["file"]).name, conv["line"]) == ("eager_conv2d.py", 17)
    (generated,) = (f for f in frames if f["name"] == "gen_nn_ops.conv2d")
    assert Path(generated["file"]).name == "gen_nn_ops.py"
    assert {f["file"] for f in frames if f["name"] == "convolution"} == {"library", "device"}
    assert len({json.dumps(f) for f in frames}) == len(frames)


def test_parquet_has_the_call_and_the_site_of_each_event(tmp_path: Path) -> None:
    trace = load(EXAMPLES / "eager_conv2d")
    flat = pd.read_parquet(export(trace, "parquet", tmp_path / "f"))
    library = flat[(flat["layer"] == "library") & (flat["op"] == "Conv2D")]
    assert set(library["api"]) == {"tf.nn.conv2d"}
    assert set(library["python_line"]) == {17}
    shares = trace.tables["event_calls"].to_pandas().set_index("event_id")["call_id"]
    assert library["call_id"].tolist() == shares[library["event_id"]].tolist()


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    built = traces.Builder()
    name = 'a"b\\c\x1b[31m\u202e</script>'
    built.event("runtime", name, 0, 10, attrs={"shapes": name})
    trace = built.trace()
    for form in ("chrome", "speedscope"):
        text = export(trace, form, tmp_path / form).read_text()
        json.loads(text)
        assert "\x1b" not in text
        assert "\u202e" not in text
    told = read_perfetto(export(trace, "perfetto", tmp_path / "p"))[0]
    assert [n for n, *_ in told] == ['a"b\\c\\x1b[31m\\u202e</script>']


@pytest.mark.parametrize("form", FORMATS)
def test_a_trace_without_events_and_a_place_that_cannot_be_written(form: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no events to export"):
        export(load(EXAMPLES / "tuned_conv2d"), form, tmp_path / "x")
    with pytest.raises(UsageError, match="cannot write"):
        export(load(EXAMPLES / "eager_conv2d"), form, tmp_path / "missing" / "x")
    assert list(tmp_path.iterdir()) == []
