"""The timeline: what its data says, how much of it a page holds, and what it refuses."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.views import traces
from tftrace.errors import InputError, TftraceError, UsageError
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace
from tftrace.views.page import legible
from tftrace.views.timeline import EXTENSION, columns, write_timeline
from tftrace.views.timeline.details import short_function
from tftrace.views.timeline.events import Strings, read_events
from tftrace.views.timeline.lanes import nesting_depth
from tftrace.views.timeline.pyramid import duration_class, merge, merge_all, useful_levels, widths


def overlaps(row: Any, start: Any, end: Any) -> int:
    order = np.lexsort((start, row))
    r, s, e = row[order], start[order], end[order]
    return int(np.count_nonzero((r[1:] == r[:-1]) & (e[:-1] > s[1:])))


intervals = st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 3000)), min_size=1, max_size=120)


@given(intervals)
def test_events_of_a_row_never_overlap_even_where_they_do_not_nest(spans: list[tuple[int, int]]) -> None:
    spans.sort(key=lambda s: (s[0], -s[1]))
    start = np.array([s for s, _ in spans], np.int64)
    end = start + np.array([d for _, d in spans])
    depth = nesting_depth(start, end)
    assert overlaps(depth, start, end) == 0
    most_at_once = max(int(((start <= t) & (end > t)).sum()) for t in start)
    assert depth.max() == most_at_once - 1  # no row more than needed


def test_depth_of_nested_calls_is_their_nesting() -> None:
    start, end = np.array([0, 0, 10, 50, 60]), np.array([100, 40, 20, 90, 70])
    assert nesting_depth(start, end).tolist() == [0, 1, 2, 1, 2]


gapped = st.tuples(st.integers(0, 3), st.integers(0, 50_000), st.integers(1, 30_000))  # row, gap, duration


@settings(max_examples=60)
@given(st.lists(gapped, min_size=1, max_size=200))
def test_every_level_keeps_count_busy_time_and_longest(gaps: list[tuple[int, int, int]]) -> None:
    clock = dict.fromkeys(range(4), 0)
    rows = []
    for row, gap, dur in gaps:  # disjoint events per row, as the lanes guarantee
        rows.append((row, clock[row] + gap, dur))
        clock[row] += gap + dur
    row, t, dur = (np.array(c, np.int64) for c in zip(*sorted(rows), strict=True))
    info = np.arange(len(row))
    w = widths(int((t + dur).max()))
    cls = duration_class(dur, w)
    for k, width in enumerate(w.tolist()):
        short = dur < width
        assert (short == (cls < k)).all()
        blocks = merge(row[short], t[short], dur[short], info[short], width)
        for size in (1, 7):  # looked at a few at a time they are the same
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(columns, "SLICE", size)
                stretches = merge_all(np.flatnonzero(short), row, t, dur, info, width)
            for one, other in zip(astuple(blocks), astuple(stretches), strict=True):
                assert one.tolist() == other.tolist()
        assert int(blocks.count.sum()) == int(short.sum())
        assert int(blocks.busy.sum()) == int(dur[short].sum())
        assert overlaps(
            np.r_[blocks.row, row[~short]],
            np.r_[blocks.t0, t[~short]],
            np.r_[blocks.t1, (t + dur)[~short]],
        ) == 0  # fmt: skip
        for b in range(len(blocks)):
            inside = short & (row == blocks.row[b]) & (t // width == blocks.t0[b] // width)
            assert blocks.longest[b] == dur[inside].max() == dur[blocks.info[b]]


@pytest.mark.parametrize("size", [1 << 20, 1009])
def test_levels_are_kept_only_where_they_halve_the_picture(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "SLICE", size)
    t = np.arange(100_000, dtype=np.int64) * 100
    row, dur = np.zeros_like(t), np.full_like(t, 50)
    w = widths(int(t[-1]))
    kept = useful_levels(row, t, duration_class(dur, w), w, np.arange(len(row)))
    shown = [len(t) if k < 0 else len(np.unique(t // w[k])) for k in kept]
    assert kept[0] == -1
    assert len(kept) > 3
    assert all(b <= a / 2 for a, b in pairwise(shown[:-1]))
    assert shown[-1] <= 1000


@pytest.mark.parametrize(
    ("full", "short"),
    [
        (traces.CONV_FRAMES[1], "tensorflow::MklConvFwdPrimitive::Execute"),
        (traces.CONV_FRAMES[2], "tensorflow::MklConvOp::Compute"),
        ("std::function<void (long, long)>::operator()(long, long) const", "std::function::operator()"),
        ("Eigen::(anonymous namespace)::Foo<int, (bool)1>::run() const", "Eigen::{anonymous}::Foo::run"),
        ("TFE_Execute", "TFE_Execute"),
        ("main", "main"),
    ],
)
def test_native_frames_are_short_names(full: str, short: str) -> None:
    assert short_function(full) == short


def test_text_is_legible_and_bounded() -> None:
    assert legible("a\x00b\u202ec\ud800") == "a\\x00b\\u202ec\\ud800"
    assert legible("x" * 1_000_000).endswith("… (1,000,000 characters)")
    assert len(legible("\x00" * 1_000_000)) < 500
    assert legible("שלום naïve 图") == "שלום naïve 图"


# ---- what is written


def embedded(page: bytes) -> dict[str, Any]:
    text = page.decode()
    found = re.search(r'<script type="application/json" id="meta">(.*?)</script>', text, re.S)
    assert found
    meta: dict[str, Any] = json.loads(found[1])
    static = re.search(r'id="data-static">(.*?)</script>', text)
    assert static
    meta["static"] = json.loads(zlib.decompress(base64.b64decode(static[1])))
    return meta


def test_a_small_trace_is_embedded_exactly(tmp_path: Path) -> None:
    path = tmp_path / f"page{EXTENSION}"
    info = write_timeline(traces.eager_convs(3), path)
    assert (info.events, info.exact_events, info.exact_from_ns) == (18, 18, 0)
    assert info.bytes == path.stat().st_size
    meta = embedded(path.read_bytes())
    assert [LAYERS[lane[0]] for lane in meta["lanes"]] == [
        "python", "api", "gen_op", "runtime", "library", "device",
    ]  # fmt: skip
    assert [track[0] for track in meta["tracks"]] == ["main thread 4242", "tf_compute 4250"]
    assert sum(head[4] for head in meta["chunks"] if head[0] == "E") == 18
    assert not list(tmp_path.glob("*.part"))


def test_a_trace_of_twenty_thousand_events_stays_small(tmp_path: Path) -> None:
    assert write_timeline(traces.many(20_000), tmp_path / "p.html").bytes < 6_500_000


def test_what_does_not_fit_is_merged_and_counted(tmp_path: Path) -> None:
    trace = traces.many(120_000)
    whole = write_timeline(trace, tmp_path / "whole.html")
    assert whole.exact_events == 120_000
    limit = whole.bytes - 300_000
    info = write_timeline(trace, tmp_path / "cut.html", max_bytes=limit)
    assert info.bytes <= limit
    assert info.exact_from_ns > 0
    dur = trace.tables["events"]["dur_ns"].to_numpy()
    assert info.exact_events == int((dur >= info.exact_from_ns).sum()) < 120_000
    with pytest.raises(UsageError, match="at its coarsest"):
        write_timeline(trace, tmp_path / "none.html", max_bytes=1_000_000)
    assert not (tmp_path / "none.html").exists()


def test_times_past_two_to_the_53_keep_their_nanoseconds(tmp_path: Path) -> None:
    b = traces.Builder()
    for at in (0, 1, 3):
        b.event("kernel", "tick", at, 1)
    write_timeline(b.trace(), tmp_path / "p.html")
    meta = embedded((tmp_path / "p.html").read_bytes())
    assert meta["span"] == 4
    assert [head[2:4] for head in meta["chunks"] if head[0] == "E"] == [[0, 4]]


def changed(column: str, value: Any, table: str = "events") -> Trace:
    b = traces.Builder()
    b.event("kernel", "MatMul", 0, 10)
    b.event("kernel", "Relu", 20, 10)
    b.call(b.site("MatMul"), 0, 10, [0])
    b.rows[table][0][column] = value
    return b.trace()


@pytest.mark.parametrize(
    ("trace", "says"),
    [
        (changed("dur_ns", -5), "negative duration"),
        (changed("start_ns", None), "no start_ns"),
        (changed("event_id", 1), "occurs twice"),
        (changed("start_ns", 5), "104 days"),
        (changed("attrs", '{"shapes": '), "is not JSON"),
        (changed("attrs", '["shapes"]'), "not an object"),
        (changed("call_id", 77, "event_calls"), "names call 77"),
    ],
)
def test_a_broken_table_is_refused_in_one_line(trace: Trace, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says) as caught:
        write_timeline(trace, tmp_path / "p.html")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(TftraceError, match=r"no/p\.html"):
        write_timeline(traces.eager_convs(1), tmp_path / "no" / "p.html")


def test_a_record_without_an_end_lasts_only_where_it_may_have_been_running() -> None:
    def exact(probe: str) -> list[int]:
        build = traces.Builder()
        build.event("library", "cudnnBackendExecute", 0, None, probe=probe)
        build.event("library", "later", 5_000, 1_000, probe=probe)
        read = read_events(build.trace(), Strings(), lambda ids: ids * 0)
        assert read is not None
        return sorted(read.dur.tolist())

    assert exact("cudnn") == [1_000, 6_000]  # the process ended inside
    assert exact("import:cudnn_log") == [0, 1_000]  # its log tells no end
