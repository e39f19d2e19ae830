"""The comparison page in Chromium: charts and tables, what filters leave, what a click opens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.comparison.runs import conv, row, run, times
from tests.views.browser import CONTRAST, Opened, opened
from tests.views.traces import eager_convs, function_run
from tftrace.analysis.comparison import compare
from tftrace.errors import UsageError
from tftrace.model.trace import Trace
from tftrace.views.comparison.page import write_comparison

pytestmark = pytest.mark.browser

HOSTILE = "</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1><b>\u202e"


def gpu_run(name: str, winner: str, scale: float, **more: Any) -> Trace:
    """Three problems; the forward one with two other candidates, one of them failed."""
    small = conv(input=[1, 8, 8, 16], output=[1, 8, 8, 32])
    back = conv(op="Conv2DBackpropInput", direction="backprop_input")
    rows = [
        row(winner, times(scale), workspace_bytes=1 << 20, device_model="A100"),
        row("LOSER", (150.0,), chosen=False, calls=0, trials=1, workspace_bytes=0, device_model="A100"),
        row("BROKEN", None, chosen=False, calls=0, status="failed", device_model="A100"),
        row("BACK", times(2), problem_id=1, problem=back, workspace_bytes=4096, device_model="A100"),
        row("SMALL", times(0.1), problem_id=2, problem=small, workspace_bytes=0, device_model="A100"),
    ]
    return run(name, *rows[: 4 if more.pop("without_small", False) else 5], **more)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    base = gpu_run("base", "WINNER", 1)
    other = gpu_run("other", "OTHER", 1.5, env={"TF_CUDNN_DETERMINISTIC": "1"}, without_small=True)
    hostile = (
        row(HOSTILE, times(), problem=conv(op=HOSTILE), device_model=HOSTILE, source=HOSTILE),
        row(HOSTILE + "2", times(), problem=conv(op=HOSTILE), device_model=HOSTILE),
    )
    many = [row(f"A{n}", times(n + 1), problem_id=n, problem=conv(groups=n + 1)) for n in range(60)]
    made = {
        "two": (base, other),
        "three": (base, other, gpu_run("third", "WINNER", 0.5)),
        "synthetic": (base, gpu_run("fake", "WINNER", 1, synthetic=True)),
        "ops": (eager_convs(12), function_run()),
        "hostile": (run(HOSTILE, hostile[0]), run("b", hostile[1], env={HOSTILE: HOSTILE})),
        "many": (run("a", *many), run("b", *many)),
    }
    for name, traces in made.items():
        write_comparison(compare(traces).document, folder / f"{name}.html")
    return {path.stem: path for path in folder.iterdir()}


@contextmanager
def ready_page(browser: Any, path: Path, **options: Any) -> Iterator[Opened]:
    with opened(browser, path, **options) as page:
        page.until("document.documentElement.dataset.ready")
        page.settle()
        yield page


def shown(page: Opened) -> list[str]:
    lines = page.page.locator("#problems > tbody > tr:not(.details)").all_inner_texts()
    return [re.sub(r"\s+", " ", text) for text in lines]


def drawn(page: Opened, chart: str) -> int:
    """Marks of data in a chart."""
    return int(page.page.locator(f"#{chart} .point").count())


def click_on(page: Opened, selector: str, number: int = 0) -> None:
    """A real click in the middle of a mark: a layer of plotly's lies over it, so that playwright's own would wait."""
    mark = page.page.locator(selector).nth(number)
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    assert box
    page.page.mouse.move(box["x"] + box["width"] / 2 - 1, box["y"] + box["height"] / 2)
    page.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_a_page_shows_every_problem_with_times_verdict_and_cause(
    browser: Any, pages: dict[str, Path]
) -> None:
    with ready_page(browser, pages["two"]) as page:
        rows = shown(page)
        assert len(rows) == 3
        changed = next(text for text in rows if "other algorithm" in text)
        for part in ("Conv2D [8,32,32,16] [3,3,16,32]", "NHWC float32 · A100", "WINNER 100 µs", "OTHER 150 µs",
                     "▲ slower", "setting TF_CUDNN_DETERMINISTIC: not set -> 1"):  # fmt: skip
            assert part in changed, part
        assert "∅ only in some runs" in next(text for text in rows if "[1,8,8,16]" in text)
        assert "not in this run" in next(text for text in rows if "[1,8,8,16]" in text)
        assert page.page.inner_text("#found") == "3 of 3 problems"
        assert "TF_CUDNN_DETERMINISTIC" in page.page.inner_text("#environment")
        assert page.complaints() == []


def test_three_charts_are_drawn_with_legends(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["two"]) as page:
        assert drawn(page, "bars") == 5
        names = page.page.locator("#bars .legendtext").all_text_contents()
        assert names == ["base", "other"]
        assert page.page.locator("#bars .errorbar").count() == 5
        assert page.page.locator("#scatter .legendtext").all_text_contents() == [
            "base: chosen", "base: other candidates", "other: chosen", "other: other candidates",
        ]  # fmt: skip
        assert drawn(page, "scatter") == 7
        assert page.page.locator("#heat .hm image").count() == 1
        assert page.page.locator("#heat .legendtext").all_text_contents() == [
            "chosen",
            "failed or not offered",
        ]
        assert drawn(page, "heat") == 5 + 2
        patterns = page.page.evaluate("[...document.querySelectorAll('#bars pattern')].length")
        assert patterns > 0, "runs are told apart without colour"


def test_the_legend_hides_a_run(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["two"]) as page:
        page.page.locator("#bars .legendtoggle").nth(1).click()
        page.until("document.querySelectorAll('#bars .point').length === 3")


@pytest.mark.parametrize(
    ("select", "value", "left"),
    [
        ("op", "Conv2DBackpropInput", ["Conv2DBackpropInput"]),
        ("direction", "forward", ["Conv2D", "Conv2D"]),
        ("verdict", "algorithm_changed", ["Conv2D"]),
        ("verdict", "only_in_some", ["Conv2D"]),
    ],
)
def test_dropdowns_filter_charts_and_table_together(
    browser: Any, pages: dict[str, Path], select: str, value: str, left: list[str]
) -> None:
    with ready_page(browser, pages["two"]) as page:
        page.page.select_option(f"#{select}", value)
        page.settle()
        assert page.page.locator("#problems .what b").all_inner_texts() == left
        assert page.page.inner_text("#found") == f"{len(left)} of 3 problems"
        assert page.page.locator("#bars .yaxislayer-above .ytick").count() == len(left)
        page.page.select_option(f"#{select}", "")
        page.settle()
        assert len(shown(page)) == 3


def test_the_search_looks_at_sizes_algorithms_and_causes(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["two"]) as page:
        for text, count in (
            ("[1,8,8,16]", 1),
            ("loser", 1),
            ("deterministic", 1),
            ("conv2d a100", 3),
            ("none", 0),
        ):
            page.page.fill("#search", text)
            page.settle()
            assert len(shown(page)) == count, text
        assert "has a time" in page.page.locator("section.chart .cut").first.inner_text()
        page.page.focus("#search")
        page.page.keyboard.press("Escape")
        page.settle()
        assert len(shown(page)) == 3
        page.page.click("h1")
        page.page.keyboard.press("/")
        assert page.page.evaluate("document.activeElement.id") == "search"


def test_a_click_on_a_bar_opens_the_candidates_of_its_problem(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["two"]) as page:
        page.page.fill("#search", "loser")
        page.settle()
        click_on(page, "#bars .point path")
        page.page.wait_for_selector("tr.details")
        details = re.sub(r"\s+", " ", page.page.inner_text("tr.details"))
        for part in ("● WINNER 100 µs 1.05 MB ok measured", "LOSER 150 µs 0 B ok", "BROKEN – – failed",
                     "warm-up 500 µs in 1 call", "A100 · cuDNN 9.3.0", "10 repetitions"):  # fmt: skip
            assert part in details, part
        button = page.page.locator("#problems tr.hit button")
        assert button.get_attribute("aria-expanded") == "true"
        button.click()
        assert page.page.locator("tr.details").count() == 0
        page.page.keyboard.press("Enter")
        assert page.page.locator("tr.details").count() == 1
        assert page.complaints() == []


def test_clicks_on_the_other_charts_open_it_too(browser: Any, pages: dict[str, Path]) -> None:
    for mark in ("#scatter .point", "#heat .hm image"):
        with ready_page(browser, pages["two"]) as page:
            page.page.fill("#search", "winner")
            page.settle()
            click_on(page, mark)
            page.page.wait_for_selector("tr.details")


def test_times_can_be_drawn_on_a_logarithmic_axis(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["two"]) as page:
        linear = page.page.locator("#bars .xtick").all_text_contents()
        page.page.check("#log")
        page.settle()
        assert page.page.locator("#bars .xtick").all_text_contents() != linear


def test_hover_names_run_algorithm_interval_and_change(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["two"]) as page:
        page.page.fill("#search", "loser")
        page.settle()
        mark = page.page.locator("#bars .point path").first
        mark.scroll_into_view_if_needed()
        box = mark.bounding_box()
        page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.page.wait_for_selector(".hoverlayer .hovertext")
        said = page.page.text_content(".hoverlayer")
        for part in ("other: OTHER", "150 µs", "repetitions", "slower"):
            assert part in said, part


def test_three_runs_have_a_change_each(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["three"]) as page:
        heads = page.page.locator("#problems > thead th").all_inner_texts()
        assert heads == [
            "#",
            "problem",
            "verdict",
            "base (baseline)",
            "other",
            "third",
            "change in other",
            "change in third",
        ]
        text = next(t for t in shown(page) if "WINNER" in t)
        assert "▲ slower" in text
        assert "▼ faster" in text
        assert page.page.locator("#bars .legendtext").all_text_contents() == ["base", "other", "third"]


def test_a_stand_in_gpu_is_labelled(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["synthetic"]) as page:
        assert page.page.inner_text("#synthetic") == "synthetic: stand-in GPU"
    with ready_page(browser, pages["two"]) as page:
        assert page.page.locator("#synthetic").count() == 0


def test_runs_without_problems_show_ops_lines_and_kernels(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["ops"]) as page:
        assert page.page.is_visible("#nothing")
        assert not page.page.is_visible("#bars")
        tabs = page.page.locator("#tabs button")
        assert tabs.all_inner_texts() == ["ops (2)", "lines (2)", "kernels (1)"]
        tabs.nth(2).click()
        assert tabs.nth(2).get_attribute("aria-selected") == "true"
        text = page.page.inner_text("#rows")
        assert "_MklNativeConv2D" in text
        assert "not in this run" in text
        page.page.fill("#search", "step")
        assert tabs.all_inner_texts() == ["ops (1)", "lines (1)", "kernels (0)"]
        assert page.complaints() == []


def test_many_problems_are_all_in_the_table_and_the_charts_say_what_they_leave_out(
    browser: Any, pages: dict[str, Path]
) -> None:
    with ready_page(browser, pages["many"]) as page:
        assert len(shown(page)) == 60
        assert (
            "The 40 that cost most of 60 are drawn"
            in page.page.locator("section.chart .cut").first.inner_text()
        )
        assert drawn(page, "bars") == 80


def test_hostile_text_is_shown_as_text(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["hostile"]) as page:
        page.page.locator("#problems button").first.click()
        for tab in range(3):
            page.page.locator("#tabs button").nth(tab).click()
        click_on(page, "#bars .point path")
        page.settle()
        assert page.page.evaluate("window.pwned") is None
        assert page.page.locator("img, #main script").count() == 0
        assert "</script><script>window.pwned=1" in page.page.inner_text("#problems")
        assert "\\u202e" in page.page.inner_text("#problems")
        assert page.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_readable_in_both_themes(browser: Any, pages: dict[str, Path], dark: bool) -> None:
    with ready_page(browser, pages["three"], dark=dark) as page:
        page.page.locator("#problems button").first.click()
        for switched in (False, True):
            if switched:
                page.page.click("#theme")
                page.settle()
            worst = page.page.evaluate(CONTRAST)
            assert worst[0] >= 4.5, worst
            background = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (background == "rgb(20, 23, 28)") == (dark != switched)
        assert page.complaints() == []


def test_a_page_fits_a_narrow_window(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["three"], size=(700, 900)) as page:
        assert page.page.evaluate("document.documentElement.scrollWidth") <= 700
        assert page.complaints() == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_comparison(compare([run("a", row()), run("b", row())]).document, tmp_path / "no" / "page.html")
