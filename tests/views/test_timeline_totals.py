"""Folding lanes, and the totals of a stretch, in Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.views import traces
from tests.views.browser import Opened, opened
from tests.views.test_timeline_page import at, in_view, ready, ready_page
from tftrace.model.trace import Trace
from tftrace.views.timeline import write_timeline
from tftrace.views.timeline.server import serving

pytestmark = pytest.mark.browser


def two_processes() -> Trace:
    b = traces.Builder()
    for pid in (4242, 5000):
        outer = b.event("runtime", "FunctionRun", pid - 4242, 900_000, pid=pid, tid=pid)
        inner = b.event("runtime", "ExecutorState::Process", 100_000, 700_000, pid=pid, tid=pid)
        kernel = b.event("kernel", "MatMul:MatMul", 200_000, 300_000, pid=pid, tid=pid + 8)
        b.link(outer, inner, "containment", "joined")
        b.link(inner, kernel, "step id")
    return b.trace()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {"eager": traces.eager_convs(3), "function": traces.function_run(), "two": two_processes()}
    for name, trace in made.items():
        write_timeline(trace, folder / f"{name}.html")
    write_timeline(traces.many(150_000), folder / "cut.html", max_bytes=5_700_000)
    return {path.stem: path for path in folder.iterdir()}


def label(page: Opened, kind: str, text: str, number: int = 0) -> Any:
    return page.page.locator(f"#lanes .{kind}", has_text=re.compile(f"^{re.escape(text)}$")).nth(number)


def drag(page: Opened, start: tuple[float, float], end: tuple[float, float], key: str | None = None) -> None:
    if key:
        page.page.keyboard.down(key)
    page.page.mouse.move(*start)
    page.page.mouse.down()
    page.page.mouse.move(*end, steps=3)
    page.page.mouse.up()
    if key:
        page.page.keyboard.up(key)


def table(page: Opened, number: int) -> dict[str, list[str]]:
    rows = page.page.locator("#panel .totals").nth(number).locator("tbody tr")
    cells = [rows.nth(i).locator("td").all_inner_texts() for i in range(rows.count())]
    return {first: rest for first, *rest in cells}


# ---- folding


def test_a_folded_lane_keeps_its_outermost_events_and_gives_up_the_rest(
    browser: Any, pages: dict[str, Path]
) -> None:
    with ready_page(browser, pages["function"]) as page:
        runtime, kernel = label(page, "lane", "runtime"), label(page, "lane", "kernel")
        before = kernel.bounding_box()["y"]
        assert runtime.get_attribute("aria-expanded") == "true"
        runtime.click()
        page.settle()
        assert runtime.get_attribute("aria-expanded") == "false"
        assert kernel.bounding_box()["y"] < before
        page.page.mouse.move(*at(page, "runtime", 150_000 / 700_000))
        page.page.wait_for_selector(".hoverlayer .hovertext")
        assert "TFE_Py_Execute" in page.page.text_content(".hoverlayer")
        runtime.click()
        page.settle()
        assert kernel.bounding_box()["y"] == before
        assert page.complaints() == []


def test_what_has_nothing_to_fold_does_not_offer_it(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["eager"]) as page:
        python = label(page, "lane", "python")
        assert python.get_attribute("aria-expanded") is None
        assert page.page.locator("#lanes .process").count() == 0  # one process needs no heading


def test_a_thread_folds_by_the_keyboard_to_strips_in_its_heading(
    browser: Any, pages: dict[str, Path]
) -> None:
    with ready_page(browser, pages["function"]) as page:
        track = page.page.locator("#lanes .track").nth(1)
        track.press("Enter")
        page.settle()
        assert label(page, "lane", "kernel").count() == 0
        assert track.get_attribute("aria-expanded") == "false"
        assert painted(page, track)
        track.press(" ")
        page.settle()
        assert label(page, "lane", "kernel").count() == 1
        page.page.keyboard.press("f")
        page.settle()
        assert page.page.locator("#lanes .lane").count() == 0
        page.page.keyboard.press("f")
        page.settle()
        assert page.page.locator("#lanes .lane").count() == 6


def painted(page: Opened, heading: Any) -> int:
    """Opaque pixels of the picture in the line of this heading."""
    box = heading.bounding_box()
    return int(
        page.page.evaluate(
            """([y, h]) => { const c = document.querySelector('#events'), b = c.getBoundingClientRect();
            const d = c.getContext('2d').getImageData(0, y - b.top, c.width, h).data, [r, g, b0] = d;
            let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] !== r || d[i + 1] !== g || d[i + 2] !== b0;
            return n; }""",
            [box["y"] + 1, box["height"] - 2],
        )
    )


def test_a_process_folds_its_threads_away(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["two"]) as page:
        assert page.page.locator("#lanes .process").all_inner_texts() == ["process 4242", "process 5000"]
        assert page.page.locator("#lanes .track").count() == 4
        label(page, "process", "process 4242").click()
        page.settle()
        assert page.page.locator("#lanes .track").all_inner_texts() == ["main thread 5000", "thread 5008"]
        page.page.fill("#search", "MatMul")
        page.page.keyboard.press("Enter")  # a hit in what is folded opens it
        page.until("document.querySelector('#panel h2')?.textContent === 'MatMul:MatMul'")
        assert "process 4242 › tf_compute 4250" in page.page.inner_text("#panel .kind")
        page.until("document.querySelectorAll('#lanes .track').length === 4")
        assert page.complaints() == []


def test_what_is_folded_stands_in_the_link(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["two"]) as page:
        label(page, "process", "process 5000").click()
        label(page, "lane", "runtime").click()
        page.until("location.hash.endsWith('&f=p1.l0')")
        link = page.page.evaluate("location.hash")
    with opened(browser, pages["two"], fragment=link) as page:
        ready(page)
        assert label(page, "lane", "runtime").get_attribute("aria-expanded") == "false"
        assert page.page.locator("#lanes .track").count() == 2
    with opened(browser, pages["two"], fragment="#f=p7.t0-99999999.l1.x<script>") as page:
        ready(page)  # of what is not there, or cannot be folded, nothing is folded
        assert page.page.locator("#lanes [aria-expanded=false]").count() == 4
        assert page.complaints() == []


# ---- totals


def test_ctrl_drag_totals_a_stretch_by_layer_and_op(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["eager"]) as page:
        drag(page, at(page, "gen_op", -0.005), at(page, "gen_op", 1.005), "Control")
        page.page.wait_for_selector("#panel .totals")
        layers, names = table(page, 0), table(page, 1)
        assert layers["gen_op"] == ["3", "269.9 µs", "269.9 µs"]
        assert layers["device"] == ["3", "135 µs", "135 µs"]
        assert names["gen_nn_ops.conv2d (Conv2D)"] == ["3", "269.9 µs"]
        assert names["train.py:12 (Conv2D)"] == ["3", "270 µs"]
        assert next(iter(names)) == "train.py:12 (Conv2D)"
        assert page.page.locator("#panel .aggregated").count() == 0
        page.until("/&r=/.test(location.hash)")
        link = page.page.evaluate("location.hash")
        page.page.keyboard.press("Escape")
        page.page.wait_for_selector("#panel", state="hidden")
        page.until("!/&r=/.test(location.hash)")
        assert page.complaints() == []
    with opened(browser, pages["eager"], fragment=link) as page:
        ready(page)
        page.page.wait_for_selector("#panel .totals")
        assert table(page, 0) == layers


def test_events_are_cut_to_the_stretch_and_nested_ones_told_apart(
    browser: Any, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["function"], fragment="#t=0,0.0007&r=0,0.00015") as page:
        ready(page)
        page.page.wait_for_selector("#panel .totals")
        layers = table(page, 0)
        # within 150 us: TFE_Py_Execute 140, FunctionRun 130 inside it, ExecutorState::Process 90 on another thread
        assert layers["runtime"] == ["3", "360 µs", "230 µs"]
        assert layers["kernel"] == ["1", "80 µs", "80 µs"]
        assert in_view(page) == "700 µs"
        page.page.click("text=Zoom to it")
        page.until("document.querySelector('#status').textContent.startsWith('150 µs')")


AT_ONCE = (
    "const wait = window.setTimeout; window.setTimeout = (f, ms, ...x) => wait(f, ms === 250 ? 0 : ms, ...x);"
)
"""The page writes its state into its address 250 ms after a change: here at once, as if making the page took longer."""


@pytest.mark.browser
def test_a_link_to_totals_holds_while_the_page_is_being_made(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["eager"], fragment="#r=0,0.0001", first=AT_ONCE) as page:
        ready(page)
        page.until("document.querySelector('#panel .totals') !== null")
        assert "r=0,0.0001" in page.page.url


def test_a_drag_along_the_time_axis_totals_too(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["eager"]) as page:
        (x0, _), (x1, _) = at(page, "api", 0.0), at(page, "api", 0.5)
        y = page.page.locator("#events").bounding_box()["y"] - 10
        drag(page, (x0, y), (x1, y))
        page.page.wait_for_selector("#panel .totals")
        assert table(page, 0)["api"][0] == "2"


def test_a_page_without_every_event_says_what_its_totals_lack(browser: Any, pages: dict[str, Path]) -> None:
    trace = traces.many(150_000)
    start, dur = (trace.tables["events"][c].to_numpy() for c in ("start_ns", "dur_ns"))
    end = (start - start[0] + dur).max() / 1e9
    with opened(browser, pages["cut"], fragment=f"#r=0,{end + 1:.9f}") as page:
        ready(page)
        page.page.wait_for_selector("#panel .totals")
        events, summed, _ = table(page, 0)["kernel"]
        assert events == "about 150,000"
        assert float(summed.split()[1]) == pytest.approx(dur.sum() / 1e6, rel=0.01)
        said = page.page.inner_text("#panel .aggregated")
        found = re.match(r"([\d,]+) events shorter than ([\d.]+) (ns|µs)", said)
        assert found
        limit = float(found[2]) * (1000 if found[3] == "µs" else 1)
        width = next(256 * 4**k for k in range(12) if 256 * 4**k == pytest.approx(limit, rel=0.01))
        short = int((dur < width).sum())
        assert int(found[1].replace(",", "")) == short > 0
        by_name = sum(int(cells[0].replace(",", "")) for cells in table(page, 1).values())
        assert by_name == 150_000 - short
        assert page.complaints() == []


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Trace, str]]:
    trace = traces.many(150_000)
    with serving(trace) as server:
        yield trace, server.url


def test_a_served_page_totals_every_event(browser: Any, served: tuple[Trace, str]) -> None:
    trace, url = served
    events = trace.tables["events"]
    start, dur = (events[c].to_numpy() for c in ("start_ns", "dur_ns"))
    start, names = start - start[0], np.asarray(events["name"].to_pylist())
    t0, t1 = 10_000_000, 30_000_000
    inside = (start < t1) & (start + dur > t0)
    cut = np.minimum(start + dur, t1) - np.maximum(start, t0)
    with opened(browser, url, fragment="#r=0.01,0.03") as page:
        ready(page)
        page.page.wait_for_selector("#panel .totals")
        assert table(page, 0)["kernel"][0] == f"{inside.sum():,}"
        by_name = table(page, 1)
        for name in ("MatMul", "Conv2D", "Relu", "Add"):
            mine = inside & (names == name)
            assert by_name[name][0] == f"{mine.sum():,}"
            assert float(by_name[name][1].split()[0]) == pytest.approx(cut[mine].sum() / 1e6, rel=1e-3)
        assert page.complaints() == []
