"""Traces that stretch the timeline: very many threads, one event of a day, everything at one instant, hostile names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.views import traces
from tests.views.browser import Opened
from tests.views.test_timeline_page import at, in_view, lane, ready_page
from tftrace.model.trace import Trace
from tftrace.views.timeline import write_timeline
from tftrace.views.timeline.lanes import MOST_ROWS

THREADS = 100_000
AT_ONCE = 50_000


def of_events(n: int, **columns: Any) -> Trace:
    number = np.arange(n)
    given = {
        "event_id": number,
        "layer": pa.array(["kernel"] * n),
        "name": pa.array([f"op_{i % 50}" for i in range(n)]),
        "start_ns": np.full(n, traces.EPOCH),
        "dur_ns": np.zeros(n, np.int64),
        "pid": np.full(n, traces.PID, np.int32),
        "tid": np.full(n, traces.PID),
    }
    return Trace(traces.MANIFEST, {"events": pa.table({**given, **columns})})


def a_day() -> Trace:
    b = traces.Builder()
    b.event("runtime", "the whole day", 0, 86_400_000_000_000)
    for i in range(50):
        b.event("kernel", f"at_{i}", i * 1000, 500)
    b.event("kernel", "the last", 86_399_999_999_000, 100)
    return b.trace()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("extremes")
    number = np.arange(THREADS)
    made = {
        "threads": of_events(
            THREADS, start_ns=traces.EPOCH + number * 1000, dur_ns=np.full(THREADS, 5000), tid=10_000 + number
        ),
        "day": a_day(),
        "instant": of_events(AT_ONCE),
        "hostile": traces.hostile(),
    }
    for name, trace in made.items():
        write_timeline(trace, folder / f"{name}.html")
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture
def page(browser: Any, pages: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[Opened]:
    with ready_page(browser, pages[request.param]) as opened_page:
        yield opened_page
        assert opened_page.complaints() == []


def test_what_is_at_one_instant_fills_a_bounded_lane(tmp_path: Path) -> None:
    info = write_timeline(of_events(AT_ONCE), tmp_path / "page.html")
    assert info.exact_events == AT_ONCE
    assert info.rows == MOST_ROWS + 1


@pytest.mark.browser
@pytest.mark.parametrize("page", ["threads"], indirect=True)
def test_a_hundred_thousand_threads_scroll_fold_and_are_found(page: Opened) -> None:
    assert page.page.locator("#lanes .track").count() < 50  # labels of what is in view, no more
    page.page.fill("#search", "op_49")
    assert page.page.inner_text("#found") == f"{THREADS // 50:,} events"
    page.page.keyboard.press("Enter")
    page.until("document.querySelector('#panel h2')?.textContent === 'op_49'")
    assert page.page.locator("#lanes .track", has_text=re.compile("^thread 10049$")).count() == 1
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("Escape")
    page.page.locator("#plot").press("f")
    page.page.locator("#lanes .track[aria-expanded=false]").first.wait_for()
    assert page.page.locator("#lanes .lane").count() == 0
    page.until(f"location.hash.includes('f=t0-{THREADS - 1}')")
    page.page.keyboard.press("f")
    page.page.locator("#lanes .lane").first.wait_for()


@pytest.mark.browser
@pytest.mark.parametrize("page", ["day"], indirect=True)
def test_a_day_can_be_zoomed_to_its_nanoseconds(page: Opened) -> None:
    assert in_view(page) == "88100 s"
    page.page.evaluate("location.hash = '#t=86399.999999,86399.9999991'")
    page.until("document.querySelector('#status').textContent.startsWith('100 ns in view')")
    page.page.mouse.move(700, at(page, "kernel", 0)[1])
    page.page.wait_for_selector(".hoverlayer .hovertext")
    assert "the last" in page.page.text_content(".hoverlayer")
    page.page.mouse.move(700, at(page, "runtime", 0)[1])
    page.until("/the whole day/.test(document.querySelector('.hoverlayer').textContent)")


@pytest.mark.browser
@pytest.mark.parametrize("page", ["instant"], indirect=True)
def test_everything_at_one_instant_is_drawn_counted_and_said(page: Opened) -> None:
    assert "more events run at once than there are rows" in page.page.inner_text("#notes")
    _, without_panel, _ = lane(page, "kernel")
    page.page.evaluate("location.hash = '#r=0,1'")
    page.page.wait_for_selector("#panel .totals")
    cells = page.page.locator("#panel .totals").first.locator("tbody td").all_inner_texts()
    assert cells[:3] == ["kernel", f"{AT_ONCE:,}", "0 ns"]
    page.page.keyboard.press("Escape")
    page.page.wait_for_selector("#panel", state="hidden")
    page.until(f"document.querySelector('#events').getBoundingClientRect().width >= {without_panel}")
    left, width, y = lane(page, "kernel")
    assert in_view(page) == "1.2 ns"  # of which 0.1 lie before the instant
    page.page.mouse.click(left + width / 12, y)
    page.page.wait_for_selector("#panel .chain")


@pytest.mark.browser
@pytest.mark.parametrize("page", ["hostile"], indirect=True)
def test_hostile_names_stay_text_in_totals_and_links(page: Opened) -> None:
    page.page.evaluate("location.hash = '#t=0,0.000001&f=t0.<img src=x>&r=0,0.000001'")
    page.page.wait_for_selector("#panel .totals")
    said = page.page.inner_text("#panel")
    assert "</script><script>window.pwned=1</script>" in said
    assert "\\u202egnp.exe\\u202c" in said
    assert "nul\\x00inside" in said
    assert "M" * 100 in said
    assert "(1,000,000 characters)" in said
    assert "broken \ufffd" in said
    assert (
        page.page.evaluate(
            "document.querySelectorAll('#panel img, #panel a, #panel script, #panel b').length"
        )
        == 0
    )
    assert page.page.evaluate("window.pwned") is None
