"""A figure as one HTML page."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tftrace.model.trace import Trace
from tftrace.views.colours import THEMES
from tftrace.views.page import json_element, legible, one_scope, page, plotly, resource, write_page

if TYPE_CHECKING:
    import plotly.graph_objects as go

_HERE: Final = "tftrace.views.pictures"
_SKELETON: Final = """\
<header id="bar"><h1>tftrace <span dir="auto">{heading}</span></h1>{synthetic}
<span id="began">{said}</span>
<div id="tools"><button id="theme" type="button" title="Switch between light and dark">Dark</button></div></header>
<main id="picture" aria-label="{said}"></main>
"""


def write_picture(figure: go.Figure, trace: Trace, said: str, path: Path) -> None:
    """Writes the figure to `path`, as a page that opens offline, light and dark, headed by the trace's name and what is
    `said` of the picture. Raises UsageError where `path` cannot be written."""
    name = legible(trace.name, 120)
    body = _SKELETON.format(
        heading=html.escape(name),
        synthetic='<strong id="synthetic">synthetic: stand-in GPU</strong>' if trace.synthetic else "",
        said=html.escape(legible(said, 200)),
    )
    script, sheets = plotly()
    content = page(
        f"{name} · tftrace {legible(said, 60)}",
        sheets
        + body
        + json_element("figure", json.loads(figure.to_json()))
        + json_element("colours", {theme: list(of) for theme, of in THEMES.items()}),
        resource(_HERE, "picture.css"),
        [script, one_scope(_HERE, ("picture.js",))],
    )
    write_page(content, path)
