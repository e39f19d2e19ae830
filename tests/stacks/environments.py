"""Environments of older stacks, each from its requirements, installed once into a cache of this user.

`python -m tests.stacks.environments` makes them all and prints their interpreters.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from tests.standin_gpu.build import DOWNLOAD, UnavailableError, built_once, cache_directory, place_for

REQUIREMENTS = Path(__file__).parent / "requirements"
STACKS = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.txt")))
PYTHON = (3, 11)
"""The newest Python that all of them have wheels for."""


def interpreter(stack: str, base: str, download: bool) -> str:
    """The Python of an environment with that stack, made with the Python `base` where it is not there yet.

    A first line `# pip: OPTIONS` of its requirements is for pip, or uv, which knows the same.

    Raises UnavailableError where it is not there and may not be downloaded, or cannot be installed.
    """
    requirements = REQUIREMENTS / f"{stack}.txt"
    key = place_for(stack, requirements.read_bytes(), repr(PYTHON).encode()).name
    place = cache_directory() / "stacks" / key
    with built_once(place) as folder:
        if folder is not None:
            if not download:
                raise UnavailableError(f"{stack} is not in {place.parent}; {DOWNLOAD}=1 downloads it (1 GB)")
            told = requirements.read_text().splitlines()[0].partition("# pip: ")[2].split()
            install(folder, base, *told, "-r", requirements)
    return str(place / "bin" / "python")


def install(place: Path, base: str, *what: str | Path) -> None:
    """A new environment of the Python `base` at `place`, with what pip would install for these arguments.

    By uv where the tests' own environment has it: that takes a seventh of the time, and an eighth of the work.
    Raises UnavailableError where it cannot be installed.
    """
    python = place / "bin" / "python"
    if find_spec("uv") is not None:
        _run(base, "-m", "venv", "--without-pip", place)
        _run(
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            python,
            *what,
        )
    else:
        _run(base, "-m", "venv", place)
        _run(python, "-m", "pip", "install", "--quiet", *what)


def base_python() -> str | None:
    """An interpreter of the version that the stacks need, if there is one."""
    return sys.executable if sys.version_info[:2] == PYTHON else which("python" + ".".join(map(str, PYTHON)))


def _run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UnavailableError(f"{' '.join(map(str, command[1:6]))} failed: {last}")


if __name__ == "__main__":
    python = base_python()
    if python is None:
        raise SystemExit("the older stacks need Python 3.11, and there is no python3.11 on PATH")
    for name in STACKS:
        print(name, interpreter(name, python, download=True))
