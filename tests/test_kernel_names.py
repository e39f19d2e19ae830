"""What the documentation claims of kernel names is what the benchmark measures on labelled calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(shared_data: Path, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "benchmarks" / "kernel_names.py"), *arguments]
    env = {**os.environ, "TFTRACE_SHARED_DATA": str(shared_data), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def judged(shared_data: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(shared_data, "--json"))
    return document


def test_the_page_shows_what_the_script_prints(shared_data: Path) -> None:
    page = (ROOT / "docs" / "kernel-names.md").read_text()
    assert page.rpartition("```text\n")[2].partition("```")[0] == run(shared_data)


def test_calls_of_known_algorithm_are_told_right(judged: dict[str, Any]) -> None:
    trials, calls = judged["sources"]
    assert calls["calls"] > 700
    assert calls["right"] / calls["calls"] >= 0.97
    # TensorFlow's trials: all but ALGO_3, whose kernels are those of ALGO_1
    wrong = [r for r in judged["algorithms"] if r["recall"] < 1]
    assert [(r["direction"], r["algorithm"]) for r in wrong] == [("backprop_filter", "ALGO_3")]
    assert trials["macro_recall"] > 0.94


def test_confidence_is_the_share_that_is_right(judged: dict[str, Any]) -> None:
    assert judged["expected_calibration_error"] < 0.05
    for row in judged["calibration"]:
        assert abs(row["confidence"] - row["share"]) <= 0.051
