"""How much slower a program runs while it is traced, beside TensorFlow's own profiler and VizTracer.

    python benchmarks/overhead.py [--quick] [--json] [--rounds N] [WORKLOAD ..]

Every round runs each variant once, as a process of its own and in random order, and times the loop from
within, part by part: the median part counts. A ratio is the median over rounds of variant / bare, with the
95 % bootstrap interval of that median. What happens after the script's last line (writing out what was
recorded) is reported apart, as `stop`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from measure import (
    ROOT,
    environment,
    estimate,
    machine,
    machine_line,
    print_document,
    shown,
    shuffled_rounds,
    table,
    verdict,
)

WORKLOAD = Path(__file__).with_name("workload.py")
LAUNCH = (  # the capture alone: building the tables is the subject of build.py
    "import sys; from pathlib import Path; from tftrace.capture.launch import RunRequest, run;"
    "sys.exit(run(RunRequest(argv=sys.argv[2:], output=Path(sys.argv[1]))).exit_status)"
)


@dataclass(frozen=True)
class Case:
    what: str
    goal: float  # traced / bare
    count: int
    quick: int


CASES = {
    "relu": Case("eager tf.nn.relu of 4 floats", 1.40, 200_000, 2_000),
    "conv2d_small": Case("eager tf.nn.conv2d 1x8x8x8 * 3x3x8x8", 1.25, 40_000, 500),
    "conv2d_large": Case("eager tf.nn.conv2d 8x56x56x64 * 3x3x64x64", 1.03, 300, 5),
    "keras_step": Case("Keras train step of a small conv net", 1.05, 300, 5),
}


def one_run(workload: str, variant: str, count: int, place: Path) -> dict[str, float]:
    """Seconds an execution takes, and seconds from the script's last line to the end of its process."""
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        result = Path(scratch) / "result.json"
        script = [str(WORKLOAD), workload, str(result), str(count)]
        if variant == "tftrace":
            command = [sys.executable, "-c", LAUNCH, f"{scratch}/trace", *script]
        else:
            command = [sys.executable, *script, *([] if variant == "bare" else [variant])]
        done = subprocess.run(
            command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
        )
        ended = time.monotonic()
        if done.returncode or not result.exists():
            raise SystemExit(
                f"{workload} under {variant} ended with {done.returncode}:\n{done.stderr[-2000:]}"
            )
        facts = json.loads(result.read_text())
    return {
        "per_op_s": facts["per_op_s"],
        "stop_s": ended - facts["ended"] + facts["profiler_stop_s"],
    }


def measure(workload: str, variants: list[str], rounds: int, quick: bool, place: Path) -> dict[str, Any]:
    case = CASES[workload]
    count = case.quick if quick else case.count
    results = shuffled_rounds(rounds, variants, lambda v: one_run(workload, v, count, place), quick)
    rows: dict[str, dict[str, Any]] = {}
    for variant in variants:
        ratio = estimate([r[variant]["per_op_s"] / r["bare"]["per_op_s"] for r in results])
        rows[variant] = {
            "per_op_us": estimate([r[variant]["per_op_s"] * 1e6 for r in results]),
            "ratio": ratio,
            "stop_s": estimate([r[variant]["stop_s"] for r in results]),
        }
        if variant == "tftrace":
            rows[variant] |= {"goal": case.goal, "verdict": verdict(ratio, case.goal)}
    return {"workload": workload, "what": case.what, "count": count, "rounds": rounds, "variants": rows}


def show(report: dict[str, Any]) -> str:
    lines = []
    for name, row in report["variants"].items():
        ratio = shown(row["ratio"], digits=3) if name != "bare" else "1"
        goal = f"<= {row['goal']}: {row['verdict']}" if "goal" in row else ""
        lines.append([name, shown(row["per_op_us"], digits=1), ratio, shown(row["stop_s"]), goal])
    title = f"{report['workload']}: {report['what']}, {report['count']:,} times, {report['rounds']} rounds"
    return f"{title}\n{table(['', 'us each', 'ratio', 'stop s', 'goal'], lines)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(CASES)}; default: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="short loops, one round: shows that it runs, decides nothing"
    )
    parser.add_argument("--rounds", type=int, help="default: 9, or 1 with --quick")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for name in options.workloads:
        if name not in CASES:
            parser.error(f"no workload is called {name!r}; there are {', '.join(CASES)}")
    variants = ["bare", "tftrace", "tf_profiler"]
    absent = None if find_spec("viztracer") else "viztracer is not installed: left out"
    if absent is None:
        variants.append("viztracer")
    rounds = options.rounds or (1 if options.quick else 9)
    reports = []
    if not options.json:
        print(f"{machine_line()}\n", flush=True)
    with tempfile.TemporaryDirectory() as place:
        for workload in options.workloads or CASES:
            reports.append(measure(workload, variants, rounds, options.quick, Path(place)))
            if not options.json:
                print(show(reports[-1]), flush=True)
    if options.json:
        notes = [absent] if absent else []
        print_document({"benchmark": "overhead", "machine": machine(), "workloads": reports, "notes": notes})
    elif absent:
        print(absent)


if __name__ == "__main__":
    main()
