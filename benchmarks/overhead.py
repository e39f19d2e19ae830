"""How much slower a program runs while it is traced, beside TensorFlow's own profiler and VizTracer.

    python benchmarks/overhead.py [--quick] [--json] [--rounds N] [--turns N] [--beside A,B] [WORKLOAD ..]

In every round each variant is one process, and all of them are alive at once. They take turns: a part of the loop in
one, then in the next, in random order, so that each cycle of turns meets the same state of the machine. A ratio is the
median over all cycles of variant / bare in the same cycle, with a 95 % bootstrap interval that draws rounds first and
cycles within them: two processes of one program differ by their luck with memory alone. So rounds narrow it more than
turns do, and a round takes the less time the fewer stand beside: `--beside ""` leaves tftrace and the bare loop. What
happens after the script's last line (writing out what was recorded) is reported apart, as `stop`. tftrace runs with its
default probes, all of them, and by default so few turns that the window of TensorFlow's profiler is open throughout; in
the workloads named `.._later` it is closed, as it is in most of a long run.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from measure import (
    ROOT,
    clustered,
    environment,
    estimate,
    machine,
    machine_line,
    print_document,
    shown,
    table,
    verdict,
)

WORKLOAD = Path(__file__).with_name("workload.py")
LAUNCH = (  # the capture alone: building the tables is the subject of build.py
    "import sys; from pathlib import Path; from tftrace.capture.launch import RunRequest, run;"
    "steps = tuple(map(int, sys.argv[2].split(':'))) if sys.argv[2] else None;"
    "sys.exit(run(RunRequest(argv=sys.argv[3:], output=Path(sys.argv[1]), steps=steps)).exit_status)"
)


@dataclass(frozen=True)
class Case:
    what: str
    goal: float  # traced / bare
    turn: int  # executions a turn
    steps: str = ""  # of the profiler's one window; "": it opens at once
    onednn: bool | None = None  # TF_ENABLE_ONEDNN_OPTS; None: what TensorFlow does on this processor

    @property
    def environment(self) -> dict[str, str]:
        return {} if self.onednn is None else {"TF_ENABLE_ONEDNN_OPTS": str(int(self.onednn))}


CASES = {
    "relu": Case("eager tf.nn.relu of 4 floats", 1.25, 1_000),  # half of --profile-mb lasts for 40,000
    "relu_later": Case(
        "eager tf.nn.relu of 4 floats, the profiler's window closed", 1.25, 1_000, steps="2:4"
    ),
    # one library call each: a native stack and a line of oneDNN's
    "conv2d_small": Case("eager tf.nn.conv2d 1x8x8x8 * 3x3x8x8, oneDNN primitives", 1.15, 400, onednn=True),
    # no primitive and no stack, but oneDNN words a line for each matrix product that Eigen asks of it
    "conv2d_small_eigen": Case("the same, Eigen kernels", 1.25, 400, onednn=False),
    "conv2d_large": Case("eager tf.nn.conv2d 8x56x56x64 * 3x3x64x64", 1.02, 4),
    "keras_step": Case("Keras train step of a small conv net", 1.02, 5),
    # the window lies within the warm-up; of an eager loop, which has no steps, it never opens
    "keras_step_later": Case("Keras train step, the profiler's window closed", 1.02, 5, steps="2:4"),
}
PEERS = ("tf_profiler", "viztracer")
WORKLOAD_OF = {"relu_later": "relu", "conv2d_small_eigen": "conv2d_small", "keras_step_later": "keras_step"}


class Runner:
    """One variant of a workload as a waiting process."""

    def __init__(self, workload: str, variant: str, place: Path) -> None:
        self.name = f"{workload} under {variant}"
        self.scratch = Path(tempfile.mkdtemp(dir=place))
        self.result = self.scratch / "result.json"
        script = [str(WORKLOAD), WORKLOAD_OF.get(workload, workload), str(self.result), "turns"]
        if variant == "tftrace":
            command = [sys.executable, "-c", LAUNCH, f"{self.scratch}/trace", CASES[workload].steps, *script]
        else:
            command = [sys.executable, *script, *([] if variant == "bare" else [variant])]
        self.said = (self.scratch / "stderr").open("w+")
        self.process = subprocess.Popen(
            command,
            env=environment() | CASES[workload].environment,
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text:
            self.fail()
        return text

    def ready(self) -> None:
        while self.line().strip() != "ready":
            pass

    def turn(self, size: int) -> float:
        """Seconds an execution took."""
        assert self.process.stdin is not None
        print(size, file=self.process.stdin, flush=True)
        return float(self.line()) / size

    def stop(self) -> float:
        """Seconds from the script's last line to the end of its process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        if self.process.wait() or not self.result.exists():
            self.fail()
        ended = time.monotonic()
        facts = json.loads(self.result.read_text())
        shutil.rmtree(self.scratch)
        return float(ended - facts["ended"] + facts["profiler_stop_s"])

    def fail(self) -> NoReturn:
        self.said.seek(0)
        raise SystemExit(f"{self.name} ended with {self.process.wait()}:\n{self.said.read()[-2000:]}")


def one_round(workload: str, variants: list[str], turns: int, place: Path, seed: int) -> dict[str, Any]:
    """{variant: {"per_op_s": one a cycle, "stop_s"}}"""
    generator, size = random.Random(seed), CASES[workload].turn
    runners = {
        variant: Runner(workload, variant, place) for variant in generator.sample(variants, len(variants))
    }
    for runner in runners.values():
        runner.ready()
    times: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(turns):
        for variant in generator.sample(variants, len(variants)):
            times[variant].append(runners[variant].turn(size))
    return {variant: {"per_op_s": times[variant], "stop_s": runners[variant].stop()} for variant in runners}


def measure(workload: str, variants: list[str], rounds: int, turns: int, place: Path) -> dict[str, Any]:
    case = CASES[workload]
    results = [one_round(workload, variants, turns, place, seed) for seed in range(rounds)]
    rows: dict[str, dict[str, Any]] = {}
    for variant in variants:
        ratios = [
            [a / b for a, b in zip(r[variant]["per_op_s"], r["bare"]["per_op_s"], strict=True)]
            for r in results
        ]
        ratio = clustered(ratios)
        rows[variant] = {
            "per_op_us": clustered([[t * 1e6 for t in r[variant]["per_op_s"]] for r in results]),
            "ratio": ratio,
            "stop_s": estimate([r[variant]["stop_s"] for r in results]),
        }
        if variant == "tftrace":
            rows[variant] |= {"goal": case.goal, "verdict": verdict(ratio, case.goal)}
    return {
        "workload": workload, "what": case.what, "turn": case.turn, "turns": turns, "rounds": rounds, "variants": rows,
    }  # fmt: skip


def show(report: dict[str, Any]) -> str:
    lines = []
    for name, row in report["variants"].items():
        ratio = shown(row["ratio"], digits=3) if name != "bare" else "1"
        goal = f"<= {row['goal']}: {row['verdict']}" if "goal" in row else ""
        lines.append([name, shown(row["per_op_us"], digits=1), ratio, shown(row["stop_s"]), goal])
    size = f"{report['turns']} turns of {report['turn']:,}, {report['rounds']} rounds"
    title = f"{report['workload']}: {report['what']}, {size}"
    return f"{title}\n{table(['', 'us each', 'ratio', 'stop s', 'goal'], lines)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(CASES)}; default: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="two turns, one round: shows that it runs, decides nothing"
    )
    parser.add_argument("--rounds", type=int, help="default: 16, or 1 with --quick")
    parser.add_argument("--turns", type=int, help="default: 30, or 2 with --quick")
    parser.add_argument(
        "--beside", metavar="A,B", default=",".join(PEERS), help="whom to measure too; default: %(default)s"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for name in options.workloads:
        if name not in CASES:
            parser.error(f"no workload is called {name!r}; there are {', '.join(CASES)}")
    beside = [name for name in options.beside.split(",") if name]
    if set(beside) - set(PEERS):
        parser.error(f"--beside {options.beside}: it knows {', '.join(PEERS)}")
    missing = "viztracer" in beside and not find_spec("viztracer")
    absent = "viztracer is not installed: left out" if missing else None
    variants = ["bare", "tftrace", *(name for name in beside if not (missing and name == "viztracer"))]
    rounds = options.rounds or (1 if options.quick else 16)
    turns = options.turns or (2 if options.quick else 30)
    reports = []
    if not options.json:
        print(f"{machine_line()}\n", flush=True)
    with tempfile.TemporaryDirectory() as place:
        for workload in options.workloads or CASES:
            reports.append(measure(workload, variants, rounds, turns, Path(place)))
            if not options.json:
                print(show(reports[-1]), flush=True)
    if options.json:
        notes = [absent] if absent else []
        print_document({"benchmark": "overhead", "machine": machine(), "workloads": reports, "notes": notes})
    elif absent:
        print(absent)


if __name__ == "__main__":
    main()
