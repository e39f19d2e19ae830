"""The algorithms of calls that are known by the names of their kernels alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tftrace.correlate.ledger.kernel_algorithms import classify
from tftrace.ingest.recorded_file import read_recorded

SEPARATOR = " || "


def verdicts(path: Path) -> Iterator[dict[str, Any]]:
    """One object for each line of the file, plain or compressed, which holds the kernels of one call of cuDNN.

    `algorithm` is cuDNN's own name, null where no rule knows a kernel (then `confidence` is 0); `rule` is one of
    docs/kernel-names.md; `direction` is null where the names do not show it; `other` is an algorithm that launches
    kernels of the same names. Raises InputError where the file cannot be read or is empty.
    """
    text = read_recorded(path).data.decode("utf-8", "replace")
    lines = text.removesuffix("\n").split("\n")
    return (_verdict(line) for line in lines)


def _verdict(line: str) -> dict[str, Any]:
    found = classify(name for name in line.strip().split(SEPARATOR))
    return {
        "algorithm": found.algorithm, "confidence": found.confidence, "rule": found.rule,
        "direction": found.direction, "other": found.other,
    }  # fmt: skip
