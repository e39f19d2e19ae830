"""`tftrace summary` and `why` on a large trace, beside duckdb over the same Parquet by hand.

    python benchmarks/questions.py [--quick] [--json] [--events N]

Commands and queries are processes of their own, from the start of Python to the end, on all cores; the best of three,
since other work on the machine only adds. The queries answer less: time and count by op, and the kernels of one op.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from made_profile import write_profile
from measure import TFTRACE, environment, machine, machine_line, on_one_core, print_document, table

GOAL_S = 3.0
BY_OP = (
    "select s.op, count(*), sum(c.total_ns), sum(c.self_ns) from '{t}/calls.parquet' c "
    "join '{t}/sites.parquet' s using (site_id) group by s.op order by 3 desc"
)
KERNELS = (
    "select e.name, count(*), sum(e.dur_ns) from '{t}/calls.parquet' c join '{t}/sites.parquet' s using (site_id) "
    "join '{t}/event_calls.parquet' m using (call_id) join '{t}/events.parquet' e using (event_id) "
    "where s.op = 'Conv2D' and e.layer = 'device' group by e.name order by 3 desc"
)


def commands(trace: Path) -> dict[str, list[str]]:
    def by_hand(query: str) -> list[str]:
        code = "import duckdb, sys; print(duckdb.sql(sys.argv[1]).fetchall())"
        return [sys.executable, "-c", code, query.format(t=trace)]

    return {
        "tftrace summary": [*TFTRACE, "summary", str(trace)],
        "tftrace why conv2d": [*TFTRACE, "why", "conv2d", str(trace)],
        "duckdb: time by op": by_hand(BY_OP),
        "duckdb: kernels of Conv2D": by_hand(KERNELS),
    }


def one_run(command: list[str]) -> dict[str, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[-3:])} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall_s": took, "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def measured(events: int, place: Path, rounds: int) -> dict[str, Any]:
    profile, trace = place / f"{events}.xplane.pb", place / f"{events}.trace"
    if not profile.exists():
        write_profile(profile, events)
    if not trace.exists():
        on_one_core(__file__, "import", str(profile), str(trace))
    found = {}
    for name, command in commands(trace).items():
        runs = [one_run(command) for _ in range(rounds)]
        found[name] = {key: min(run[key] for run in runs) for key in ("wall_s", "cpu_s")}
    return {"events": events, "commands": found}


def main() -> None:
    if sys.argv[1:2] == ["import"]:
        from tftrace.correlate.imported import import_files

        import_files([Path(sys.argv[2])], Path(sys.argv[3]))
        print("{}")
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="20,000 events, once: shows that it runs")
    parser.add_argument("--events", type=int, help="default: 10,000,000, or 20,000 with --quick")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    events = options.events or (20_000 if options.quick else 10_000_000)
    with tempfile.TemporaryDirectory() as place:
        found = measured(events, Path(place), 1 if options.quick else 3)
    if options.json:
        print_document({"benchmark": "questions", "machine": machine(), "goal_s": GOAL_S, **found})
        return
    print(f"{machine_line()}\n\n{found['events']:,} events")
    rows = [[name, f"{f['wall_s']:.2f}", f"{f['cpu_s']:.2f}"] for name, f in found["commands"].items()]
    print(table(["", "s", "CPU s"], rows))


if __name__ == "__main__":
    main()
