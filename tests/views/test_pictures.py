"""Flame graph, steps and waterfall: what the figures hold, and how their pages look in Chromium."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tftrace
from tests.cli.running import tftrace as command
from tests.views import traces
from tests.views.browser import CONTRAST, Opened, opened
from tftrace.analysis.flame import flame
from tftrace.analysis.steps import steps
from tftrace.errors import InputError, UsageError
from tftrace.views.colours import colour
from tftrace.views.pictures import PICTURES
from tftrace.views.pictures.flame import flame_figure
from tftrace.views.pictures.page import write_picture
from tftrace.views.pictures.steps import steps_figure
from tftrace.views.pictures.text import duration

EXAMPLE = Path(__file__).resolve().parents[2] / "traces" / "examples" / "eager_conv2d"


def icicle(figure: Any) -> dict[str, dict[str, Any]]:
    """id -> parent, label, value of the boxes."""
    of = figure.data[0]
    columns = zip(of.ids, of.parents, of.labels, of.values, strict=True)
    return {i: {"parent": p, "label": label, "value": float(v)} for i, p, label, v in columns}


# ---- figures


def test_the_icicle_holds_every_box_with_its_own_metric() -> None:
    trace = traces.eager_convs(3)
    boxes = icicle(tftrace.flame(trace))
    assert [b["label"] for b in boxes.values()][:3] == ["whole trace", "train.py:12", "tf.nn.conv2d"]
    assert sum(b["value"] for b in boxes.values()) == 3 * (90 + 45)
    assert sum(b["value"] for b in icicle(tftrace.flame(trace, "events")).values()) == 18
    assert sum(b["value"] for b in icicle(tftrace.flame(trace, "device_us")).values()) == 3 * 45
    assert {b["parent"] for b in boxes.values()} - set(boxes) == {""}


def test_the_menu_offers_every_metric_the_chosen_one_first() -> None:
    figure = tftrace.flame(traces.eager_convs(3), "events")
    menu, turn = figure.layout.updatemenus
    assert [b.label for b in menu.buttons] == ["width: events", "width: time", "width: device time"]
    assert [sum(b.args[0]["values"][0]) for b in menu.buttons] == [18, 405, 135]
    assert [b.label for b in turn.buttons] == ["icicle", "flame graph"]


def test_narrow_boxes_are_merged_and_lose_nothing() -> None:
    rows = [{"node": 0, "parent": None, "layer": "python", "name": "line", "depth": 0}]
    rows += [{"node": i, "parent": 0, "layer": "kernel", "name": f"k{i}", "depth": 1} for i in range(1, 200)]
    rows += [{"node": 200, "parent": 199, "layer": "device", "name": "below", "depth": 2}]
    frame = pd.DataFrame(rows)
    frame["parent"] = frame["parent"].astype("Int64")
    frame["events"] = 1
    for column in ("total_us", "self_us", "longest_us"):
        frame[column] = np.r_[1.0, np.arange(199, 0, -1.0), 0.5]
    frame["device_us"] = 0.0
    boxes = icicle(flame_figure(frame, most=50))
    assert len(boxes) < 60
    assert sum(b["value"] for b in boxes.values()) == frame["self_us"].sum()
    merged = [b for b in boxes.values() if "narrower" in b["label"]]
    assert {b["parent"] for b in merged} == {"0", "199"}  # 199 is kept, what is below it is not
    rows_drawn = len(boxes) - 1 - len(merged)
    assert sum(int(b["label"].split()[0]) for b in merged) + rows_drawn == len(frame)


def test_an_unknown_metric_is_said() -> None:
    with pytest.raises(UsageError, match="self_us, device_us, events"):
        tftrace.flame(traces.eager_convs(1), "bytes")


def test_names_are_shown_literally_and_cut() -> None:
    labels = [b["label"] for b in icicle(tftrace.flame(traces.hostile())).values()]
    assert "&lt;/script&gt;&lt;script&gt;window.pwned=1&lt;/script&gt;" in labels
    assert not any("<" in label or "\x00" in label or "\u202e" in label for label in labels)
    assert max(map(len, labels)) < 200


def test_a_bar_a_step_with_its_layers_and_its_time_on_the_clock() -> None:
    figure = tftrace.steps(traces.function_run())
    bars = {trace.name: trace for trace in figure.data}
    assert list(bars) == ["python", "runtime", "kernel", "library", "on the clock"]
    assert list(bars["library"].x) == ["0", "1"]
    assert list(bars["library"].y) == pytest.approx([80e-6, 80e-6])
    assert list(bars["on the clock"].y) == pytest.approx([300e-6, 300e-6])


def test_steps_without_warm_up_are_those_of_the_steady_state() -> None:
    run = EXAMPLE.with_name("conv_keras")
    every, steady = (
        next(t for t in tftrace.steps(run, s).data if t.name == "runtime").x for s in (False, True)
    )
    assert every[:2] == ("before", "1")
    warm_up = set(every) - set(steady)
    assert {"before", "1"} <= warm_up < set(every)
    assert [t.name for t in tftrace.steps(EXAMPLE, steady=True).data] == [
        "on the clock"
    ]  # all of it is warm-up


def test_many_steps_become_means_and_the_first_bar_stays_apart() -> None:
    frame = steps(traces.function_run())
    parts = [frame[frame["step"] == 0].assign(step=pd.array([n] * 4, "Int64")) for n in range(1000)]
    parts.insert(0, parts[0].assign(step=pd.array([None] * 4, "Int64"), warm_up=True))
    figure = steps_figure(pd.concat(parts, ignore_index=True), most=100)
    library = next(t for t in figure.data if t.name == "library")
    assert list(library.x)[:3] == ["before", "0 to 9", "10 to 19"]
    assert list(library.y) == pytest.approx([80e-6] * 101)
    assert list(library.marker.pattern.shape)[:2] == ["/", ""]
    assert "mean of 10 steps" in figure.layout.yaxis.title.text


def test_the_waterfall_falls_from_layer_to_layer() -> None:
    figure = tftrace.waterfall(EXAMPLE, "conv2d")
    bar = figure.data[0]
    end = dict(zip(bar.y, np.array(bar.base) + np.array(bar.x), strict=True))
    base = dict(zip(bar.y, bar.base, strict=True))
    assert base["kernel"] == end["runtime"]
    assert base["library"] == end["kernel"]
    assert end["an execution"] == end["library"]
    assert base["device"] == base["library"]  # when other threads began is not told
    said = [a.text for a in figure.layout.annotations]
    assert sum("not in the trace" in text for text in said) == 3
    assert figure.layout.yaxis.categoryarray[0] == "an execution"
    assert "hatched: meanwhile" in figure.layout.xaxis.title.text


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0.0, "0 ns"),
        (0.25, "250 ns"),
        (12.345, "12.3 µs"),
        (1500, "1.5 ms"),
        (2.5e6, "2.5 s"),
        (5e9, "5,000 s"),
    ],
)
def test_durations_have_their_unit(us: float, text: str) -> None:
    assert duration(us) == text


# ---- the command


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--as", "waterfall"], "belong together"),
        (["--op", "conv2d"], "belong together"),
        (["--metric", "events"], "belongs to --as flame"),
        (["--as", "steps", "--serve"], "serves the timeline"),
        (["--steady"], "belongs to --as flame and steps"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = command(capsys, "view", EXAMPLE, *arguments)
    assert done.code == 2
    assert says in done.err


@pytest.mark.parametrize("kind", PICTURES)
def test_the_command_writes_each_picture(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    of = ["--op", "conv2d"] if kind == "waterfall" else []
    done = command(capsys, "view", EXAMPLE, "--as", kind, *of, "-o", page)
    assert (done.code, done.out.strip()) == (0, str(page))
    assert page.stat().st_size < 6_000_000


def test_an_op_that_did_not_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="no_such_op"):
        tftrace.waterfall(EXAMPLE, "no_such_op")
    page = tmp_path / "page.html"
    done = command(capsys, "view", EXAMPLE, "--as", "waterfall", "--op", "no_such_op", "-o", page)
    assert done.code == 3
    assert "no_such_op" in done.err
    assert not list(tmp_path.iterdir())


# ---- in the browser

MAKERS: dict[str, Callable[[Any], Any]] = {
    "flame": tftrace.flame,
    "steps": tftrace.steps,
    "waterfall": lambda trace: tftrace.waterfall(trace, "conv2d"),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pictures")
    made = {name: (make, traces.function_run()) for name, make in MAKERS.items()}
    made["hostile"] = (tftrace.flame, traces.hostile())
    made["empty"] = (tftrace.flame, traces.Builder().trace())
    made["no steps"] = (tftrace.steps, traces.Builder().trace())
    for name, (make, trace) in made.items():
        write_picture(make(trace), trace, name, folder / f"{name}.html")
    return {path.stem: path for path in folder.iterdir()}


def ready(page: Opened) -> Opened:
    page.until("document.documentElement.dataset.ready")
    return page


@pytest.mark.browser
def test_every_page_is_drawn_without_complaint_in_both_themes(browser: Any, pages: dict[str, Path]) -> None:
    for name, path in pages.items():
        with opened(browser, path, dark=name == "steps") as page:
            ready(page)
            for _ in range(2):
                worst = page.page.evaluate(
                    CONTRAST.replace("closest('script, style')", "closest('script, style, .slice')")
                )
                assert worst[0] >= 4.5, (name, worst)
                page.page.click("#theme")
                page.settle()
            assert page.complaints() == [], name


@pytest.mark.browser
def test_layers_have_their_colour_in_the_dark(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["flame"]) as page:
        ready(page)
        shown = "getComputedStyle([...document.querySelectorAll('.slice')][1].querySelector('path')).fill"
        assert page.page.evaluate(shown) == rgb(colour("python"))
        page.page.click("#theme")
        page.until(f"{shown} === '{rgb(colour('python', 'dark'))}'")


def rgb(code: str) -> str:
    return f"rgb({int(code[1:3], 16)}, {int(code[3:5], 16)}, {int(code[5:], 16)})"


@pytest.mark.browser
def test_a_click_opens_a_box_and_the_menu_changes_the_width(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["flame"]) as page:
        ready(page)
        width = (
            "[...document.querySelectorAll('.slice')].find((s) => s.textContent === 'convolution')"
            "?.querySelector('path').getBoundingClientRect().width"
        )
        before = page.page.evaluate(width)
        page.page.locator(".slice", has_text="FunctionRun").first.click()
        page.until("document.querySelector('.pathbar')")
        page.page.locator(".updatemenu-header").first.click()
        page.page.locator(".updatemenu-dropdown-button", has_text="events").click()
        page.until(f"{width} && Math.abs({width} - {before}) > 20")
        assert page.complaints() == []


@pytest.mark.browser
def test_hostile_names_stay_text(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["hostile"]) as page:
        ready(page)
        words = page.page.text_content("#picture")
        assert "</script><script>window.pwned=1</script>" in words
        assert "<b>bold</b>" in words
        assert (
            page.page.evaluate(
                "document.querySelectorAll('#picture a, #picture img, #picture script').length"
            )
            == 0
        )
        page.page.locator(".slice", has_text="</script>").first.hover()
        page.page.wait_for_selector(".hoverlayer .hovertext")
        assert page.page.evaluate("window.pwned") is None
        assert page.complaints() == []
    assert (flame(traces.hostile())["name"].str.len() < 2_000_000).all()
