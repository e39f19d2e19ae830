"""The HTML around data and code: skeleton, page of an empty trace."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from tftrace.model.trace import Trace
from tftrace.views.page import json_element, legible, one_scope, page, plotly, resource

SCRIPTS = (
    "data.js",
    "relations.js",
    "lanes.js",
    "axis.js",
    "raster.js",
    "draw.js",
    "axes.js",
    "panel.js",
    "totals.js",
    "search.js",
    "timeline.js",
)
"""Parts of one script, in this order; they share one scope."""

_HERE = "tftrace.views.timeline"

_SKELETON = """\
<header id="bar">{heading}<span id="began"></span>
<div id="tools" role="search">
<span id="found" role="status" aria-live="polite"></span>
<input id="search" type="search" autocomplete="off" spellcheck="false" aria-label="Search events"
 placeholder="/  name, op, line, algorithm">
<button id="previous" type="button" disabled title="Previous hit (Shift+Enter)"
 aria-label="Previous hit">‹</button>
<button id="next" type="button" disabled title="Next hit (Enter)" aria-label="Next hit">›</button>
<button id="theme" type="button" title="Switch between light and dark">Dark</button>
<details id="help"><summary title="Keys and gestures (?)">?</summary><div><dl>
<dt>wheel, <kbd>w</kbd> <kbd>s</kbd></dt><dd>zoom in and out</dd>
<dt>drag, <kbd>a</kbd> <kbd>d</kbd></dt><dd>move</dd>
<dt><kbd>Shift</kbd> + drag</dt><dd>zoom to a stretch, and measure it</dd>
<dt><kbd>Ctrl</kbd> + drag</dt><dd>totals of a stretch by layer and op (or drag on the time axis)</dd>
<dt><kbd>Alt</kbd> + wheel</dt><dd>scroll the lanes (or wheel over their names)</dd>
<dt>click on a name, <kbd>f</kbd></dt><dd>fold a lane, thread or process; <kbd>f</kbd>: all threads</dd>
<dt><kbd>0</kbd></dt><dd>whole trace</dd>
<dt>click</dt><dd>chain of the event's call; a block: zoom in</dd>
<dt><kbd>/</kbd>, <kbd>Enter</kbd></dt><dd>search, next hit (<kbd>Shift</kbd>: previous)</dd>
<dt><kbd>Esc</kbd></dt><dd>close the panel, end the search</dd></dl>
<div>A lane is a layer of one thread or device stream; below one another in it, what ran inside what. Where
events are too short to see they are drawn as blocks: the height is the share of time that was busy. The
address of the page holds what is in view, folded and selected: copy it to share what you see.</div></div></details>
</div></header>
<p id="notes" hidden></p>
<canvas id="overview" aria-hidden="true"></canvas>
<main id="main"><div id="plot"></div><div id="stretch" hidden></div>
<aside id="panel" aria-label="Selected event" tabindex="-1" hidden>
<button id="close" type="button" title="Close (Esc)" aria-label="Close">✕</button>
<div id="panel-body"></div></aside></main>
<footer id="status" role="status">Unpacking ..</footer>
"""


def timeline_document(
    trace: Trace, meta: Mapping[str, Any], data: Mapping[str, str], *, served: bool = False
) -> bytes:
    """The page: `meta` as JSON, each text of `data` in an element `data-<name>`, plotly and the page's own
    script. A `served` page may ask the server that it came from for more."""
    script, sheets = plotly()
    parts = [
        sheets,
        _SKELETON.format(heading=_heading(trace)),
        json_element("meta", meta),
        *(f'<script type="text/plain" id="data-{name}">{text}</script>\n' for name, text in data.items()),
    ]
    # Half the time until a picture is there would be the browser's reading of plotly: the events are drawn before.
    return _page(trace, "".join(parts), [one_scope(_HERE, SCRIPTS)], later={"plotly": script}, served=served)


def empty_document(trace: Trace) -> bytes:
    """The page of a trace without events: says so, and what the probes said."""
    said = ""
    for probe in trace.manifest.get("probes") or []:
        if isinstance(probe, Mapping):
            because = f", because {probe['reason']}" if probe.get("reason") else ""
            line = legible(f"{probe.get('name')}: {probe.get('status')}{because}")
            said += f"<li>{html.escape(line)}</li>"
    return _page(
        trace,
        f'<header id="bar">{_heading(trace)}</header><main id="empty"><h2>This trace holds no events.</h2>'
        "<p>Nothing was recorded, or its tables were not built yet.</p>"
        f"{f'<ul>{said}</ul>' if said else ''}</main>",
        [],
    )


def _page(trace: Trace, body: str, scripts: list[str], **more: Any) -> bytes:
    title = f"{legible(trace.name, 120)} · tftrace timeline"
    return page(title, body, resource(_HERE, "timeline.css"), scripts, **more)


def _heading(trace: Trace) -> str:
    label = '<strong id="synthetic">synthetic: stand-in GPU</strong>' if trace.synthetic else ""
    return f'<h1>tftrace <span dir="auto">{html.escape(legible(trace.name, 120))}</span></h1>{label}'
