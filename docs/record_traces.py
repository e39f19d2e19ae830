"""Records the traces in traces/examples anew: `python docs/record_traces.py [NAME ..]`.

What `tftrace run` leaves is kept small enough for a repository: binary records lose the zeros that the agent
grows its files by, and maps.txt keeps the mappings that hold code. Run it where paths and host name may be
read by everybody: they are part of a trace.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

RECORDED = {
    "eager_conv2d": ["run", "examples/eager_conv2d.py"],
    # with the environment of tests/stacks/requirements/tff087.txt beside the checkout
    "federated": ["run", "--python", "../tff/bin/python", "tests/stacks/scripts/federated.py", "leave"],
    "tuned_conv2d": ["tune", "--budget", "60", "traces/examples/eager_conv2d"],
}
"""Name of a trace -> the command that makes it, without where to."""


def record(name: str) -> Path:
    """Carries the command out; returns the trace directory."""
    trace = Path("traces/examples") / name
    first, *rest = RECORDED[name]
    command = [sys.executable, "-c", "from tftrace.cli import main; main()"]
    command += [first, "--force", "-o", str(trace), *rest]
    subprocess.run(command, cwd=ROOT, check=True)
    return ROOT / trace


def trim(trace: Path) -> None:
    """Takes the padding out of the raw records of `trace`; no record is lost."""
    from tftrace.agent import contract

    records = {
        "dispatch.bin": contract.DISPATCH.size,
        "itt.bin": contract.ITT.size,
        "threads.bin": contract.THREAD.size,
        "clocks.bin": contract.CLOCK.size,
        "verbose.bin": 1,
        "executor.bin": 1,
    }
    for file in trace.glob("raw/*/*"):
        if file.name in records:
            size = records[file.name]
            used = len(file.read_bytes().rstrip(b"\0"))
            with file.open("r+b") as stream:
                stream.truncate(-(-used // size) * size)
        elif file.name == "maps.txt":
            lines = file.read_text().splitlines(keepends=True)
            file.write_text("".join(line for line in lines if "x" in line.split()[1]))


def main() -> None:
    for name in sys.argv[1:] or RECORDED:
        if name not in RECORDED:
            raise SystemExit(f"no recording is called {name!r}; there are {', '.join(RECORDED)}")
        trim(record(name))


if __name__ == "__main__":
    main()
