"""The pixels of the timeline: what is drawn is where the trace has it, at every level of detail."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.views import traces
from tests.views.browser import Opened
from tests.views.test_timeline_page import at, lane, ready_page
from tftrace.model.trace import Trace
from tftrace.views.timeline import write_timeline

pytestmark = pytest.mark.browser

COUNT = 60_000


@pytest.fixture(scope="module")
def trace() -> Trace:
    return traces.many(COUNT)


@pytest.fixture(scope="module")
def page(browser: Any, trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    path: Path = tmp_path_factory.mktemp("picture") / "many.html"
    write_timeline(trace, path)
    with ready_page(browser, path) as page:
        yield page


def show(page: Opened, start: int, end: int) -> None:
    """Brings a stretch (ns from the start of the trace) into view, and waits until it is drawn."""
    page.page.evaluate("document.querySelector('#status').textContent = ''")
    page.page.evaluate(f"location.hash = '#t={start / 1e9:.9f},{end / 1e9:.9f}'")
    page.until(f"document.querySelector('#status').textContent.startsWith({_in_words(end - start)!r})")
    page.settle()


def _in_words(ns: int) -> str:
    unit, name = next((u, n) for u, n in ((1e6, "ms"), (1e3, "µs"), (1, "ns")) if ns >= u)
    return f"{float(f'{ns / unit:.3g}'):g} {name} in view"


# Columns in which the lane at this height has the kernels' orange, or its dark outline; grid lines are grey.
ORANGE = """([top, height]) => {
  const c = document.querySelector('#events'), from = Math.ceil(top - c.getBoundingClientRect().top);
  const d = c.getContext('2d').getImageData(0, from, c.width, Math.floor(height)).data;
  const there = new Array(c.width).fill(0);
  for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 100 && d[i] - d[i + 2] > 40) there[(i / 4) % c.width] = 1;
  return there; }"""


def columns(page: Opened, number: int) -> np.ndarray[Any, Any]:
    box = page.page.locator("#lanes .lane", has_text="kernel").nth(number).bounding_box()
    assert box
    return np.asarray(page.page.evaluate(ORANGE, [box["y"], box["height"]]), bool)


def near(there: np.ndarray[Any, Any], pixels: int) -> np.ndarray[Any, Any]:
    """True up to so many pixels beside where it is true."""
    return np.convolve(there, np.ones(2 * pixels + 1), "same") > 0


STRETCHES = [
    (0.0, 1.0),
    (0.3, 0.6),
    (0.31, 0.36),
    (0.333, 0.3395),
    (0.333, 0.3336),
    (0.333, 0.33305),
    (0.9, 0.90003),
]


@pytest.mark.parametrize("part", STRETCHES)
def test_every_event_leaves_its_pixels_and_nothing_else_does(
    page: Opened, trace: Trace, part: tuple[float, float]
) -> None:
    events = trace.tables["events"].to_pandas()
    begin = events["start_ns"].to_numpy() - events["start_ns"].min()
    end = begin + events["dur_ns"].to_numpy()
    low, high = (round(p * end.max()) for p in part)
    show(page, low, high)
    for number, tid in enumerate((4242, 4250)):  # the main thread, then the other
        drawn = columns(page, number)
        scale = len(drawn) / (high - low)
        mine = (events["tid"].to_numpy() == tid) & (begin < high) & (end > low)
        expected = np.zeros(len(drawn), bool)
        for a, b in zip((begin[mine] - low) * scale, (end[mine] - low) * scale, strict=True):
            expected[max(0, int(a)) : int(b) + 1] = True
        assert expected.any()
        # A pixel is kept free between neighbours, beside one that an end may lie across.
        assert not (expected & ~near(drawn, 2)).any(), "an event left no pixel"
        # A block is up to a pixel and a half wide, and covers the gaps between what it stands for.
        assert not (drawn & ~near(expected, 3)).any(), "a pixel stands for no event"


@pytest.mark.parametrize("part", STRETCHES)
def test_labels_of_the_axis_stand_at_their_times(
    page: Opened, trace: Trace, part: tuple[float, float]
) -> None:
    events = trace.tables["events"].to_pandas()
    span = int((events["start_ns"] + events["dur_ns"]).max() - events["start_ns"].min())
    low, high = (round(p * span) for p in part)
    show(page, low, high)
    left, width, _ = lane(page, "kernel")
    ticks = page.page.locator("#axis span")
    boxes = [ticks.nth(i).bounding_box() for i in range(ticks.count())]
    assert 4 <= len(boxes) <= 11
    for words, box in zip(ticks.all_inner_texts(), boxes, strict=True):
        value, unit = re.fullmatch(r"([\d.]+) (s|ms|µs|ns)", words).groups()  # type: ignore[union-attr]
        ns = float(value) * {"s": 1e9, "ms": 1e6, "µs": 1e3, "ns": 1}[unit]
        assert box
        middle = box["x"] + box["width"] / 2
        assert middle == pytest.approx(left + (ns - low) / (high - low) * width, abs=1.5), words
    for one, other in itertools.pairwise(boxes):
        assert one
        assert other
        assert one["x"] + one["width"] < other["x"]


def test_the_label_under_the_pointer_goes_when_the_picture_moves(page: Opened, trace: Trace) -> None:
    page.page.keyboard.press("0")
    page.page.mouse.move(*at(page, "kernel", 0.5))
    page.page.wait_for_selector(".hoverlayer .hovertext")
    page.page.keyboard.press("w")  # what lay there lies elsewhere now
    page.until("!document.querySelector('.hoverlayer .hovertext')")


def test_a_folded_thread_of_one_layer_is_as_high_as_its_heading(page: Opened) -> None:
    page.page.keyboard.press("0")
    heading = page.page.locator("#lanes .track").first
    heading.press("Enter")
    page.settle()
    box = heading.bounding_box()
    assert box
    rows = [
        np.asarray(page.page.evaluate(ORANGE, [box["y"] + at, 1]), bool).any()
        for at in range(int(box["height"]))
    ]
    heading.press("Enter")
    assert sum(rows) >= 0.7 * box["height"]
