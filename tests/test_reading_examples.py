"""Examples that read recorded traces say of them what the pages say."""

from __future__ import annotations

import subprocess
import sys

from tests.capture.running import ROOT, environment

EXAMPLES = ROOT / "traces" / "examples"


def printed(script: str, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / "reading" / script), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(PYTHONPATH=str(ROOT)), check=True
    )
    return done.stdout


def test_modes_side_by_side_tell_what_became_of_a_line() -> None:
    modes = ("eager", "function", "session", "xla", "fit")
    lines = printed("modes_side_by_side.py", *(str(EXAMPLES / f"five_modes_{m}") for m in modes)).splitlines()
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in lines if line.strip()}
    assert rows["33", "Max"] == ["ran", "10", "pruned", "pruned", "removed", "pruned"]
    assert rows["30", "BiasAdd"] == ["ran", "10", *["in", "Conv2D"] * 2, "ran", "10", "in", "Conv2D"]


def test_where_is_conv2d_ends_in_the_library_of_each_device() -> None:
    cpu, gpu = printed(
        "where_is_conv2d.py", "conv2d", str(EXAMPLES / "eager_conv2d"), str(EXAMPLES / "h200_conv2d")
    ).split("\n\n")[:2]
    assert "MklConvOp::Compute > dnnl::primitive::execute: static library" in cpu
    assert "CudnnExecutionPlanRunner::operator > cudnnBackendExecute: trampoline, dlopen and dlsym" in gpu
