"""What the tests share: the recorded data, and traces of small scripts, each recorded once a session."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import pytest

from tests.capture.running import SCRIPTS, environment, run
from tests.schedule import pytest_xdist_auto_num_workers, pytest_xdist_make_scheduler
from tests.stacks import environments as stacks
from tests.standin_gpu import build as standin
from tests.standin_gpu import older
from tests.standin_gpu.real_cudnn import build as nvidia
from tftrace.api import load
from tftrace.model.trace import Trace

__all__ = [
    "pytest_xdist_auto_num_workers",
    "pytest_xdist_make_scheduler",
]  # hooks; the fixtures need no naming

ROOT = Path(__file__).parents[1]
T = TypeVar("T")
SHARED_DATA = Path(os.environ.get("TFTRACE_SHARED_DATA") or ROOT.parent / "shared" / "data")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_spec("tensorflow") is None:
        missing = pytest.mark.skip(reason="TensorFlow is not installed in this environment")
        for item in items:
            if item.get_closest_marker("tf"):
                item.add_marker(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test on the recorded data that is there must run: to skip it would hide what it is there to find."""
    report = yield
    needs_data = "shared_data" in getattr(item, "fixturenames", ())
    if report.skipped and not hasattr(report, "wasxfail") and needs_data and must_not_skip():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped in CI although {SHARED_DATA} is there ({reason})"
    return report


def must_not_skip() -> bool:
    return bool(os.environ.get("CI")) and SHARED_DATA.is_dir()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recordings that are too large for the repository; tests that need them skip where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no recorded data at {SHARED_DATA}; set TFTRACE_SHARED_DATA")
    return SHARED_DATA


@pytest.fixture(scope="session")
def standin_gpu() -> dict[str, str]:
    """Environment variables with which TensorFlow in a child process finds the stand-in GPU (tests/standin_gpu)."""
    try:
        return standin.environment(standin.build())
    except standin.UnavailableError as reason:
        pytest.skip(f"no stand-in GPU: {reason}")


@pytest.fixture(scope="session")
def real_cudnn() -> dict[str, str]:
    """The same with NVIDIA's own cuDNN behind it (tests/standin_gpu/real_cudnn)."""
    return _with_downloads("real cuDNN", lambda allowed: nvidia.environment(nvidia.build(allowed)))


@pytest.fixture(scope="session")
def cudnn_packages() -> Path:
    """The directory with NVIDIA's packages that `real_cudnn` runs on: cuDNN, cuBLAS, nvrtc."""
    return _with_downloads("real cuDNN", lambda allowed: nvidia.packages(allowed).parent)


@pytest.fixture(scope="session")
def older_tensorflow() -> older.Older:
    """An interpreter with TensorFlow 2.15.1, and the environment in which it finds a stand-in GPU with cuDNN 8."""
    return _with_downloads("older TensorFlow", older.prepare)


@pytest.fixture(scope="session")
def stack() -> Callable[[str], str]:
    """The interpreter of an environment with an older stack (tests/stacks/requirements), by its name."""
    base = stacks.base_python()
    if base is None:
        pytest.skip("the older stacks need Python 3.11, and there is no python3.11 on PATH")
    return lambda name: _with_downloads(name, lambda allowed: stacks.interpreter(name, base, allowed))


def _with_downloads(what: str, make: Callable[[bool], T]) -> T:
    """What needs large packages; where they cannot be had the test skips, or fails if downloads were allowed."""
    allowed = os.environ.get(standin.DOWNLOAD) == "1"
    try:
        return make(allowed)
    except standin.UnavailableError as reason:
        if allowed:
            pytest.fail(f"no {what}: {reason}")
        pytest.skip(f"no {what}: {reason}")


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trace]:
    """Records a script of tests/capture/scripts and opens its trace; the script has to succeed."""

    def record(script: str, *options: str, python: str = sys.executable, **env: str) -> Trace:
        place = tmp_path_factory.mktemp(Path(script).stem) / "trace"
        done = run(SCRIPTS / script, traced_to=place, options=options, env=environment(**env), python=python)
        assert done.exit_status == 0, done.stderr.decode("utf-8", "replace")
        return load(place)

    return record


@pytest.fixture(scope="session")
def conv_trace(recorded: Callable[..., Trace]) -> Trace:
    """80 eager convolutions 8x56x56x64 by 3x3x64x64 (line 16), 10 in a function (line 11)."""
    return recorded("conv.py")


@pytest.fixture(scope="session")
def mixed_trace(recorded: Callable[..., Trace]) -> Trace:
    """Eager ops, a function, gradients, tf.data, variables and a Session."""
    return recorded("mixed.py")
