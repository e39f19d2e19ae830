"""Records the traces in traces/examples anew: `python docs/record_traces.py [NAME ..]`.

What `tftrace run` leaves is kept small enough for a repository: binary records lose the zeros that the agent
grows its files by, and maps.txt keeps the mappings that hold code. Those of older stacks and of the five modes
keep their tables alone.
Run it where paths and host name may be read by everybody: they are part of a trace.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

MODES = ("eager", "function", "session", "xla", "fit")
RECORDED = {
    "eager_conv2d": ["run", "examples/eager_conv2d.py"],
    # with the environment of tests/stacks/requirements/tff087.txt beside the checkout
    "federated": ["run", "--python", "../tff/bin/python", "tests/stacks/scripts/federated.py", "leave"],
    **{f"five_modes_{mode}": ["run", "examples/five_modes.py", mode] for mode in MODES},
    "retracing": ["run", "examples/retracing.py"],
    "tuned_conv2d": ["tune", "--budget", "60", "traces/examples/eager_conv2d"],
}
"""Name of a trace -> the command that makes it, without where to."""
TABLES_ALONE = ("retracing", *(f"five_modes_{mode}" for mode in MODES))

ONE_CONV = "examples/older/one_conv.py"
OLDER = {
    "conv_slim": ("tf215_estimator_slim", [ONE_CONV, "slim"], 0),
    "conv_layers": ("tf215_estimator_slim", [ONE_CONV, "layers"], 0),
    "conv_keras": ("tf215_estimator_slim", [ONE_CONV, "keras"], 0),
    "conv_estimator": ("tf215_estimator_slim", [ONE_CONV, "estimator"], 0),
    "conv_tflearn": ("tf212_tflearn", [ONE_CONV, "tflearn"], 0),
    "tflearn_evaluate": ("tf212_tflearn", ["examples/older/tflearn_evaluate.py"], 1),
}
"""Name of a trace -> the stack of tests/stacks that it needs, the script with its arguments, and its exit code."""


def record(name: str) -> Path:
    """Carries the command out; returns the trace directory."""
    trace = Path("traces/examples") / name
    expected = 0
    if name in OLDER:
        from tests.stacks import environments

        stack, script, expected = OLDER[name]
        base = environments.base_python()
        if base is None:
            raise SystemExit("the older stacks need Python 3.11, and there is no python3.11 on PATH")
        first, rest = "run", ["--python", environments.interpreter(stack, base, download=True), *script]
    else:
        first, *rest = RECORDED[name]
    command = [sys.executable, "-c", "from tftrace.cli import main; main()"]
    command += [first, "--force", "-o", str(trace), *rest]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode != expected:
        raise SystemExit(f"{name}: ended with {done.returncode}, not {expected}")
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
        "onednn.bin": contract.ONEDNN.size,
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
    for name in sys.argv[1:] or [*RECORDED, *OLDER]:
        if name not in RECORDED and name not in OLDER:
            raise SystemExit(f"no recording is called {name!r}; there are {', '.join([*RECORDED, *OLDER])}")
        trace = record(name)
        trim(trace)
        if name in OLDER or name in TABLES_ALONE:
            shutil.rmtree(trace / "raw")


if __name__ == "__main__":
    main()
