"""A profile joined to a trace: links, executions and calls of every event, beside the joins one would write by hand.

    python benchmarks/correlate.py [--quick] [--json] [--events N ..]

Each part is a process on one core. `join` is everything between the profile's columns and those of the trace (links,
calls, attributes as codes, the ledger of algorithms), `write` the tables as Parquet. `read`, `join` and `peak MB` are
the most memory that the process had had after each; of a few such processes the quickest counts. `more an event` is
what the largest size needs for each event that the smallest has not. The peers answer one of its questions each:
pandas.merge_asof which event of a thread began last before each kernel of the CPU, duckdb's interval join which events
contain each of them; the latter is given a part of the events, since it is not linear.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from made_profile import write_profile
from measure import Spent, machine, machine_line, on_one_core, print_document, table

SIZES = (1_000_000, 3_000_000, 10_000_000)
INTERVAL_EVENTS = 100_000
GOAL_S = 20.0
ROUNDS = 2
"""Processes of each join, of which the quickest counts."""


def join(path: Path, out: Path) -> dict[str, Any]:
    from tftrace.correlate.imports import profiles
    from tftrace.correlate.ledger.algorithm_rows import settle
    from tftrace.correlate.tables.columns import TraceBuilder
    from tftrace.ingest.xplane.file import read
    from tftrace.store.tables import write_tables

    with Spent() as reading:
        space = read(path)
    build = TraceBuilder(out)
    with Spent() as joining:
        profiles.add(space, build, 0)
        settle(build)
    del space
    with Spent() as writing:
        rows = write_tables(out, build.streams())
    return {
        "events": rows["events"], "links": rows["links"], "calls": rows["calls"], "read_s": reading.cpu_s,
        "join_s": joining.cpu_s, "write_s": writing.cpu_s, "read_mb": reading.peak_mb, "join_mb": joining.peak_mb,
        "peak_mb": writing.peak_mb,
    }  # fmt: skip


def _frame(path: Path) -> Any:
    import numpy as np
    import pandas as pd

    from tftrace.correlate.profiles.host_plane import names_kernel
    from tftrace.ingest.xplane.file import read

    space = read(path)
    kernel = np.array([names_kernel(name) for name in space.names])[space.name_code]
    return pd.DataFrame(
        {
            "thread": space.line,
            "start": space.start_ns,
            "end": space.start_ns + space.dur_ns,
            "kernel": kernel,
        }
    )


def merge_asof(path: Path, out: Path) -> dict[str, Any]:
    import pandas as pd

    frame = _frame(path)
    with Spent() as spent:
        frame = frame.sort_values("start", kind="stable")
        found = pd.merge_asof(frame[frame.kernel], frame, on="start", by="thread", allow_exact_matches=False)
    return spent.facts(events=len(frame), pairs=len(found))


def interval_join(path: Path, out: Path) -> dict[str, Any]:
    import duckdb

    frame = _frame(path)
    connection = duckdb.connect()
    connection.execute("set threads to 1")
    connection.register("e", frame)
    around = "c.thread = p.thread and p.start < c.start and p.end >= c.end"
    query = f"select count(*) from e c join e p on {around} where c.kernel"
    with Spent() as spent:
        pairs = connection.execute(query).fetchall()[0][0]
    return spent.facts(events=len(frame), pairs=pairs)


PARTS = {"join": join, "merge_asof": merge_asof, "interval_join": interval_join}


def measured(sizes: list[int], place: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    out = place / "tables"
    out.mkdir(exist_ok=True)
    few = min(INTERVAL_EVENTS, *sizes)
    for count in {*sizes, few}:
        if not (place / f"{count}.xplane.pb").exists():
            write_profile(place / f"{count}.xplane.pb", count)

    def part(name: str, count: int) -> dict[str, Any]:
        return on_one_core(__file__, "part", name, str(place / f"{count}.xplane.pb"), str(out))

    joins = [[part("join", count) for _ in range(rounds)] for count in sizes]
    return {
        "join": [min(runs, key=lambda run: float(run["join_s"])) for runs in joins],
        "merge_asof": part("merge_asof", sizes[-1]),
        "interval_join": part("interval_join", few),
    }


def growth(joins: list[dict[str, Any]]) -> float:
    """Bytes of peak memory for each event that the last has more than the first."""
    first, last = joins[0], joins[-1]
    return float((last["peak_mb"] - first["peak_mb"]) * (1 << 20) / (last["events"] - first["events"]))


def main() -> None:
    if sys.argv[1:2] == ["part"]:
        print(json.dumps(PARTS[sys.argv[2]](Path(sys.argv[3]), Path(sys.argv[4]))))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small profiles: shows that it runs")
    parser.add_argument("--events", type=int, nargs="+", help=f"default: {SIZES}")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sizes = options.events or ([20_000, 60_000] if options.quick else list(SIZES))
    with tempfile.TemporaryDirectory() as place:
        found = measured(sizes, Path(place), 1 if options.quick else ROUNDS)
    if options.json:
        print_document({"benchmark": "correlate", "machine": machine(), "goal_s": GOAL_S, **found})
        return
    print(f"{machine_line()}\n")
    rows = []
    for one in found["join"]:
        each = one["join_s"] / one["events"] * 1e6
        cells = (one["read_s"], one["join_s"], one["write_s"])
        rows.append(
            [
                f"{one['events']:,} events",
                *(f"{s:.2f}" for s in cells),
                f"{each:.2f}",
                f"{one['read_mb']:,.0f}",
                f"{one['join_mb']:,.0f}",
                f"{one['peak_mb']:,.0f}",
            ]
        )
    headings = [
        "tftrace, one core",
        "read CPU s",
        "join",
        "write",
        "join us each",
        "read MB",
        "join MB",
        "peak MB",
    ]
    print(table(headings, rows))
    if len(found["join"]) > 1:
        print(f"more an event: {growth(found['join']):.0f} bytes")
    for name in ("merge_asof", "interval_join"):
        one = found[name]
        print(f"{name}: {one['events']:,} events, {one['cpu_s']:.2f} CPU s, {one['pairs']:,} pairs")


if __name__ == "__main__":
    main()
