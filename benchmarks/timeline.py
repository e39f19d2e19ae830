"""The timeline of a made trace: time to write and size of the page, then how it feels in headless Chromium, from a
file and served, beside plain plotly with every event a bar.

    python benchmarks/timeline.py                     10,000,000 events; plotly with 5,000 of them
    python benchmarks/timeline.py --events 1000000 --bars 5000 20000
    python benchmarks/timeline.py --quick             a few events and steps: that it works at all

The trace is that of made_trace.py: eight linked events a call, on four threads and four streams. Pages are written,
and served, by processes of their own. Times to write are without starting Python, with all imports; CPU seconds stand
beside the wall's, because other load on the machine changes only those.

"First picture" runs from the start of the page's navigation to the first frame with events. A step is a turn of the
wheel or a drag; its "gap" is the longest time between two frames until the page has settled, "settled" the time from
the step's last input to the page's last change. A "tile" is one chunk of events asked of the server.

Perfetto's trace processor is no peer here: its package on PyPI holds no binary, and fetches one from elsewhere when it
is first used.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from made_trace import made_trace
from measure import TFTRACE, environment, machine, machine_line, print_document, table

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
STEPS = ["in"] * 12 + ["drag"] * 6 + ["in"] * 6 + ["drag"] * 6 + ["out"] * 10
TILES = 200
GOALS = {
    "page": {"s": 20, "mb": 25, "first_ms": 1500, "gap_ms": 50, "settled_ms": 300},
    "served": {"first_ms": 1500, "gap_ms": 50, "settled_ms": 300, "tile_ms": 150, "resident_mb": 1000},
}
COLUMNS = {
    "s": "s to write", "cpu_s": "CPU s", "mb": "page MB", "first_ms": "first ms", "gap_ms": "gap p95",
    "settled_ms": "settled p95", "tile_ms": "tile p95", "resident_mb": "resident MB", "peak_mb": "peak MB",
}  # fmt: skip

# Runs before any script of the page. The page must have been still for a quarter of a second to count as settled.
WATCH = """
window.seen = {frames: [], last: 0, first: 0, input: 0, from: 0};
const tick = () => { seen.frames.push(performance.now());
  const status = document.querySelector('#status');
  if (!seen.first && (window.drawn || (status && /in view/.test(status.textContent)))) seen.first = performance.now();
  requestAnimationFrame(tick); };
requestAnimationFrame(tick);
new MutationObserver(() => { seen.last = performance.now(); })
  .observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
for (const kind of ['wheel', 'pointerdown', 'pointermove', 'pointerup'])
  addEventListener(kind, (e) => { seen.input = e.timeStamp; seen.from ||= e.timeStamp; }, true);
window.begin = () => { seen.from = 0; };
window.settled = () => new Promise((done) => {
  const began = performance.now();
  const look = () => { const now = performance.now(), last = Math.max(seen.last, seen.input);
    if ((now - last < 250 || !seen.from) && now - began < 30000) { setTimeout(look, 15); return; }
    const before = seen.frames.findLastIndex((t) => t <= seen.from);
    const all = seen.frames.slice(Math.max(0, before)).filter((t) => t <= last + 40);
    let gap = 0; for (let i = 1; i < all.length; i++) gap = Math.max(gap, all[i] - all[i - 1]);
    done([gap, last - seen.input]); };
  look(); });
"""

WRITE = """
import json, re, resource, sys, time
began = time.perf_counter()
from pathlib import Path
from tftrace.api import load
from tftrace.views.timeline import write_timeline
info = write_timeline(load(sys.argv[1]), Path(sys.argv[2]))
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_SELF)
peak_kb = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]  # ru_maxrss counts the parent's too
print(json.dumps({"s": seconds, "cpu_s": used.ru_utime + used.ru_stime, "mb": info.bytes / 1e6,
                  "peak_mb": int(peak_kb) / 1e3, "exact_events": info.exact_events,
                  "exact_from_ns": info.exact_from_ns}))
"""

BARS = """
import json, sys, time
began = time.perf_counter()
import plotly.graph_objects as go
from tftrace.api import load
rows = load(sys.argv[1]).tables["events"].slice(0, int(sys.argv[3])).to_pandas()
figure = go.Figure()
for layer, of in rows.groupby("layer", observed=True):
    lane = of.tid.astype("string").fillna(of.device.astype("string")) + f" {layer}"
    figure.add_bar(base=(of.start_ns - rows.start_ns[0]) / 1e9, x=of.dur_ns / 1e9, y=lane, orientation="h",
                   text=of.name, name=str(layer))
figure.update_layout(barmode="overlay", dragmode="pan")
figure.write_html(sys.argv[2], config={"scrollZoom": True}, post_script="requestAnimationFrame(()=>{window.drawn=1})")
print(json.dumps({"s": time.perf_counter() - began}))
"""


def in_a_process(code: str, *arguments: str) -> dict[str, float]:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout)
    return found


def feel(address: str, steps: Sequence[str]) -> dict[str, float]:
    """First picture, frame gap and settled time of the page."""
    from playwright.sync_api import sync_playwright

    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, headless=True, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(120_000)
        page.add_init_script(WATCH)
        page.goto(address, timeout=120_000)
        while not page.evaluate("seen.first"):
            page.wait_for_timeout(50)
        gaps, settled = [], []
        page.mouse.move(800, 400)
        page.evaluate("settled()")
        for number, step in enumerate(steps):
            page.mouse.move(800, 400)
            page.evaluate("begin()")
            if step == "drag":
                page.mouse.down()
                for part in range(1, 7):
                    page.mouse.move(800 + (-1) ** number * part * 40, 400)
                page.mouse.up()
            else:
                page.mouse.wheel(0, -240 if step == "in" else 240)
            gap, until = page.evaluate("settled()")
            gaps.append(gap)
            settled.append(until)
        first = page.evaluate("seen.first")
        browser.close()
    return {"first_ms": first, "gap_ms": p95(gaps), "settled_ms": p95(settled)}


def p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


def serve(trace: Path, steps: Sequence[str]) -> dict[str, float]:
    """As `feel`, of the served page; the time of its tiles, and what the server takes of memory."""
    began = time.perf_counter()
    command = [*TFTRACE, "view", str(trace), "--serve"]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout
        url = server.stdout.readline().strip()
        ready = time.perf_counter() - began
        try:
            found = feel(url, steps)
            host, token = re.findall(r"//([^/]+)/([^/]+)/", url)[0]
            connection = http.client.HTTPConnection(host)
            connection.request("GET", f"/{token}/")
            body = connection.getresponse().read()
            meta = re.search(rb'id="meta">(.*?)</script>', body)
            assert meta
            chunks, times = len(json.loads(meta[1])["chunks"]), []
            for number in np.random.default_rng(0).integers(0, chunks, TILES).tolist():
                start = time.perf_counter()
                connection.request("POST", f"/{token}/chunk", str(number))
                connection.getresponse().read()
                times.append((time.perf_counter() - start) * 1e3)
            status = Path(f"/proc/{server.pid}/status").read_text()
            resident, peak = (int(re.findall(rf"{k}:\s+(\d+)", status)[0]) / 1e3 for k in ("VmRSS", "VmHWM"))
        finally:
            server.terminate()  # a shell's background jobs ignore SIGINT, and so do their children
    size = len(body) / 1e6
    return {"s": ready, "mb": size, **found, "tile_ms": p95(times), "resident_mb": resident, "peak_mb": peak}


def measure(n: int, bars: Sequence[int], place: Path, steps: Sequence[str]) -> dict[str, dict[str, float]]:
    trace, page, plain = place / "trace", place / "page.html", place / "bars.html"
    made_trace(trace, n)
    rows = {"page": in_a_process(WRITE, str(trace), str(page))}
    rows["page"] |= feel(page.as_uri(), steps)
    rows["served"] = serve(trace, steps)
    for few in bars:
        row = in_a_process(BARS, str(trace), str(plain), str(few))
        # A step takes plotly seconds: every fourth tells the same.
        rows[f"plotly, {few:,} bars"] = {
            **row,
            "mb": plain.stat().st_size / 1e6,
            **feel(plain.as_uri(), steps[::4]),
        }
    return rows


def shown(rows: dict[str, dict[str, float]]) -> str:
    lines = []
    for name, row in rows.items():
        cells = [f"{row[c]:,.{1 if c in ('s', 'cpu_s', 'mb') else 0}f}" if c in row else "" for c in COLUMNS]
        lines.append([name, *cells])
        if name in GOALS:
            goal = GOALS[name]
            lines.append(["  goal, at most", *(f"{goal[c]:,}" if c in goal else "" for c in COLUMNS)])
    return table(["", *COLUMNS.values()], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--bars", type=int, nargs="*", default=[5_000], help="events that plotly draws")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    events = 20_000 if options.quick else options.events
    bars = [200] if options.quick else options.bars
    if min([events, *bars]) < 8 or events < max([8, *bars]):
        parser.error("--events is at least 8 and no less than --bars")
    with tempfile.TemporaryDirectory() as place:
        rows = measure(events, bars, Path(place), STEPS[::10] if options.quick else STEPS)
    of_page = rows["page"]
    if options.json:
        print_document(
            {"benchmark": "timeline", "machine": machine(), "events": events, "goals": GOALS, "rows": rows}
        )
        return
    waiting = f"{os.getloadavg()[2]:.1f} processes wanted to run, mean of 15 minutes"
    print(
        f"{machine_line()}\n{waiting}\n\n{events // 8 * 8:,} events; times of the browser in ms\n{shown(rows)}\n"
    )
    kept = f"{of_page['exact_events']:,.0f} events stand in the page one by one"
    shorter = f"those shorter than {of_page['exact_from_ns'] / 1e3:,.0f} us in blocks"
    print(f"{kept}, {shorter}." if of_page["exact_from_ns"] else f"{kept}.")


if __name__ == "__main__":
    sys.exit(main())
