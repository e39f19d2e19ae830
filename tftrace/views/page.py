"""One HTML file that needs no network: skeleton, content security policy, plotly, and clean text.

All text of a trace is hostile: names come from user code, from libraries and from files that someone else wrote. What
`legible` gives is printable, ordered left to right and of bounded length; it is not escaped for HTML, which a page does
by setting it as text only.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from tftrace.errors import UsageError

TEXT_LIMIT = 400
"""Characters of one text that a page carries; a longer one is cut and says how long it was."""

SERVED_POLICY = "connect-src 'self'; "

_MAP_SHEET = re.compile(r'document\.getElementById\("([0-9a-f]{64})"\)')

# Control characters, marks that reorder or hide text (bidirectional overrides and isolates, zero-width
# characters, byte order mark) and lone surrogates. Letters of right-to-left scripts stay: only the marks can
# fake an order.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def legible(text: str, limit: int = TEXT_LIMIT) -> str:
    """`text` with every unseen character spelled out (`\\x00`, `\\u202e`) and cut to `limit` characters."""
    length = len(text)
    clean = _UNSEEN.sub(_spell, text[:limit])[:limit]
    return clean if length <= limit else f"{clean}… ({length:,} characters)"


def _spell(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def page(
    title: str,
    body: str,
    css: str,
    scripts: list[str],
    *,
    later: Mapping[str, str] | None = None,
    served: bool = False,
) -> bytes:
    """The page: `body` is HTML, `scripts` run after it in their order; nothing else may run, and nothing is fetched,
    but from the server that the page itself came from where it is `served`. A script of `later` stands as text in the
    element of its name, until another one lets it run."""
    css = resource("tftrace.views", "theme.css") + css
    # Plotly writes its rules into an empty <style> element through the CSSOM, hence the hash of nothing; its
    # hover labels carry style attributes. Nothing may be fetched, framed, submitted or evaluated.
    sheets = f"{_hash(css)} {_hash('')}"
    waiting = later or {}
    allowed = [_hash(script) for script in (*scripts, *waiting.values())]
    policy = (
        f"default-src 'none'; script-src {' '.join(allowed) or chr(39) + 'none' + chr(39)}; "
        f"style-src {sheets}; style-src-elem {sheets}; style-src-attr 'unsafe-inline'; img-src data: blob:; "
        f"{SERVED_POLICY if served else ''}base-uri 'none'; form-action 'none'"
    )
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{html.escape(legible(title, 200))}</title>",
        f"<style>{css}</style></head>\n<body>{body}",
        *(f'<script type="text/plain" id="{name}">{script}</script>' for name, script in waiting.items()),
        *(f"<script>{script}</script>" for script in scripts),
        "</body></html>\n",
    ]
    return "".join(parts).encode()


def plotly() -> tuple[str, str]:
    """(plotly's script, HTML to put before it)."""
    from plotly.offline import get_plotlyjs  # heavy: only where a page is drawn

    script = get_plotlyjs()
    # Plotly's map library writes a style sheet unless an element of its id is there. No map is drawn, so an
    # empty element takes its place, rather than the policy an exception.
    return script, "".join(f'<style id="{key}"></style>' for key in sorted(set(_MAP_SHEET.findall(script))))


def json_element(name: str, value: Any) -> str:
    """`value` as JSON in an element that a script reads by the id `name`."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return f'<script type="application/json" id="{name}">{text.replace("<", chr(92) + "u003c")}</script>\n'


def one_scope(package: str, names: tuple[str, ...]) -> str:
    """The scripts of these names in `package` as one, in this order; they share one scope."""
    return "(() => {\n'use strict';\n" + "\n".join(resource(package, name) for name in names) + "\n})();"


def resource(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def write_page(content: bytes, path: Path) -> None:
    """All or nothing: a reader never finds half a page. Raises UsageError where `path` cannot be written."""
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(
            f"cannot write {path}: {error.strerror}; name a file in a directory you may write"
        ) from error


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
