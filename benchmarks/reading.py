"""Timing a reader of a log beside its peer, in MB/s of process time; for the scripts that do it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from measure import estimate, machine, machine_line, print_document, shown, shuffled_rounds, table, verdict

from tftrace.ingest.recorded_file import read_recorded

GOAL = 100.0  # MB/s, of the first variant


def compare(
    description: str, benchmark: str, log: str, unit: str, variants: Sequence[str],
    made_log: Callable[[float], bytes], one_run: Callable[[str, bytes], tuple[float, float]], megabytes: float,
) -> None:  # fmt: skip
    """The command line of such a script.

    `made_log` makes a log of so many MB; `one_run` reads one by a variant, and returns how many of `unit` it
    found and the seconds of the process. The first variant is judged.
    """
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="1 MB, one round: shows that it runs, decides nothing"
    )
    parser.add_argument("--rounds", type=int, help="default: 7, or 1 with --quick")
    parser.add_argument("--file", type=Path, help="a recorded log instead of the one made here")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 7)
    data = read_recorded(options.file).data if options.file else made_log(1 if options.quick else megabytes)
    results = shuffled_rounds(rounds, variants, lambda v: one_run(v, data), options.quick)
    megabytes = len(data) / 1e6
    found: dict[str, dict[str, Any]] = {
        v: {
            unit: estimate([r[v][0] for r in results]),
            "seconds": estimate([r[v][1] for r in results]),
            "mb_s": estimate([megabytes / max(r[v][1], 1e-9) for r in results]),
        }
        for v in variants
    }
    judged = verdict(found[variants[0]]["mb_s"], GOAL, at_most=False)
    if options.json:
        head = {"benchmark": benchmark, "machine": machine(), "mb": megabytes, "rounds": rounds}
        print_document({**head, "found": found, "goal_mb_s": GOAL, "verdict": judged})
        return
    print(machine_line())
    print(f"{log} of {megabytes:.1f} MB, {rounds} rounds, time of the process")
    lines = []
    for name, row in found.items():
        cells = [shown(row[unit], digits=0), shown(row["seconds"], digits=3), shown(row["mb_s"], digits=0)]
        lines.append([name, *cells, f">= {GOAL:.0f}: {judged}" if name == variants[0] else ""])
    print(table(["", unit, "seconds", "MB/s", "goal"], lines))
