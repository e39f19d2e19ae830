"""A run of any length: a recorded one, its records repeated one behind the other in time."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from measure import ROOT, TFTRACE, environment

from tftrace.agent import contract
from tftrace.ingest.agent_raw import processes, read_process

SCRIPT = """
import tensorflow as tf
small, images, filters = tf.constant([1.0, -2.0]), tf.ones([1, 8, 8, 8]), tf.ones([3, 3, 8, 8])
for _ in range(4000):
    tf.nn.relu(small)
    tf.nn.relu(small)
    tf.nn.conv2d(images, filters, 1, "SAME")
"""
_REFERENCES = {"dispatch": ("parent",), "itt": ("parent", "call"), "onednn": ("itt",)}
"""Columns that hold the number of a record + 1, of `dispatch` (`parent` there, `call`) or of `itt` (the others)."""


def recorded(place: Path) -> Path:
    """Records an eager loop (two of three ops have no library call, the third is a primitive of oneDNN) with the
    default probes but the profiler, whose windows are bounded whatever the length."""
    script = place / "loop.py"
    script.write_text(SCRIPT)
    command = [*TFTRACE, "run", "--quiet", "--no-tf-profiler", "-o", str(place / "recorded"), str(script)]
    done = subprocess.run(
        command,
        env=environment() | {"TF_ENABLE_ONEDNN_OPTS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the run to be repeated ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return place / "recorded"


def lengthened(run: Path, to: Path, times: int) -> None:
    """The trace `run` with its records `times` times, without tables."""
    shutil.copytree(run, to, ignore=shutil.ignore_patterns("*.parquet", "manifest.json"))
    process = processes(to / "raw")[0]
    raw = read_process(process)
    kept = {
        "dispatch": raw.dispatch[raw.dispatch["t0"] > 0],
        "itt": raw.itt[raw.itt["t0"] > 0],
        "onednn": raw.onednn[raw.onednn["t"] > 0],
    }
    first = int(kept["dispatch"]["t0"].min())
    span = int(max(kept["dispatch"]["t1"].max(), kept["itt"]["t1"].max())) - first + 1000
    counts = {"parent": 0, "call": len(kept["dispatch"]), "itt": len(kept["itt"])}
    for name, records in kept.items():
        with (process / f"{name}.bin").open("wb") as file:
            for turn in range(times):
                some = records.copy()
                for column in ("t0", "t1", "t"):
                    if column in (some.dtype.names or ()):
                        some[column] = np.where(some[column] > 0, some[column] + turn * span, 0)
                for column in _REFERENCES[name]:
                    more = turn * (len(records) if column == "parent" else counts[column])
                    some[column] = np.where(some[column] > 0, some[column] + np.uint64(more), 0)
                some.tofile(file)
    clocks = np.fromfile(process / "clocks.bin", np.dtype(contract.CLOCK.dtype))
    last = clocks[-1:].copy()
    for column in contract.CLOCK.dtype:
        last[column[0]] += times * span
    np.concatenate([clocks, last]).tofile(process / "clocks.bin")
    status = json.loads((process / "status.json").read_text())
    if status.get("stopped"):
        status["stopped"] = int(status["stopped"]) + (times - 1) * span
        (process / "status.json").write_text(json.dumps(status))


def made_runs(sizes: list[int], place: Path) -> dict[int, Path]:
    """Runs of about so many events each (an op call is four to six)."""
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        run = recorded(Path(scratch))
        events = int(json.loads((run / "manifest.json").read_text())["tables"]["events"])
        made = {size: place / f"run-{size}" for size in sizes}
        for size, to in made.items():
            lengthened(run, to, max(round(size / events), 1))
    return made
