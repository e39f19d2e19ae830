"""In CI a skipped test on recorded data is a failure, where the data is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SKIPPING = """
import pytest


def test_on_recordings(shared_data):
    pytest.skip("something is missing")


def test_on_nothing():
    pytest.skip("something is missing")
"""


@pytest.mark.parametrize(
    ("ci", "data", "outcome"),
    [("1", True, "1 failed, 1 skipped"), ("", True, "2 skipped"), ("1", False, "2 skipped")],
)
def test_a_skip_on_recorded_data_fails_in_ci(tmp_path: Path, ci: str, data: bool, outcome: str) -> None:
    test = tmp_path / "test_skipping.py"
    test.write_text(SKIPPING)
    recordings = tmp_path / "data"
    if data:
        recordings.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.conftest", "-c", os.devnull,
         "--rootdir", str(tmp_path), str(test)],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "CI": ci, "TFTRACE_SHARED_DATA": str(recordings)},
    )  # fmt: skip
    assert outcome in done.stdout, done.stdout + done.stderr
