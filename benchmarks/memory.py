"""What a million eager ops cost in memory while they are traced, and whether every one of them is in the
trace.

    python benchmarks/memory.py [--quick] [--json] [--rounds N]

The peak is VmHWM of the script's process to its very end, that is with everything a profiler does when
it stops: the kernel keeps it for the parent (ru_maxrss). Figures are MB (1e6 bytes) above the same
script untraced in the same round.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
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

GOAL_MB = 300.0
OPS = 1_000_000
WORKLOAD = Path(__file__).with_name("workload.py")
WARM_UP = 20  # of workload.py: they are op calls too

# A small parent starts the script and reads the high-water mark of what it waited for.
WATCH = """
import json, resource, subprocess, sys
trace, script = sys.argv[1], sys.argv[2:]
if trace:
    from pathlib import Path
    from tftrace.capture.launch import RunRequest, run
    code = run(RunRequest(argv=script, output=Path(trace))).exit_status
else:
    code = subprocess.run([sys.executable, *script]).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"code": code, "peak_kb": usage.ru_maxrss}))
"""


def one_run(variant: str, ops: int, place: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        trace = f"{scratch}/trace" if variant == "tftrace" else ""
        script = [str(WORKLOAD), "relu", f"{scratch}/result.json", str(ops)]
        script += [variant] if variant not in ("bare", "tftrace") else []
        command = [sys.executable, "-c", WATCH, trace, *script]
        done = subprocess.run(
            command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
        )
        facts: dict[str, Any] = (
            json.loads(done.stdout.splitlines()[-1]) if done.stdout else {"code": done.returncode}
        )
        if facts["code"]:
            raise SystemExit(f"{variant} ended with {facts['code']}:\n{done.stderr[-2000:]}")
        return {"peak_mb": facts["peak_kb"] * 1024 / 1e6, **(coverage(Path(trace)) if trace else {})}


def coverage(trace: Path) -> dict[str, Any]:
    """Op calls in the raw records of `trace`, and what each probe says it lost."""
    import numpy as np

    from tftrace.agent.contract import STATUS
    from tftrace.ingest.agent_raw import processes, read_process

    process = read_process(processes(trace / "raw")[0])
    relu = [key for key, meta in process.metas.items() if meta["op"] == "Relu"]
    executed = process.dispatch["status"] == STATUS.index("ok")
    recorded = int((executed & np.isin(process.dispatch["meta"], np.array(relu, np.uint64))).sum())
    lost = {probe["name"]: probe["lost"] for probe in process.status["probes"]}
    size = sum(file.stat().st_size for file in trace.rglob("*") if file.is_file())
    return {"recorded": recorded, "lost": lost, "trace_mb": size / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="20,000 ops, one round: shows that it runs, decides nothing"
    )
    parser.add_argument("--rounds", type=int, help="default: 5, or 1 with --quick")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ops = 20_000 if options.quick else OPS
    rounds = options.rounds or (1 if options.quick else 5)
    variants = ["bare", "tftrace", "tf_profiler"]
    with tempfile.TemporaryDirectory() as place:
        results = shuffled_rounds(rounds, variants, lambda v: one_run(v, ops, Path(place)), options.quick)
    more = {v: estimate([r[v]["peak_mb"] - r["bare"]["peak_mb"] for r in results]) for v in variants[1:]}
    expected = ops + WARM_UP
    recorded = [r["tftrace"]["recorded"] for r in results]
    report = {
        "benchmark": "memory",
        "machine": machine(),
        "ops": ops,
        "rounds": rounds,
        "bare_peak_mb": estimate([r["bare"]["peak_mb"] for r in results]),
        "more_mb": more,
        "goal_mb": GOAL_MB,
        "verdict": verdict(more["tftrace"], GOAL_MB),
        "op_calls": {
            "executed": expected,
            "recorded": recorded,
            "complete": all(n == expected for n in recorded),
        },
        "lost": results[-1]["tftrace"]["lost"],
        "trace_mb": estimate([r["tftrace"]["trace_mb"] for r in results]),
    }
    if options.json:
        print_document(report)
        return
    print(machine_line())
    print(
        f"peak memory, {ops:,} eager relus in one run, {rounds} rounds; "
        f"bare {shown(report['bare_peak_mb'], ' MB', 0)}"
    )
    goal = f"<= {GOAL_MB:.0f}: {report['verdict']}"
    rows = [[name, shown(value, digits=0), goal if name == "tftrace" else ""] for name, value in more.items()]
    print(table(["", "MB above bare", "goal"], rows))
    state = "complete" if report["op_calls"]["complete"] else "INCOMPLETE"
    print(f"op calls executed {expected:,}, recorded {', '.join(f'{n:,}' for n in recorded)}: {state}")
    print("lost, by probe:", ", ".join(f"{name} {count}" for name, count in report["lost"].items()))
    print(f"raw records: {shown(report['trace_mb'], ' MB', 0)}")


if __name__ == "__main__":
    main()
