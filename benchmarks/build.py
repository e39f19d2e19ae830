"""How fast a trace is finished: from the script's last line to tables that can be read.

    python benchmarks/build.py [--quick] [--json] [--rounds N]

The time holds everything in between: what the agent writes when the process ends, the end of the
interpreter, and `tftrace run` making the tables. Events are rows of events.parquet. The peer is
TensorFlow's own profiler on the same loop: from the same moment until its profile is stored, counted in
events of that profile. It joins nothing and makes no tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import (
    ROOT,
    TFTRACE,
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

GOAL = 200_000.0  # events a second
OPS = 300_000
WORKLOAD = Path(__file__).with_name("workload.py")


def one_run(variant: str, ops: int, place: Path) -> dict[str, float]:
    """Events, seconds and events a second of one run."""
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        result = Path(scratch) / "result.json"
        script = [str(WORKLOAD), "relu", str(result), str(ops)]
        if variant == "tftrace":
            command = [*TFTRACE, "run", "--quiet", "-o", f"{scratch}/trace", *script]
        else:
            command = [sys.executable, *script, variant]
        done = subprocess.run(
            command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
        )
        ended = time.monotonic()
        if done.returncode:
            raise SystemExit(f"{variant} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        facts = json.loads(result.read_text())
        seconds = ended - facts["ended"] + facts["profiler_stop_s"]
        events = rows(Path(scratch) / "trace") if variant == "tftrace" else profile_events(Path(scratch))
    return {"events": float(events), "seconds": seconds, "rate": events / seconds}


def rows(trace: Path) -> int:
    import pyarrow.parquet as parquet

    return int(parquet.read_metadata(trace / "events.parquet").num_rows)


def profile_events(place: Path) -> int:
    """Events in the TensorFlow profile below `place`."""
    from tftrace.ingest.xplane.space import read_xspace

    return sum(len(read_xspace(file).dur_ns) for file in place.rglob("*.xplane.pb"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="5,000 ops, one round: shows that it runs, decides nothing"
    )
    parser.add_argument("--rounds", type=int, help="default: 5, or 1 with --quick")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ops = 5_000 if options.quick else OPS
    rounds = options.rounds or (1 if options.quick else 5)
    variants = ["tftrace", "tf_profiler"]
    with tempfile.TemporaryDirectory() as place:
        results = shuffled_rounds(rounds, variants, lambda v: one_run(v, ops, Path(place)), options.quick)
    found: dict[str, dict[str, Any]] = {
        v: {key: estimate([r[v][key] for r in results]) for key in ("events", "seconds", "rate")}
        for v in variants
    }
    judged = verdict(found["tftrace"]["rate"], GOAL, at_most=False)
    found["ratio"] = {"rate": estimate([r["tftrace"]["rate"] / r["tf_profiler"]["rate"] for r in results])}
    if options.json:
        head = {"benchmark": "build", "machine": machine(), "ops": ops, "rounds": rounds}
        print_document({**head, "found": found, "goal_events_s": GOAL, "verdict": judged})
        return
    print(machine_line())
    print(f"from the script's last line to a finished trace, {ops:,} eager relus, {rounds} rounds")
    lines = []
    for name in variants:
        row = found[name]
        goal = f">= {GOAL:,.0f}: {judged}" if name == "tftrace" else ""
        cells = [shown(row["events"], digits=0), shown(row["seconds"]), shown(row["rate"], digits=0)]
        lines.append([name, *cells, goal])
    print(table(["", "events", "seconds", "events/s", "goal"], lines))
    print(f"tftrace / tf_profiler in events/s: {shown(found['ratio']['rate'])}")


if __name__ == "__main__":
    main()
