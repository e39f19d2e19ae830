"""Which tests one process runs: all of a file, so that what they share is recorded once, and all of the GPU path."""

from __future__ import annotations

import os
from typing import Any

import pytest

TOGETHER = ("tests/gpu_path",)
"""Folders whose files share recordings."""
MOST = 4
"""Processes: each may run a TensorFlow, with its memory and threads."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    if "gpu" in config.option.markexpr and "not gpu" not in config.option.markexpr:
        return 0  # a TensorFlow takes all of the GPU's memory
    return min(os.cpu_count() or 1, MOST)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return next((folder for folder in TOGETHER if file.startswith(folder)), file)

    return Together(config, log)
