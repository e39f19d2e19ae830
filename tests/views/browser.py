"""Headless Chromium for the tests of pages: opens a file or an address, and remembers whatever it complained about."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Runs before any script of the page: not every violation of the policy is a console message.
_WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (e) =>
  window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
"""

# The lowest contrast (WCAG 2) of any text on the page against the nearest background behind it, and where.
CONTRAST = """() => {
  const parse = (s) => (s.match(/[\\d.]+/g) || []).map(Number);
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, f, i) => {
    const v = c[i] / 255; return sum + f * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }, 0);
  let worst = [99, ''];
  for (const node of document.querySelectorAll('body *')) {
    if (!node.checkVisibility() || node.closest('script, style') || node.matches(':disabled')) continue;
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    if (!own) continue;
    const style = getComputedStyle(node);
    const ink = parse(node.namespaceURI.includes('svg') ? style.fill : style.color);
    let behind = node, paper = [255, 255, 255];
    for (; behind; behind = behind.parentElement) {
      const c = parse(getComputedStyle(behind).backgroundColor);
      if (c.length === 3 || c[3] === 1) { paper = c; break; }
    }
    const [a, b] = [light(ink), light(paper)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst[0]) worst = [ratio, node.textContent.slice(0, 60), ink.join(), paper.join()];
  }
  return worst; }"""


def chromium_path() -> str:
    """Path of Chromium; skips the test where there is none."""
    named = os.environ.get("TFTRACE_CHROMIUM")
    found = named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if not found:
        pytest.skip("no Chromium on this machine (TFTRACE_CHROMIUM names one)")
    return str(found)


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser of playwright's."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium_path()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """A page, and its complaints: console errors, exceptions, requests elsewhere, policy violations."""

    def __init__(
        self,
        browser: Any,
        place: Path | str,
        *,
        dark: bool = False,
        fragment: str = "",
        size: tuple[int, int] = (1400, 900),
        first: str = "",
    ) -> None:
        """`first` is a script that runs before those of the page."""
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            offline=isinstance(place, Path),
        )
        self.page = self.context.new_page()
        self._said: list[str] = []
        self.page.on(
            "console", lambda m: self._said.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self._said.append(f"exception: {error}"))
        self.page.on(
            "request",
            lambda r: (
                self._said.append(f"request: {r.url[:80]}")
                if not r.url.startswith(("file:" if isinstance(place, Path) else place, "data:"))
                else None
            ),
        )
        self.page.add_init_script(_WATCH + first)
        address = place.resolve().as_uri() if isinstance(place, Path) else place
        self.page.goto(address + fragment)

    def complaints(self) -> list[str]:
        return self._said + list(self.page.evaluate("window.violations"))

    def until(self, condition: str) -> None:
        """Waits until the JavaScript expression is true; fails after five seconds.

        Looks once a frame by `evaluate`: playwright's `wait_for_function` needs the `eval` that pages forbid.
        """
        outcome = self.page.evaluate(
            f"""() => new Promise((done) => {{
              const last = performance.now() + 5000;
              const look = () => ({condition}) ? done(true)
                : performance.now() > last ? done(false) : requestAnimationFrame(look);
              look();
            }})"""
        )
        assert outcome, f"never became true: {condition}"

    def settle(self) -> None:
        """Waits for two frames: whatever the last event asked to be drawn is drawn."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@contextmanager
def opened(browser: Any, place: Path | str, **options: Any) -> Iterator[Opened]:
    page = Opened(browser, place, **options)
    try:
        yield page
    finally:
        page.context.close()
