"""Traces of the stand-in GPU, each recorded once."""

from __future__ import annotations

import pytest

from tests.capture.running import environment, run
from tests.standin_gpu.build import SCRIPTS
from tftrace.api import load
from tftrace.model.trace import Trace


@pytest.fixture(scope="package")
def standin_trace(standin_gpu: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """A cold and two warm eager convolutions, in a directory `traces` of its own."""
    place = tmp_path_factory.mktemp("standin") / "traces" / "conv"
    place.parent.mkdir()
    done = run(SCRIPTS / "eager_conv.py", traced_to=place, env=environment(**standin_gpu))
    assert done.exit_status == 0, done.stderr.decode()
    return load(place)
