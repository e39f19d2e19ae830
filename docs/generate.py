"""Fills the documentation with what the commands really print.

    python docs/generate.py             rewrites the blocks that never vary, and docs/commands.md
    python docs/generate.py --check     changes nothing, and fails where a block is out of date
    python docs/generate.py --measured  also runs what varies: recordings and benchmarks (half an hour)
    python docs/generate.py --cudnn     also runs what needs cuDNN 9.28 in this environment

A block is a fenced block between two comments:

    <!-- output: COMMAND -->      always the same: commands on the traces of this repository, and help texts
    <!-- measured: COMMAND -->    different each time: times, sizes
    <!-- cudnn: COMMAND -->       always the same with one version of cuDNN, which a test asks
    <!-- end -->
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    "README.md",
    "docs/on-a-gpu.md",
    "docs/tune.md",
    "docs/timeline.md",
    "docs/commands.md",
    "docs/overhead.md",
    "docs/predict.md",
    "docs/kernel-names.md",
    "docs/keras-backend-or-tf-math.md",
    "docs/tff-cpp-runtime.md",
    "docs/slim-layers-keras-estimator-tflearn.md",
    "docs/tflearn-evaluate.md",
    "docs/graph-mode-in-tf2.md",
    "docs/where-is-conv2d-executed.md",
)
BLOCK = re.compile(
    r"(?P<head><!-- (?P<kind>output|measured|cudnn): (?P<command>[^\n]+?) -->\n)"
    r"(?P<body>.*?)(?P<foot><!-- end -->)",
    re.S,
)
WIDTH = "100"


@dataclass(frozen=True)
class Block:
    page: str
    kind: str
    command: str
    body: str


def blocks(page: str, text: str) -> Iterator[Block]:
    for found in BLOCK.finditer(text):
        yield Block(page, found["kind"], found["command"], found["body"])


def output_of(command: str) -> str:
    """What `command` prints, run from the root of the repository on a terminal of 100 columns without colors.

    `tftrace` is that of this checkout and `python` the interpreter that runs this script. stderr is shown
    where the command ends in `2>&1`, and its first or last N lines alone where it ends in ` | head -N` or ` | tail -N`.
    Raises SystemExit where it fails.
    """
    command, _, first = command.partition(" | head -")
    command, _, last = command.partition(" | tail -")
    words = shlex.split(command.removesuffix("2>&1"))
    if words[0] == "tftrace":
        words = [sys.executable, "-c", "from tftrace.cli import main; main()", *words[1:]]
    elif words[0] == "python":
        words[0] = sys.executable
    environment = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p),
        COLUMNS=WIDTH,
        NO_COLOR="1",
        TERM="dumb",
        TF_CPP_MIN_LOG_LEVEL="3",
        TZ="UTC",
    )
    errors = subprocess.STDOUT if command.endswith("2>&1") else subprocess.PIPE
    done = subprocess.run(
        words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command}: ended with {done.returncode}\n{done.stdout}{done.stderr or ''}")
    lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
    lines = lines[-int(last) :] if last else lines
    return "\n".join(lines[: int(first)] if first else lines).rstrip("\n")


def fenced(output: str) -> str:
    return f"```text\n{output}\n```\n"


def commands_page() -> str:
    """The page that lists every command, with the place for its help."""
    sys.path.insert(0, str(ROOT))
    from tftrace.cli.registry import COMMANDS

    parts = [
        "# Commands\n\nWritten by `docs/generate.py` from the commands' own help texts.\n",
        "Exit codes: 0 ok, 1 a gate failed, 2 wrong usage, 3 bad or unreadable input. `tftrace run` returns\n"
        "the script's own code (128 + signal where it was killed), and 125 where tftrace failed before the\n"
        "script began.\n",
        "<!-- output: tftrace --help -->\n<!-- end -->\n",
    ]
    parts += [
        f"## tftrace {name}\n\n<!-- output: tftrace {name} --help -->\n<!-- end -->\n" for name in COMMANDS
    ]
    return "\n".join(parts)


def filled(page: str, text: str, kinds: frozenset[str]) -> str:
    """`text` with its blocks as they should be; those of other kinds stay."""

    def one(found: re.Match[str]) -> str:
        if found["kind"] not in kinds:
            return found[0]
        print(f"{page}: {found['command']}", file=sys.stderr, flush=True)
        return found["head"] + fenced(output_of(found["command"])) + found["foot"]

    return BLOCK.sub(one, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--measured", action="store_true")
    parser.add_argument("--cudnn", action="store_true")
    options = parser.parse_args()
    asked = {"output": True, "measured": options.measured, "cudnn": options.cudnn}
    kinds = frozenset(kind for kind, wanted in asked.items() if wanted)
    stale = []
    for page in PAGES:
        path = ROOT / page
        before = path.read_text() if path.exists() else ""
        text = commands_page() if page == "docs/commands.md" else before
        after = filled(page, text, kinds)
        if after == before:
            continue
        stale.append(page)
        if not options.check:
            path.write_text(after)
    if options.check and stale:
        raise SystemExit(f"out of date: {', '.join(stale)}; run 'python docs/generate.py'")


if __name__ == "__main__":
    main()
