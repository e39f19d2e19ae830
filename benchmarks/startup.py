"""How long `tftrace --help` and `import tftrace` take, beside a Python that does nothing and other imports.

python benchmarks/startup.py [--quick] [--json] [--rounds N]
"""

from __future__ import annotations

import argparse
import sys
import time

from measure import (
    TFTRACE,
    estimate,
    machine,
    machine_line,
    print_document,
    run_quietly,
    shown,
    shuffled_rounds,
    table,
    verdict,
)

GOALS_MS = {"tftrace --help": 150.0, "python -c 'import tftrace'": 60.0}
COMMANDS = {
    "tftrace --help": [*TFTRACE, "--help"],
    "python -c 'import tftrace'": [sys.executable, "-c", "import tftrace"],
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import click'": [sys.executable, "-c", "import click"],
    "python -c 'import pandas'": [sys.executable, "-c", "import pandas"],
    "pip --help": [sys.executable, "-m", "pip", "--help"],
}


def one_run(name: str) -> float:
    """Milliseconds."""
    began = time.monotonic()
    return (run_quietly(COMMANDS[name]) - began) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds: shows that it runs, decides nothing")
    parser.add_argument("--rounds", type=int, help="default: 40, or 3 with --quick")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 40)
    for name in COMMANDS:
        one_run(name)  # files into the page cache, bytecode onto the disk
    results = shuffled_rounds(rounds, list(COMMANDS), one_run, quiet=True)
    found = {name: estimate([r[name] for r in results]) for name in COMMANDS}
    judged = {name: verdict(found[name], goal) for name, goal in GOALS_MS.items()}
    if options.json:
        head = {"benchmark": "startup", "machine": machine(), "rounds": rounds}
        print_document({**head, "ms": found, "goals_ms": GOALS_MS, "verdicts": judged})
        return
    rows = []
    for name, value in found.items():
        goal = f"<= {GOALS_MS[name]:.0f}: {judged[name]}" if name in GOALS_MS else ""
        rows.append([name, shown(value, digits=0), goal])
    print(machine_line())
    print(f"start, {rounds} rounds\n{table(['', 'ms', 'goal'], rows)}")


if __name__ == "__main__":
    main()
