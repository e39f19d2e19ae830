"""What became of each line of one model in several modes: `python examples/reading/modes_side_by_side.py TRACE ..`.

The traces are of examples/five_modes.py, or of any script that runs the same lines in different modes.
"""

import sys

import tftrace

found = tftrace.compare(*sys.argv[1:]).document
names = [name.replace("five_modes_", "") for name in found["traces"]]


def became(run: dict) -> str:
    if run["fate"] == "ran":
        return f"ran {run['count']}"
    if run["fate"] == "fused":
        return f"in {run['into_op'] or run['into']}"
    return {None: "-", "not seen": "?"}.get(run["fate"], run["fate"])


print("a step                        ", *(f"{name:>23}" for name in names))
for key, title in (
    ("period_us", "lasts"),
    ("python_us", "  of it in Python"),
    ("calls", "  calls into the runtime"),
):
    cells = [run["python"][key] for run in found["runs"]]
    print(f"{title:30}", *(f"{c / 1000:20.2f} ms" if key.endswith("us") else f"{c:23}" for c in cells))

print("\nline  op                      ", *(f"{name:>23}" for name in names))
for row in found["optimized"]:
    if sum(run["fate"] is not None for run in row["runs"]) > len(names) / 2:
        print(f"{row['line']:4}  {row['op']:24}", *(f"{became(run):>23}" for run in row["runs"]))
