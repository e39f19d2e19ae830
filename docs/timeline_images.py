"""Takes the screenshots of docs/timeline.md again: `python docs/timeline_images.py`.

Needs playwright, Pillow and Chromium; reads the traces in traces/examples.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import tftrace  # noqa: E402
from tftrace.model.trace import Trace  # noqa: E402
from tftrace.views.pictures.page import write_picture  # noqa: E402
from tftrace.views.timeline import write_timeline  # noqa: E402
from tftrace.views.timeline.compose import composer  # noqa: E402

IMAGES = ROOT / "docs" / "images"
EXAMPLES = ROOT / "traces" / "examples"
SIZE = {"width": 1200, "height": 720}


def seconds(trace: Trace, start: int, end: int, room: float) -> str:
    """The part of the link for a stretch of time, with `room` of its length on both sides."""
    t0 = int(trace.events["start_ns"].min())
    more = (end - start) * room
    return f"#t={(start - t0 - more) / 1e9:.9f},{(end - t0 + more) / 1e9:.9f}"


def others_folded(trace: Trace) -> str:
    """The part of the link that folds what is neither the main thread nor a stream, and lanes that are mostly empty."""
    made = composer(trace)
    assert made
    tracks = made.events.lanes.tracks
    threads = [f"t{i}" for i, track in enumerate(tracks) if i and " stream " not in track.label]
    return "&f=" + ".".join([*threads, "l0-2"])


def stretch_of(trace: Trace, rows: Any) -> tuple[int, int]:
    return int(rows["start_ns"].min()), int((rows["start_ns"] + rows["dur_ns"].fillna(0)).max())


def stretches() -> Iterator[tuple[str, Trace, str]]:
    """(name of the image, trace, link to what it shows)."""
    gpu, keras = (tftrace.load(EXAMPLES / name) for name in ("h200_conv2d", "conv_keras"))
    yield "whole", gpu, ""
    calls = keras.calls
    step = calls[calls["step"] == 3]
    start = int(step["start_ns"].min())
    outer = step[step["parent_call_id"].isna()]
    yield (
        "step",
        keras,
        seconds(keras, start, int((outer["start_ns"] + outer["total_ns"]).max()), 0.05) + "&f=l0-3",
    )
    calls, sites = gpu.calls, gpu.sites.set_index("site_id")
    conv = calls[(calls["site_id"].map(sites["op"]) == "Conv2D") & ~calls["warm_up"]].iloc[-1]
    members = gpu.frame("event_calls")
    mine = gpu.events[gpu.events["event_id"].isin(members[members["call_id"] == conv["call_id"]]["event_id"])]
    kernel = mine[mine["layer"] == "kernel"].iloc[0]
    start = int(conv["start_ns"])
    yield (
        "op",
        gpu,
        seconds(gpu, start, start + int(conv["total_ns"]), 0.1)
        + others_folded(gpu)
        + f"&e={kernel['event_id']}",
    )
    device = mine[mine["layer"] == "device"]
    work = device.loc[device["dur_ns"].idxmax()]
    links = gpu.links
    launch = gpu.events[
        gpu.events["event_id"].isin(links[links["child_id"] == work["event_id"]]["parent_id"])
    ]
    low, high = stretch_of(gpu, mine[mine["event_id"].isin([work["event_id"], *launch["event_id"]])])
    yield "kernel", gpu, seconds(gpu, low, high, 0.2) + others_folded(gpu) + f"&e={work['event_id']}"
    low, high = stretch_of(gpu, mine)
    yield (
        "totals",
        gpu,
        seconds(gpu, low, high, 0.5) + others_folded(gpu) + "&r=" + seconds(gpu, low, high, 0)[3:],
    )


def pictures() -> Iterator[tuple[str, Trace, Any, str]]:
    gpu, keras = (tftrace.load(EXAMPLES / name) for name in ("h200_conv2d", "conv_keras"))
    yield "flame", gpu, tftrace.flame(gpu, steady=True), "flame graph, without warm-up"
    yield "steps", keras, tftrace.steps(keras, steady=True), "steps without warm-up, by layer"
    yield "waterfall", gpu, tftrace.waterfall(gpu, "conv2d"), "conv2d: where its time goes, layer by layer"


def shoot(browser: Any, page: Path, link: str, name: str, dark: bool) -> None:
    from PIL import Image

    context = browser.new_context(viewport=SIZE, color_scheme="dark" if dark else "light", offline=True)
    opened = context.new_page()
    opened.goto(page.resolve().as_uri() + link)
    opened.wait_for_selector("html[data-ready]")
    if "&e=" in link or "&r=" in link:
        opened.wait_for_selector("#panel")
    opened.wait_for_timeout(700)  # the axis follows the picture
    image = Image.open(io.BytesIO(opened.screenshot())).convert("RGB")
    # Flat colours: a palette that reaches the rare ones too makes the file a third.
    few = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(IMAGES / f"{name}_{'dark' if dark else 'light'}.png", optimize=True)
    context.close()


def main() -> None:
    from playwright.sync_api import sync_playwright

    IMAGES.mkdir(exist_ok=True)
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, headless=True, args=flags)
        page = Path(place) / "page.html"
        for name, trace, link in stretches():
            write_timeline(trace, page)
            for dark in (False, True):
                shoot(browser, page, link, f"timeline_{name}", dark)
        for name, trace, figure, said in pictures():
            write_picture(figure, trace, said, page)
            for dark in (False, True):
                shoot(browser, page, "", name, dark)
        browser.close()


if __name__ == "__main__":
    main()
