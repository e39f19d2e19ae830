"""The page of `tftrace wrappers` in a browser: filtered, sorted, searched, its graph, and text that means harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.views.browser import Opened, opened
from tftrace.errors import UsageError
from tftrace.views.wrappers import write_wrappers

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m"


def function(name: str, category: str, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name, "category": category, "beneath": None, "native": [], "ops": [], "kernels": [], "python_us": None,
        "native_us": None, "native_timed": None, "equal": None, "reason": None, "added": [], "calls": [],
        "documented": True, "legacy": False, "alias_of": [], "mode": "eager", "arguments": ["float32[2,3]"],
        "cases": [], "file": "lib.py", "line": 3,
    }  # fmt: skip
    return {**row, **more}


FUNCTIONS = [
    function("lib.abs", "thin", native=["tf.abs", "tf.math.abs"], ops=["Abs"], kernels=["Abs"], python_us=12.0,
             native_us=10.0, native_timed="tf.abs", equal=True),
    function("lib.all", "thick", native=["tf.reduce_all"], ops=["Cast", "All"], added=["Cast"], python_us=43.9,
             native_us=17.0, native_timed="tf.reduce_all", equal=True,
             cases=[{"dtype": "float32", "arguments": ["float32[2,3]"], "ops": ["Cast", "All"], "error": None},
                    {"dtype": "bool", "arguments": ["bool[3,3]"], "ops": ["All"], "error": None}]),
    function("lib.any", "thick", native=["tf.reduce_any"], ops=["Cast", "Any"], added=["Cast"], python_us=42.5),
    function("lib.floatx", "alias", beneath="no_op", native=["lib.config.floatx"], alias_of=["lib.config.floatx"],
             python_us=0.4, legacy=True),
    function("lib.hangs", "not_traced", reason=HOSTILE),
]  # fmt: skip


def document() -> dict[str, Any]:
    counts = {"alias": 1, "no_op": 0, "thin": 1, "thick": 2, "unique": 0, "not_traced": 1}
    return {
        "names": ["lib", HOSTILE], "python": "3.11.7", "tensorflow": "2.21.0", "keras": None, "executable": "python",
        "counts": counts, "beneath": {"no_op": 1}, "classified": 0.8, "natives": {"called": 10, "of": 12},
        "functions": FUNCTIONS,
    }  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wrappers") / "page.html"
    write_wrappers(document(), place)
    return place


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def view(browser: Any, path: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    with opened(browser, path, dark=request.param) as page:
        yield page
        assert page.complaints() == []


def names(view: Opened) -> list[str]:
    return view.page.locator("#functions tbody tr td:first-child").all_inner_texts()  # type: ignore[no-any-return]


def test_every_function_has_its_row(view: Opened) -> None:
    assert names(view) == [f["name"] for f in FUNCTIONS]
    first = view.page.locator("#functions tbody tr").first.locator("td").all_inner_texts()
    assert first[1:4] == ["thin", "tf.abs +1", "Abs"]
    assert view.page.locator("#found").inner_text() == "5 functions"


def test_search_looks_into_natives_and_ops(view: Opened) -> None:
    view.page.fill("#search", "cast reduce_any")
    assert names(view) == ["lib.any"]
    assert view.page.locator("#found").inner_text() == "1 of 5"
    view.page.fill("#search", "nothing of the sort")
    assert names(view) == []
    assert view.page.locator("#none").is_visible()


def test_a_category_is_switched_off_and_on(view: Opened) -> None:
    thick = view.page.locator("#filters button", has_text="thick")
    thick.click()
    assert names(view) == ["lib.abs", "lib.floatx", "lib.hangs"]
    assert thick.get_attribute("aria-pressed") == "false"
    thick.click()
    assert len(names(view)) == 5


def test_times_are_sorted_and_what_has_none_comes_last(view: Opened) -> None:
    view.page.click("th[data-column=python_us] button")
    assert names(view) == ["lib.all", "lib.any", "lib.abs", "lib.floatx", "lib.hangs"]
    view.page.click("th[data-column=python_us] button")
    assert names(view) == ["lib.floatx", "lib.abs", "lib.any", "lib.all", "lib.hangs"]


def test_a_function_is_explained(view: Opened) -> None:
    view.page.click("#functions button >> text=lib.all")
    said = view.page.locator("#panel-body").inner_text()
    assert "bool[3,3]: All" in said
    assert "43.9 us, of tf.reduce_all 17.0 us" in said
    assert "bit for bit those of the native function" in said
    view.page.keyboard.press("Escape")
    assert view.page.locator("#panel").is_hidden()


def test_text_from_elsewhere_is_text(view: Opened) -> None:
    view.page.click("#functions button >> text=lib.hangs")
    assert (
        "</script><img src=x onerror=alert(1)>\\u202e\\x1b[31m"
        in view.page.locator("#panel-body").inner_text()
    )
    assert view.page.locator("img").count() == 0


def test_the_graph_joins_functions_ops_and_natives(view: Opened) -> None:
    view.page.click("#tab-graph")
    graph = view.page.locator("#graph")
    assert graph.locator("[data-column=op]").all_text_contents() == ["Abs", "All", "Cast", "Any"]
    assert (
        graph.locator("path[data-function='lib.all'][data-native='tf.reduce_all']").count() == 1
    )  # not by Cast
    graph.locator(".node", has_text="Cast").hover()
    lit = graph.locator(".node.on").all_text_contents()
    assert sorted(lit) == ["Cast", "lib.all", "lib.any"]
    graph.locator(".node", has_text="Cast").click()
    assert graph.locator("[data-column=function]").all_text_contents() == ["lib.all", "lib.any"]
    view.page.click("#unpin")
    assert graph.locator("[data-column=function]").count() == 5


def test_the_theme_is_switched(view: Opened) -> None:
    before = view.page.evaluate("getComputedStyle(document.body).backgroundColor")
    view.page.click("#theme")
    assert view.page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_wrappers(document(), tmp_path / "no" / "such" / "place.html")
