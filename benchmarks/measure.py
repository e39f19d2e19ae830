"""What the benchmarks share: medians with bootstrap intervals, verdicts against a goal, and processes to
time.

The benchmarks measure the checkout they stand in, installed or not.
"""

from __future__ import annotations

import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TFTRACE = [sys.executable, "-c", "from tftrace.cli import main; main()"]
"""The command `tftrace` of this checkout."""
ENOUGH = 5
"""Samples below which an interval says nothing."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A median and its 95 % bootstrap interval; `low` and `high` are None below ENOUGH samples."""

    median: float
    low: float | None
    high: float | None
    samples: int


def estimate(values: Sequence[float]) -> Estimate:
    middle = statistics.median(values)
    if len(values) < ENOUGH:
        return Estimate(middle, None, None, len(values))
    generator = random.Random(len(values))
    medians = sorted(statistics.median(generator.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Estimate(middle, medians[RESAMPLES // 40], medians[-RESAMPLES // 40 - 1], len(values))


def clustered(rounds: Sequence[Sequence[float]]) -> Estimate:
    """Median of all values; the interval draws rounds, and values within each round drawn, with replacement: values of
    one round have their process, and so its memory layout, in common."""
    values = [v for r in rounds for v in r]
    middle = statistics.median(values)
    if len(values) < 4 * ENOUGH:
        return Estimate(middle, None, None, len(values))
    generator = random.Random(len(values))
    medians = sorted(
        statistics.median(
            [v for r in generator.choices(rounds, k=len(rounds)) for v in generator.choices(r, k=len(r))]
        )
        for _ in range(RESAMPLES)
    )
    return Estimate(middle, medians[RESAMPLES // 40], medians[-RESAMPLES // 40 - 1], len(values))


def verdict(value: Estimate, goal: float, at_most: bool = True) -> str:
    """`met` or `missed` where the whole interval lies on one side of the goal, else `inconclusive`."""
    if value.low is None or value.high is None:
        return "inconclusive"
    low, high = (value.low, value.high) if at_most else (-value.high, -value.low)
    goal = goal if at_most else -goal
    return "met" if high <= goal else "missed" if low > goal else "inconclusive"


def shown(value: Estimate, unit: str = "", digits: int = 2) -> str:
    """E.g. `1.08 [1.05, 1.11]`."""
    text = f"{value.median:,.{digits}f}{unit}"
    if value.low is None or value.high is None:
        return text
    return f"{text} [{value.low:,.{digits}f}, {value.high:,.{digits}f}]"


def environment() -> dict[str, str]:
    """What a benchmark's processes run under: this checkout first, TensorFlow's chatter off."""
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    return dict(os.environ, PYTHONPATH=path, TF_CPP_MIN_LOG_LEVEL="2")


def run_quietly(command: Sequence[str], cwd: Path | None = None) -> float:
    """Runs `command` to its end; returns CLOCK_MONOTONIC of that moment in seconds.

    Raises RuntimeError with what it said where it fails.
    """
    done = subprocess.run(command, env=environment(), cwd=cwd, capture_output=True, text=True, check=False)
    ended = time.monotonic()
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:6])} .. ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return ended


def machine() -> dict[str, Any]:
    """The machine in general terms, and the versions that matter."""
    from importlib import metadata

    versions: dict[str, str | None] = {}
    for package in ("tensorflow", "keras", "viztracer"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def machine_line() -> str:
    facts = machine()
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    size = f"{facts['cpus']} CPUs, {facts['memory_gb']} GB, {facts['system']}"
    return f"{facts['date']}; {size}; Python {facts['python']}, {versions}"


def shuffled_rounds(
    rounds: int, variants: Sequence[str], one: Callable[[str], Any], quiet: bool
) -> list[dict[str, Any]]:
    """`rounds` times every variant once, each time in another order: a drift of the machine hits all."""
    generator = random.Random(rounds)
    results = []
    for number in range(rounds):
        order = generator.sample(list(variants), len(variants))
        if not quiet:
            print(f"round {number + 1} of {rounds}: {', '.join(order)}", file=sys.stderr, flush=True)
        results.append({variant: one(variant) for variant in order})
    return results


def print_document(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2, default=lambda value: asdict(value)))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns by width, the first one to the left, the others to the right."""
    cells = [list(headings), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def on_one_core(script: str, *arguments: str) -> dict[str, Any]:
    """What a part of a benchmark, as a process of its own on one core, prints as its last line: one JSON document."""
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, script, *arguments],
        env=environment() | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    if done.returncode:
        raise RuntimeError(
            f"{script} {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}"
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Spent:
    """Around a piece of work: `cpu_s`, `wall_s`, and `peak_mb`, the most memory that the process ever had."""

    def __enter__(self) -> Spent:
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *raised: object) -> None:
        self.cpu_s, self.wall_s = time.process_time() - self._cpu, time.perf_counter() - self._wall
        self.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def facts(self, **more: Any) -> dict[str, Any]:
        return {"cpu_s": self.cpu_s, "wall_s": self.wall_s, "peak_mb": self.peak_mb, **more}
