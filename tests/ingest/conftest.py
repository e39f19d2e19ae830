"""Recorded data of other machines, which the project does not carry."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shared_data_directory() -> Path | None:
    """TFTRACE_SHARED_DATA, else shared/data beside the repository; None where neither is a directory."""
    path = Path(os.environ.get("TFTRACE_SHARED_DATA") or ROOT.parent / "shared" / "data")
    return path if path.is_dir() else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    path = shared_data_directory()
    if path is None:
        pytest.skip("no recorded data: neither TFTRACE_SHARED_DATA nor ../shared/data is a directory")
    return path
