"""The HTML document around data and code: skeleton, content security policy, page of an empty trace."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from tftrace.model.trace import Trace
from tftrace.views.timeline.columns import legible

SCRIPTS = ("data.js", "draw.js", "axes.js", "panel.js", "search.js", "timeline.js")
"""Parts of one script, in this order; they share one scope."""

_MAP_SHEET = re.compile(r'document\.getElementById\("([0-9a-f]{64})"\)')

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
<dt><kbd>Alt</kbd> + wheel</dt><dd>scroll the lanes (or wheel over their names)</dd>
<dt><kbd>0</kbd></dt><dd>whole trace</dd>
<dt>click</dt><dd>chain of the event's call; a block: zoom in</dd>
<dt><kbd>/</kbd>, <kbd>Enter</kbd></dt><dd>search, next hit (<kbd>Shift</kbd>: previous)</dd>
<dt><kbd>Esc</kbd></dt><dd>close the panel, end the search</dd></dl>
<div>A lane is a layer of one thread or device stream; below one another in it, what ran inside what. Where
events are too short to see they are drawn as blocks: the height is the share of time that was busy. The
address of the page holds the stretch in view: copy it to share what you see.</div></div></details>
</div></header>
<p id="notes" hidden></p>
<canvas id="overview" aria-hidden="true"></canvas>
<main id="main"><div id="plot"></div><div id="stretch" hidden></div>
<aside id="panel" aria-label="Selected event" tabindex="-1" hidden>
<button id="close" type="button" title="Close (Esc)" aria-label="Close">✕</button>
<div id="panel-body"></div></aside></main>
<footer id="status" role="status">Unpacking ..</footer>
"""


def timeline_document(trace: Trace, meta: Mapping[str, Any], data: Mapping[str, str]) -> bytes:
    """The page: `meta` as JSON, each text of `data` in an element `data-<name>`, plotly and the page's own
    script."""
    from plotly.offline import get_plotlyjs  # heavy: only where a page is drawn

    as_json = json.dumps(meta, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    parts = [
        _SKELETON.format(heading=_heading(trace)),
        f'<script type="application/json" id="meta">{as_json}</script>\n',
        *(f'<script type="text/plain" id="data-{name}">{text}</script>\n' for name, text in data.items()),
    ]
    app = "(() => {\n'use strict';\n" + "\n".join(_resource(name) for name in SCRIPTS) + "\n})();"
    plotly = get_plotlyjs()
    # Plotly's map library writes a style sheet unless an element of its id is there. No map is drawn, so an
    # empty element takes its place, rather than the policy an exception.
    sheets = "".join(f'<style id="{key}"></style>' for key in sorted(set(_MAP_SHEET.findall(plotly))))
    return _document(trace, sheets + "".join(parts), [plotly, app])


def empty_document(trace: Trace) -> bytes:
    """The page of a trace without events: says so, and what the probes said."""
    said = ""
    for probe in trace.manifest.get("probes") or []:
        if isinstance(probe, Mapping):
            because = f", because {probe['reason']}" if probe.get("reason") else ""
            line = legible(f"{probe.get('name')}: {probe.get('status')}{because}")
            said += f"<li>{html.escape(line)}</li>"
    return _document(
        trace,
        f'<header id="bar">{_heading(trace)}</header><main id="empty"><h2>This trace holds no events.</h2>'
        "<p>Nothing was recorded, or its tables were not built yet.</p>"
        f"{f'<ul>{said}</ul>' if said else ''}</main>",
        [],
    )


def _document(trace: Trace, body: str, scripts: list[str]) -> bytes:
    css = _resource("timeline.css")
    # Plotly writes its rules into an empty <style> element through the CSSOM, hence the hash of nothing; its
    # hover labels carry style attributes. Nothing may be fetched, framed, submitted or evaluated.
    sheets = f"{_hash(css)} {_hash('')}"
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts)) or chr(39) + 'none' + chr(39)}; "
        f"style-src {sheets}; style-src-elem {sheets}; style-src-attr 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{html.escape(legible(trace.name, 120))} · tftrace timeline</title>",
        f"<style>{css}</style></head>\n<body>{body}",
        *(f"<script>{script}</script>" for script in scripts),
        "</body></html>\n",
    ]
    return "".join(parts).encode()


def _resource(name: str) -> str:
    return files("tftrace.views.timeline").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _heading(trace: Trace) -> str:
    label = '<strong id="synthetic">synthetic: stand-in GPU</strong>' if trace.synthetic else ""
    return f'<h1>tftrace <span dir="auto">{html.escape(legible(trace.name, 120))}</span></h1>{label}'
