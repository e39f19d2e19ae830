"""The grounds on which the GPU path is tested: one set of assertions for all of them.

- the stand-in GPU with a cuDNN of its own (tests/standin_gpu): the real TensorFlow, everything below it made up;
- NVIDIA's own cuDNN on that stand-in: engines, knobs, workspaces and what cuDNN refuses are genuine, times are not;
- a real GPU, with the marker `gpu`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import pytest

from tests.capture.running import environment
from tests.standin_gpu.build import SCRIPTS
from tftrace.model.trace import Trace

Traced = Callable[..., Trace]

LOOK = """
import tensorflow as tf
for gpu in tf.config.list_physical_devices("GPU"):
    print("GPU", tf.config.experimental.get_device_details(gpu).get("device_name"))
"""


@dataclass(frozen=True)
class Ground:
    """Where TensorFlow finds its GPU: variables for a child process, and what of its answers is made up."""

    name: str
    env: dict[str, str]
    synthetic: bool


@cache
def real_gpus() -> tuple[str, ...]:
    """Names of the GPUs that this environment's TensorFlow can use."""
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, env=environment())
    return tuple(line[4:] for line in done.stdout.splitlines() if line.startswith("GPU "))


@pytest.fixture(
    scope="session",
    params=[
        "stand-in",
        pytest.param("real cuDNN", marks=pytest.mark.real_cudnn),
        pytest.param("GPU", marks=pytest.mark.gpu),
    ],
)
def ground(request: pytest.FixtureRequest) -> Ground:
    if request.param == "stand-in":
        return Ground(request.param, request.getfixturevalue("standin_gpu"), synthetic=True)
    if request.param == "real cuDNN":
        return Ground(request.param, request.getfixturevalue("real_cudnn"), synthetic=True)
    if not real_gpus():
        pytest.skip("this environment's TensorFlow finds no GPU")
    return Ground(request.param, {}, synthetic=False)


@pytest.fixture(scope="session")
def recordings(recorded: Traced) -> Callable[..., Trace]:
    """Records a script of tests/standin_gpu/scripts in an environment, once for each choice of both and of options."""
    known: dict[tuple[str, ...], Trace] = {}

    def go(env: dict[str, str], script: str, *options: str, **more: str) -> Trace:
        key = (script, *options, *(f"{k}={v}" for k, v in sorted({**env, **more}.items())))
        if key not in known:
            known[key] = recorded(os.fspath(SCRIPTS / script), *options, **env, **more)
        return known[key]

    return go


@pytest.fixture(scope="session")
def traced(recordings: Callable[..., Trace], ground: Ground) -> Traced:
    """Records a script on each ground: traced(script, *options, **environment)."""
    return partial(recordings, ground.env)


@pytest.fixture(scope="session")
def on_standin(recordings: Callable[..., Trace], standin_gpu: dict[str, str]) -> Traced:
    """The same on the stand-in alone, for what is true of its made-up numbers only."""
    return partial(recordings, standin_gpu)
