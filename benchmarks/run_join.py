"""What a run recorded joined to a trace: time and memory by its length.

    python benchmarks/run_join.py [--quick] [--json] [--events N ..]

A recorded run of eager ops is repeated to each length (`made_run.py`), and joined and written in a process of its own
on one core, of which the quickest of a few counts. `more an event` is what the longest needs for each event that the
shortest has not. The peer answers one of its questions: pandas.merge_asof, inside which op call each task of oneDNN
began.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from correlate import growth
from made_run import made_runs
from measure import Spent, machine, machine_line, on_one_core, print_document, table

SIZES = (1_000_000, 3_000_000, 10_000_000)
ROUNDS = 2


def join(run: Path) -> dict[str, Any]:
    from tftrace.correlate.build import build

    with Spent() as spent:
        rows = build(run)["tables"]
    return spent.facts(events=rows["events"], links=rows["links"], calls=rows["calls"])


def merge_asof(run: Path) -> dict[str, Any]:
    import pandas as pd

    from tftrace.ingest.agent_raw import processes, read_process

    raw = read_process(processes(run / "raw")[0])
    calls = pd.DataFrame(
        {"thread": raw.dispatch["tid"], "start": raw.dispatch["t0"], "end": raw.dispatch["t1"]}
    )
    tasks = pd.DataFrame({"thread": raw.itt["tid"], "start": raw.itt["t0"]})
    with Spent() as spent:
        found = pd.merge_asof(tasks.sort_values("start"), calls.sort_values("start"), on="start", by="thread")
    return spent.facts(events=len(calls) + len(tasks), pairs=int((found["start"] < found["end"]).sum()))


PARTS = {"join": join, "merge_asof": merge_asof}


def measured(sizes: list[int], place: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    runs = made_runs(sizes, place)

    def part(name: str, size: int) -> dict[str, Any]:
        return on_one_core(__file__, "part", name, str(runs[size]))

    joins = [[part("join", size) for _ in range(rounds)] for size in sizes]
    return {
        "join": [min(some, key=lambda one: float(one["cpu_s"])) for some in joins],
        "merge_asof": part("merge_asof", sizes[-1]),
    }


def main() -> None:
    if sys.argv[1:2] == ["part"]:
        print(json.dumps(PARTS[sys.argv[2]](Path(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="short runs: shows that it works")
    parser.add_argument("--events", type=int, nargs="+", help=f"default: {SIZES}")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sizes = options.events or ([100_000, 200_000] if options.quick else list(SIZES))
    with tempfile.TemporaryDirectory() as place:
        found = measured(sizes, Path(place), 1 if options.quick else ROUNDS)
    if options.json:
        print_document({"benchmark": "run_join", "machine": machine(), **found})
        return
    print(f"{machine_line()}\n")
    rows = [
        [
            f"{one['events']:,} events",
            f"{one['cpu_s']:.2f}",
            f"{one['cpu_s'] / one['events'] * 1e6:.2f}",
            f"{one['peak_mb']:,.0f}",
        ]
        for one in found["join"]
    ]
    print(table(["joined and written, one core", "CPU s", "us an event", "peak MB"], rows))
    print(f"more an event: {growth(found['join']):.0f} bytes")
    peer = found["merge_asof"]
    print(f"merge_asof: {peer['events']:,} records, {peer['cpu_s']:.2f} CPU s, {peer['pairs']:,} pairs")


if __name__ == "__main__":
    main()
