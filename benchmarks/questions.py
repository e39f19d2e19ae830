"""`tftrace summary`, `why` and the other questions on a large trace, beside duckdb over the same Parquet by hand.

    python benchmarks/questions.py [--quick] [--json] [--events N]

Commands and queries are processes of their own, from the start of Python to the end, on all cores; the best of three,
since other work on the machine only adds, with the most memory that such a process took. The queries answer less: time
and count by op, and the kernels of one op. The other questions and pictures are asked once.
"""

from __future__ import annotations

import argparse
import json
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


PICTURES = (
    "tftrace view --as flame",
    "tftrace view --as steps",
    "tftrace view --as waterfall",
    "tftrace compare, with itself",
)
"""Those of the others that look at every event."""


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


def others(trace: Path) -> dict[str, list[str]]:
    page = ["-o", str(trace.with_suffix(".html"))]
    return {
        "tftrace algorithms": [*TFTRACE, "algorithms", str(trace)],
        "tftrace compare, with itself": [*TFTRACE, "compare", str(trace), str(trace)],
        "tftrace query": [*TFTRACE, "query", str(trace), "select layer, count(*) from events group by layer"],
        "tftrace list": [*TFTRACE, "list", str(trace.parent)],
        "tftrace view --as flame": [*TFTRACE, "view", str(trace), "--as", "flame", *page],
        "tftrace view --as steps": [*TFTRACE, "view", str(trace), "--as", "steps", *page],
        "tftrace view --as waterfall": [
            *TFTRACE, "view", str(trace), "--as", "waterfall", "--op", "conv2d", *page
        ],
    }  # fmt: skip


def with_memory(command: list[str]) -> dict[str, float]:
    """One run, and the most memory that it took: asked by a process of its own, which has no other children."""
    done = subprocess.run(
        [sys.executable, __file__, "one", *command],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[-3:])} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


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
        runs = [with_memory(command) for _ in range(rounds)]
        found[name] = {key: min(run[key] for run in runs) for key in ("wall_s", "cpu_s", "peak_mb")}
    return {"events": events, "commands": found}


def asked_once(events: int, place: Path) -> dict[str, dict[str, float]]:
    """The other questions, of the trace that `measured` made."""
    return {name: with_memory(command) for name, command in others(place / f"{events}.trace").items()}


def main() -> None:
    if sys.argv[1:2] == ["one"]:
        found = one_run(sys.argv[2:])
        peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(json.dumps({**found, "peak_mb": peak_kb / 1024}))
        return
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
        found["others"] = asked_once(events, Path(place))
    if options.json:
        print_document({"benchmark": "questions", "machine": machine(), "goal_s": GOAL_S, **found})
        return
    print(f"{machine_line()}\n\n{found['events']:,} events")
    for part in ("commands", "others"):
        rows = [
            [name, f"{f['wall_s']:.2f}", f"{f['cpu_s']:.2f}", f"{f['peak_mb']:,.0f}"]
            for name, f in found[part].items()
        ]
        print(table(["", "s", "CPU s", "MB"], rows) + "\n")


if __name__ == "__main__":
    main()
