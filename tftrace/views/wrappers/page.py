"""Writes what functions come down to as one HTML page: a table and a graph that are filtered together."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tftrace.views.page import json_element, legible, one_scope, page, resource, write_page
from tftrace.views.wrappers.wording import MEANING, made_with

EXTENSION: Final = ".html"

_HERE: Final = "tftrace.views.wrappers"
_SCRIPTS: Final = ("shown.js", "table.js", "graph.js", "wrappers.js")
_NAMES: Final = 40
"""Native functions, ops or kernels of one function that the page carries; how many there are is said."""

_SKELETON: Final = """\
<header id="bar"><h1>tftrace wrappers <span dir="auto">{heading}</span></h1>
<span id="began">{made_with}</span>
<div id="tools" role="search">
<span id="found" role="status" aria-live="polite"></span>
<input id="search" type="search" autocomplete="off" spellcheck="false" aria-label="Search functions, natives and ops"
 placeholder="/  function, native, op, kernel">
<button id="theme" type="button" title="Switch between light and dark">Dark</button></div></header>
<div id="filters" role="group" aria-label="Categories"></div>
<div role="tablist" id="tabs"><button type="button" role="tab" id="tab-table" aria-controls="table"
 aria-selected="true">Table</button><button type="button" role="tab" id="tab-graph" aria-controls="graph"
 aria-selected="false" tabindex="-1">Graph</button></div>
<main id="main"><section id="table" role="tabpanel" aria-labelledby="tab-table"><table id="functions"><thead></thead>
<tbody></tbody></table></section>
<section id="graph" role="tabpanel" aria-labelledby="tab-graph" hidden></section>
<p id="none" hidden>Nothing matches.</p>
<aside id="panel" aria-label="Selected function" tabindex="-1" hidden>
<button id="close" type="button" title="Close (Esc)" aria-label="Close">✕</button><div id="panel-body"></div></aside>
</main>
"""


def write_wrappers(document: Mapping[str, Any], path: Path) -> None:
    """Writes the document of `tftrace wrappers` to `path`: one HTML page that opens offline.

    Raises UsageError where `path` cannot be written.
    """
    heading = legible(", ".join(document["names"]), 120)
    body = _SKELETON.format(
        heading=html.escape(heading), made_with=html.escape(legible(made_with(document), 300))
    )
    content = page(
        f"{heading} · tftrace wrappers",
        body + json_element("meta", _meta(document)),
        resource(_HERE, "wrappers.css"),
        [one_scope(_HERE, _SCRIPTS)],
    )
    write_page(content, path)


def _meta(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "meaning": MEANING,
        "counts": document["counts"],
        "functions": [_row(row) for row in document["functions"]],
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """One function as the page shows it; every text is legible."""
    return {
        **{
            k: _text(row[k])
            for k in ("name", "category", "beneath", "native_timed", "reason", "mode", "file")
        },
        **{
            k: _texts(row[k]) for k in ("native", "ops", "kernels", "added", "calls", "alias_of", "arguments")
        },
        **{k: row[k] for k in ("python_us", "native_us", "equal", "documented", "legacy", "line")},
        "cases": [
            {
                "dtype": _text(case["dtype"]),
                "arguments": _texts(case["arguments"]),
                "ops": None if case["ops"] is None else _texts(case["ops"]),
                "error": _text(case["error"]),
            }
            for case in row["cases"]
        ],
    }


def _text(value: Any) -> str | None:
    return None if value is None else legible(str(value))


def _texts(values: list[Any]) -> list[str]:
    shown = [legible(str(v), 120) for v in values[:_NAMES]]
    return [*shown, f"and {len(values) - _NAMES} more"] if len(values) > _NAMES else shown
