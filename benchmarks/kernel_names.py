"""How often the algorithm is told right by kernel names, on calls whose algorithm is known.

    python benchmarks/kernel_names.py                  recall of each algorithm and direction, and of confidence
    python benchmarks/kernel_names.py --rules          the rules, as the table of docs/kernel-names.md
    python benchmarks/kernel_names.py --calls FILE ..  more labelled calls: CSV, columns algo and demangled_kernels

The labels: cuDNN's own algorithm with which each call was made (V100, half precision, cuDNN 7.6.3), and the trials of
TensorFlow 2.3's autotuner on a T4, which it makes in a known order. Both lie in ../shared/data (TFTRACE_SHARED_DATA).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tftrace.api import load
from tftrace.correlate.imported import import_files
from tftrace.correlate.ledger.kernel_algorithms import (
    FAMILIES,
    FILTER,
    FOREIGN,
    FORWARD,
    INPUT,
    RULES,
    classify,
)

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("TFTRACE_SHARED_DATA") or ROOT.parent / "shared" / "data")
CALLS = DATA / "conv_algos" / "dlperf_algo_to_kernels_half.csv"
AUTOTUNE = DATA / "xplane_gpu" / "t4_tf23_alexnet_AUTOTUNE.xplane.pb"

DIRECTIONS = {"FWD": FORWARD, "BWD_DATA": INPUT, "BWD_FILTER": FILTER}
ORDER = {  # of TensorFlow 2.3's autotuner; what a shape does not support is left out
    FORWARD: (
        "IMPLICIT_PRECOMP_GEMM", "IMPLICIT_GEMM", "GEMM", "FFT", "WINOGRAD", "FFT_TILING", "WINOGRAD_NONFUSED",
    ),
    INPUT: ("ALGO_1", "FFT", "FFT_TILING", "WINOGRAD", "WINOGRAD_NONFUSED", "ALGO_0"),
    FILTER: ("ALGO_1", "FFT", "WINOGRAD_NONFUSED", "ALGO_0", "ALGO_3"),
}  # fmt: skip
ONLY_3X3 = ("WINOGRAD",)
ONLY_STRIDE_1 = ("FFT", "WINOGRAD", "FFT_TILING", "WINOGRAD_NONFUSED")
FILTERS = {"conv2d": (11, 4), "conv2d_1": (5, 1)}  # of AlexNet's layers: size, stride; the others 3, 1


@dataclass(frozen=True)
class Labelled:
    """One call of cuDNN with the algorithm that made it."""

    source: str
    direction: str
    algorithm: str
    kernels: tuple[str, ...]


def calls(path: Path) -> Iterator[Labelled]:
    source = "V100, half precision" if path == CALLS else path.name
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            side, _, algorithm = (
                row["algo"].partition(",")[0].removeprefix("CUDNN_CONVOLUTION_").partition("_ALGO_")
            )
            name = f"ALGO_{algorithm}" if algorithm.isdigit() else algorithm
            yield Labelled(source, DIRECTIONS[side], name, tuple(row["demangled_kernels"].split(" || ")))


def trials(path: Path) -> Iterator[Labelled]:
    """The trials of each op in the order in which they were launched, split by the checks that follow each of them."""
    with TemporaryDirectory() as place:
        events = load(import_files([path], Path(place) / "trace")).events
    device = events[events["layer"] == "device"].sort_values("correlation_id", kind="stable")
    attrs = [json.loads(text) if text else {} for text in device["attrs"]]
    ops: dict[str, list[str]] = defaultdict(list)
    for name, told in zip(device["name"].astype(str), attrs, strict=True):
        label = str(told.get("annotation") or told.get("tf_op") or "")
        if "Conv2D" in label.rpartition(":")[2]:
            ops[label].append(name)
    for label, names in ops.items():
        way = label.rpartition("Conv2DBackprop")[2]
        direction = {"Input": INPUT, "Filter": FILTER}.get(way, FORWARD)
        layer = next(part for part in label.split("/") if part.startswith(("conv2d", "last_conv")))
        size, stride = FILTERS.get(layer, (3, 1))
        expected = [
            name for name in ORDER[direction]
            if not (name in ONLY_3X3 and size != 3) and not (name in ONLY_STRIDE_1 and stride != 1)
        ]  # fmt: skip
        found = _split(names)
        if len(found) != len(expected):
            sys.exit(f"{path}: {label} has {len(found)} trials where {len(expected)} are expected")
        for algorithm, kernels in zip(expected, found, strict=True):
            yield Labelled("T4, trials", direction, algorithm, tuple(kernels))


def _split(names: list[str]) -> list[list[str]]:
    found: list[list[str]] = []
    waiting: list[str] = []
    for name in names:
        if "redzone" in name:
            if waiting:
                found.append(waiting)
            waiting = []
        elif not FOREIGN.search(name):
            waiting.append(name)
    return found


def judged(labelled: list[Labelled]) -> dict[str, Any]:
    """Recall of each algorithm, that of all alike, and how often what was told with a certain confidence was right."""
    by: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    sure: dict[float, list[bool]] = defaultdict(list)
    for one in labelled:
        verdict = classify(one.kernels)
        right = verdict.algorithm == one.algorithm
        by[one.source, one.direction, one.algorithm].append(right)
        if verdict.algorithm is not None:
            sure[verdict.confidence].append(right)
    rows = [
        {
            "source": s,
            "direction": d,
            "algorithm": a,
            "calls": len(r),
            "right": sum(r),
            "recall": sum(r) / len(r),
        }
        for (s, d, a), r in sorted(by.items())
    ]
    macro: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        macro[row["source"]].append(row["recall"])
    told = sum(len(r) for r in sure.values())
    gap = sum(abs(c * len(r) - sum(r)) for c, r in sure.items()) / told if told else None
    return {
        "algorithms": rows,
        "sources": [
            {
                "source": source, "calls": sum(r["calls"] for r in rows if r["source"] == source),
                "right": sum(r["right"] for r in rows if r["source"] == source),
                "macro_recall": sum(recalls) / len(recalls),
            }
            for source, recalls in macro.items()
        ],
        "calibration": [
            {"confidence": c, "calls": len(r), "right": sum(r), "share": sum(r) / len(r)}
            for c, r in sorted(sure.items())
        ],
        "expected_calibration_error": gap,
    }  # fmt: skip


def show(document: dict[str, Any]) -> None:
    print(f"{'source':22} {'direction':16} {'algorithm':24} {'calls':>6} {'right':>6} {'recall':>7}")
    for row in document["algorithms"]:
        print(
            f"{row['source'][:22]:22} {row['direction']:16} {row['algorithm']:24} {row['calls']:6} {row['right']:6} "
            f"{row['recall']:7.3f}"
        )
    for row in document["sources"]:
        print(
            f"\n{row['source']}: {row['right']} of {row['calls']} calls right, "
            f"macro-recall over algorithms and directions {row['macro_recall']:.3f}"
        )
    print(f"\n{'confidence':>10} {'calls':>6} {'right':>6} {'share':>7}")
    for row in document["calibration"]:
        print(f"{row['confidence']:10.2f} {row['calls']:6} {row['right']:6} {row['share']:7.3f}")
    print(f"\nexpected calibration error {document['expected_calibration_error']:.3f}")


def rules() -> None:
    print(f"{'rule':24} {'confidence':>10} {'labelled':8} {'algorithm':36} direction")
    for rule in RULES:
        names = FAMILIES[rule.family]
        algorithm = names[rule.direction or FORWARD] + (f" (or {rule.other})" if rule.other else "")
        labelled = "yes" if rule.labelled else "no"
        print(
            f"{rule.name:24} {rule.confidence:10.2f} {labelled:8} {algorithm:36} {rule.direction or 'several'}"
        )
        print(f"    {rule.pattern}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=Path, nargs="*", default=[], help="more labelled calls (CSV)")
    parser.add_argument("--rules", action="store_true", help="print the rules and nothing else")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    if given.rules:
        rules()
        return
    labelled = [one for path in (CALLS, *given.calls) if path.exists() for one in calls(path)]
    labelled += trials(AUTOTUNE) if AUTOTUNE.exists() else []
    if not labelled:
        sys.exit(
            f"no labelled calls: {CALLS} and {AUTOTUNE} are absent; set TFTRACE_SHARED_DATA or give --calls"
        )
    document = judged(labelled)
    if given.json:
        print(json.dumps(document, indent=1))
    else:
        show(document)


if __name__ == "__main__":
    main()
