"""The timeline in Chromium: what a person sees, and what happens where they point, click, type and zoom."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.views import traces
from tests.views.browser import CONTRAST, Opened, opened
from tftrace.model.layers import LAYERS
from tftrace.views.timeline import write_timeline

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "eager": traces.eager_convs(3),
        "function": traces.function_run(),
        "hostile": traces.hostile(),
        "synthetic": traces.eager_convs(1, synthetic=True),
        "empty": traces.Builder().trace(),
        "many": traces.many(200_000),
    }
    for name, trace in made.items():
        write_timeline(trace, folder / f"{name}.html")
    write_timeline(made["many"], folder / "cut.html", max_bytes=5_600_000)
    return {path.stem: path for path in folder.iterdir()}


READY = (
    "document.documentElement.dataset.ready && /in view/.test(document.querySelector('#status').textContent)"
)


def ready(page: Opened) -> Opened:
    page.until(READY)
    return page


@contextmanager
def ready_page(browser: Any, path: Path | str, **options: Any) -> Iterator[Opened]:
    with opened(browser, path, **options) as page:
        yield ready(page)


def lane(page: Opened, label: str, number: int = 0) -> tuple[float, float, float]:
    """(left edge of the plot, its width, middle of the lane's first row) in px."""
    box = page.page.locator("#lanes .lane", has_text=re.compile(f"^{label}$")).nth(number).bounding_box()
    plot = page.page.locator("#events").bounding_box()
    assert box
    assert plot
    return plot["x"], plot["width"], box["y"] + 8


def at(page: Opened, label: str, part: float, number: int = 0) -> tuple[float, float]:
    """Screen position on a lane, `part` of the span along, where the whole trace is in view (1 % around)."""
    left, width, y = lane(page, label, number)
    return left + width * (part + 0.01) / 1.02, y


def in_view(page: Opened) -> str:
    return str(page.page.inner_text("#status")).split(" in view")[0]


# Where the events stand at the moment in which the page begins to read plotly.
_BEFORE_PLOTLY = """
document.addEventListener('DOMContentLoaded', () => {
  const append = document.head.append;
  document.head.append = function (...nodes) {
    window.pictured ??= document.querySelector('canvas[role=img]').getBoundingClientRect().toJSON();
    return append.apply(this, nodes);
  };
});
"""


def test_the_first_picture_stands_where_the_last_one_will(browser: Any, pages: dict[str, Path]) -> None:
    """The events are drawn before plotly, which lays out the axes, is there: nothing may jump."""
    with ready_page(browser, pages["eager"], first=_BEFORE_PLOTLY) as page:
        early = page.page.evaluate("window.pictured")
        late = page.page.evaluate("document.querySelector('#events').getBoundingClientRect().toJSON()")
    assert early == pytest.approx(late, abs=1)  # plotly rounds its own sizes


def test_every_page_opens_without_complaint(browser: Any, pages: dict[str, Path]) -> None:
    for name, path in pages.items():
        with opened(browser, path) as page:
            if name != "empty":
                ready(page)
                page.page.mouse.move(700, 200)
                page.settle()
            assert page.complaints() == [], name


def test_an_empty_trace_says_so(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["empty"]) as page:
        assert "This trace holds no events." in page.page.inner_text("main")
        assert "tf_profiler: off, because --no-tf_profiler" in page.page.inner_text("main")


def test_a_stand_in_gpu_is_labelled(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["synthetic"]) as page:
        assert page.page.inner_text("#synthetic") == "synthetic: stand-in GPU"
    with opened(browser, pages["eager"]) as page:
        assert page.page.locator("#synthetic").count() == 0


def test_hover_names_the_event_its_line_and_its_algorithm(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["eager"]) as page:
        page.page.mouse.move(*at(page, "library", 50_000 / 290_000))
        page.page.wait_for_selector(".hoverlayer .hovertext")
        said = page.page.text_content(".hoverlayer")
        for part in ("convolution", "50 µs", "library", "main thread 4242", "[[8, 32, 32, 3]" , "float32",
                     "brg_conv_fwd:avx512_core", "project/train.py:12",
                     "y = tf.nn.conv2d(x, w, 1, 'SAME')"):  # fmt: skip
            assert part.replace(" ", "") in said.replace(" ", ""), part
        page.page.mouse.move(*at(page, "library", 95_000 / 290_000))
        page.until("!document.querySelector('.hoverlayer .hovertext')")


def test_a_click_opens_the_chain_with_evidence(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["eager"]) as page:
        page.page.mouse.click(*at(page, "library", 50_000 / 290_000))
        page.page.wait_for_selector("#panel .chain")
        layers = page.page.locator("#panel .chain > li")
        assert [layers.nth(i).get_attribute("data-layer") for i in range(8)] == list(LAYERS)
        chain = {name: layers.nth(i).inner_text() for i, name in enumerate(LAYERS)}
        assert "train.py:12" in chain["python"]
        assert "measured" in chain["api"]
        assert "by python stack" in chain["api"]
        assert "by range id" in chain["library"]
        assert "brg_conv_fwd:avx512_core" in chain["library"]
        assert "inferred" in chain["device"]
        assert "unobserved: an op on the CPU does not pass through StreamExecutor" in chain["stream_executor"]
        assert "probe tf_profiler off: --no-tf_profiler" in chain["kernel"]
        panel = page.page.inner_text("#panel")
        assert "y = tf.nn.conv2d(x, w, 1, 'SAME')" in panel
        assert "called from" in panel
        assert '"padding": "SAME"' in panel
        frames = page.page.locator("#panel .stack code").all_inner_texts()
        assert frames[1:3] == ["tensorflow::MklConvFwdPrimitive::Execute", "tensorflow::MklConvOp::Compute"]
        assert page.complaints() == []
        page.page.keyboard.press("Escape")
        page.page.wait_for_selector("#panel", state="hidden")


def test_a_click_draws_arrows_from_thread_to_thread(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["function"]) as page:
        page.page.mouse.click(*at(page, "kernel", 100_000 / 700_000))
        page.page.wait_for_selector("#panel .chain")
        page.until(f"({INK})() > 15")
        page.page.keyboard.press("Escape")
        page.until(f"({INK})() === 0")


# Dark pixels in the heading of the second thread: only an arrow from the first thread crosses it.
INK = """() => {
  const c = document.querySelector('#events'), top = c.getBoundingClientRect().top;
  const heading = document.querySelectorAll('#lanes .track')[1].getBoundingClientRect();
  const d = c.getContext('2d').getImageData(0, heading.top - top + 3, c.width, heading.height - 6).data;
  let n = 0;
  for (let i = 0; i < d.length; i += 4) n += d[i] < 120 && d[i + 3] > 128;
  return n; }"""


def test_a_node_of_a_graph_shows_where_it_was_made_and_what_ran_it(
    browser: Any, pages: dict[str, Path]
) -> None:
    with ready_page(browser, pages["function"]) as page:
        page.page.mouse.click(*at(page, "library", 120_000 / 700_000))
        page.page.wait_for_selector("#panel .chain")
        panel = page.page.inner_text("#panel")
        assert "the graph was run by" in panel
        assert "step(batch)" in panel
        chain = page.page.locator("#panel .chain > li").all_inner_texts()
        assert "train.py:40" in chain[0]  # the line that ran the graph is linked to the library call
        assert "tf.nn.conv2d" in chain[1]
        assert "made when __inference_step_12 was traced, in 1.23" in chain[1]
        assert all(n in chain[3] for n in ("TFE_Py_Execute", "FunctionRun", "ExecutorState::Process"))
        assert "joined" in chain[4]
        assert "by native stack" in chain[6]
        assert "jit:avx2" in chain[6]
        page.page.click("#panel .chain >> text=FunctionRun")
        page.until("document.querySelector('#panel h2').textContent === 'FunctionRun'")


def test_search_counts_by_name_line_and_algorithm_and_jumps(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["eager"]) as page:
        found = {}
        for query in ("convolution", "train.py:12", "brg_conv", "tf.nn.conv2d(x", "nothing of this name"):
            page.page.fill("#search", query)
            found[query] = page.page.inner_text("#found")
        assert found == {
            "convolution": "6 events",
            "train.py:12": "18 events",
            "brg_conv": "3 events",
            "tf.nn.conv2d(x": "18 events",
            "nothing of this name": "0 events",
        }
        page.page.keyboard.press("Escape")
        page.page.keyboard.press("/")
        page.page.keyboard.type("brg_conv")
        page.page.keyboard.press("Enter")
        page.until("document.querySelector('#found').textContent === '1 of 3 events'")
        page.page.keyboard.press("Enter")
        page.until("document.querySelector('#found').textContent === '2 of 3 events'")
        page.until("document.querySelector('#panel h2')?.textContent === 'convolution'")
        page.until("location.hash.includes('&e=')")


def test_search_dims_what_does_not_match(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["eager"]) as page:
        before = alpha(page, "api"), alpha(page, "library")
        page.page.fill("#search", "brg_conv")
        page.settle()
        after = alpha(page, "api"), alpha(page, "library")
        assert before == (255, 255)
        assert after[0] < 100
        assert after[1] == 255


def alpha(page: Opened, label: str) -> int:
    x, y = at(page, label, 70_000 / 290_000)
    return int(
        page.page.evaluate(
            """([x, y]) => { const c = document.querySelector('#events'), b = c.getBoundingClientRect();
            return c.getContext('2d').getImageData(x - b.left, y - b.top, 1, 1).data[3]; }""",
            [x, y],
        )
    )


def test_wheel_keys_drag_and_link_move_the_view(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["eager"]) as page:
        ticks = "[...document.querySelectorAll('#axis span')].map((t) => t.textContent).join()"
        assert in_view(page) == "296 µs"
        before = page.page.evaluate(ticks)
        page.page.mouse.move(*at(page, "api", 0.5))
        page.page.mouse.wheel(0, -400)
        page.until("document.querySelector('#status').textContent.startsWith('162 µs')")
        page.until(f"{ticks} !== {json.dumps(before)}")  # the axis follows
        page.page.keyboard.press("w")
        page.until("document.querySelector('#status').textContent.startsWith('97.4 µs')")
        page.until("/#t=/.test(location.hash)")
        left = hash_range(page)
        page.page.keyboard.press("d")
        page.until(f"!location.hash.startsWith({json.dumps('#t=' + left[0])})")
        assert float(hash_range(page)[0]) > float(left[0])
        x, y = at(page, "api", 0.5)
        page.page.mouse.move(x, y)
        page.page.mouse.down()
        page.page.mouse.move(x + 200, y, steps=4)
        page.page.mouse.up()
        moved = hash_range(page)
        page.until(f"!location.hash.startsWith({json.dumps('#t=' + moved[0])})")
        assert float(hash_range(page)[0]) < float(moved[0])
        page.page.keyboard.press("0")
        page.until("document.querySelector('#status').textContent.startsWith('296 µs')")
    with opened(browser, pages["eager"], fragment="#t=0.0001,0.00015") as page:
        ready(page)
        assert in_view(page) == "50 µs"
        assert page.complaints() == []


def test_the_mini_map_leads_where_it_is_clicked(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["eager"]) as page:
        page.page.evaluate("location.hash = '#t=0.0001,0.00012'")
        page.until("document.querySelector('#status').textContent.startsWith('20 µs')")
        plot, whole = (page.page.locator(f"#{name}").bounding_box() for name in ("events", "overview"))
        page.page.mouse.click(plot["x"] + plot["width"] / 2, whole["y"] + 20)
        page.until("+location.hash.slice(3).split(',')[0] > 0.00012")
        assert in_view(page) == "20 µs"
        left, right = map(float, hash_range(page))
        assert (left + right) / 2 == pytest.approx(0.000145, abs=1e-6)  # the middle of 290 us
        page.page.keyboard.press("a")
        page.until(f"+location.hash.slice(3).split(',')[0] < {left}")
        page.page.keyboard.press("s")
        page.until("document.querySelector('#status').textContent.startsWith('33.3 µs')")


def hash_range(page: Opened) -> tuple[str, str]:
    found = re.match(r"#t=([\d.-]+),([\d.-]+)", page.page.evaluate("location.hash"))
    assert found
    return found[1], found[2]


def test_the_legend_hides_a_layer(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["eager"]) as page:
        assert page.page.locator(".legend .legendtext").all_text_contents() == list(LAYERS)
        assert alpha(page, "library") == 255
        page.page.locator(".legend .legendtoggle").nth(6).click()
        page.page.wait_for_selector("#lanes .lane.off")
        assert page.page.inner_text("#lanes .lane.off") == "library"
        assert alpha(page, "library") < 100


def test_a_large_trace_says_what_is_aggregated(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["many"]) as page:
        status = page.page.inner_text("#status")
        merged = re.search(
            r"([\d,]+) events? drawn one by one · ([\d,]+) shorter than .* aggregated into ([\d,]+)", status
        )
        assert merged
        exact, short, blocks = (int(part.replace(",", "")) for part in merged.groups())
        assert exact + short == 200_000
        assert blocks < 20_000
        page.page.fill("#search", "matmul")
        names = np.asarray(traces.many(200_000).tables["events"]["name"].to_pylist())
        assert page.page.inner_text("#found") == f"{int((names == 'MatMul').sum()):,} events"
        page.page.keyboard.press("Enter")
        page.until("document.querySelector('#panel h2')?.textContent === 'MatMul'")
        page.until("!document.querySelector('#status').textContent.includes('aggregated')")
        assert page.complaints() == []
    with ready_page(browser, pages["cut"]) as page:
        assert "only as parts of blocks" in page.page.inner_text("#notes")


def test_hostile_text_is_shown_as_text(browser: Any, pages: dict[str, Path]) -> None:
    with ready_page(browser, pages["hostile"]) as page:
        for label in LAYERS:
            page.page.mouse.move(*at(page, label, 0.55))
            page.page.wait_for_selector(".hoverlayer .hovertext")
            said = page.page.text_content(".hoverlayer")
            assert label in said
            if label == "stream_executor":
                assert "<b>bold</b>&lt;i&gt;<a href='javascript:window.pwned=1'>x</a>" in said
            page.page.mouse.click(*at(page, label, 0.55))
            page.page.wait_for_selector("#panel .chain")
            page.until("document.querySelector('#events').clientWidth < 900")
            page.page.keyboard.press("Escape")
            page.until(
                "document.querySelector('#events').clientWidth > 900"
            )  # a resize takes the hover label away
            page.settle()
        page.page.mouse.click(*at(page, "python", 0.5))
        page.page.wait_for_selector("#panel .chain")
        panel = page.page.inner_text("#panel")
        assert "</script><script>window.pwned=1</script>" in panel
        assert "\\u202egnp.exe\\u202c" in panel
        assert "nul\\x00inside" in panel
        assert "(1,000,000 characters)" in panel
        assert "{{constructor.constructor" in panel
        page.page.fill("#search", "<img")
        page.settle()
        assert page.page.evaluate("window.pwned") is None
        assert (
            page.page.evaluate("document.querySelectorAll('img, #panel a, #panel script, #panel b b').length")
            == 0
        )
        assert page.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_readable_in_both_themes(browser: Any, pages: dict[str, Path], dark: bool) -> None:
    with ready_page(browser, pages["function"], dark=dark) as page:
        page.page.mouse.click(*at(page, "library", 120_000 / 700_000))
        page.page.wait_for_selector("#panel .chain")
        for switched in (False, True):
            if switched:
                page.page.click("#theme")
                page.settle()
            worst = page.page.evaluate(CONTRAST)
            assert worst[0] >= 4.5, worst
            background = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (background == "rgb(20, 23, 28)") == (dark != switched)
        assert page.complaints() == []
