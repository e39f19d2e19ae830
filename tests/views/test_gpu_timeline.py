"""The timeline of a recorded GPU profile: threads, then the streams of each device; what is told of a kernel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.views.browser import chromium, opened
from tests.views.test_timeline import embedded
from tests.views.test_timeline_page import READY
from tftrace.api import load
from tftrace.correlate.imported import import_files
from tftrace.views.timeline import write_timeline


@pytest.fixture(scope="module")
def page(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A step on eight V100, of which two ran replicas."""
    place = tmp_path_factory.mktemp("gpu")
    profile = shared_data / "xplane_gpu" / "tfprofiler_demo_gpu_multiworker.xplane.pb"
    path = place / "page.html"
    write_timeline(load(import_files([profile], place / "trace")), path)
    return path


def test_streams_stand_below_the_threads_device_by_device(page: Path) -> None:
    tracks = [str(track[0]) for track in embedded(page.read_bytes())["tracks"]]
    streams = [i for i, name in enumerate(tracks) if " stream " in name]
    assert streams == list(range(streams[0], len(tracks)))
    devices = [tracks[i].split(" stream ")[0] for i in streams]
    assert devices == sorted(devices)
    assert {"GPU:1", "GPU:4", "GPU:6"} == set(devices)
    assert embedded(page.read_bytes())["tracks"][streams[0]][1].endswith("/device:GPU:1")
    assert any(name.startswith("tf_gpu_private_4") for name in tracks)


def test_a_clock_that_counts_from_elsewhere_tells_no_date(page: Path) -> None:
    """The profile's times are those since it began: on the clock of the world that would be in 1970."""
    assert embedded(page.read_bytes())["began"] is None


@pytest.mark.browser
def test_a_kernel_is_found_and_leads_to_its_launch(page: Path) -> None:
    with chromium() as browser, opened(browser, page) as view:
        view.until(READY)
        view.page.fill("#search", "FillPhiloxRandomKernelLaunch")
        view.page.press("#search", "Enter")
        view.settle()
        view.until("/cuLaunchKernel/.test(document.querySelector('#panel').textContent)")
        assert re.search(r"correlation id", view.page.inner_text("#panel"))
        assert view.complaints() == []
