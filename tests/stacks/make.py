"""Makes a virtual environment with an older TensorFlow and a library of its time, for the tests that trace it.

    python tests/stacks/make.py STACK DIRECTORY

Prints the path of its Python. STACK is one of STACKS below; each needs a Python up to 3.11, this one unless --python
names another. Several hundred MB come from PyPI.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Stack:
    """Packages to install, and what bounds the versions of those that they bring."""

    packages: tuple[str, ...]
    constraints: tuple[str, ...] = field(default=())
    imports: tuple[str, ...] = field(default=())


STACKS = {
    # Keras 2, tf.compat.v1.layers, tf.estimator, tf_slim
    "tf215": Stack(
        ("tensorflow-cpu==2.15.1", "tf_slim==1.1.0", "setuptools"),
        ("numpy<2", "protobuf<5"),
        ("tensorflow", "tf_slim"),
    ),
    # TFLearn, which names functions of Pillow that later ones do not have
    "tf212_tflearn": Stack(
        ("tensorflow-cpu==2.12.1", "tflearn==0.5.0", "setuptools"),
        ("numpy<1.24", "pillow<10", "protobuf<5"),
        ("tensorflow", "tflearn"),
    ),
}


def make(stack: Stack, directory: Path, python: str) -> Path:
    """The environment's Python. Raises CalledProcessError where pip fails or a package cannot be imported."""
    subprocess.run([python, "-m", "venv", str(directory)], check=True)
    inside = directory / "bin" / "python"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as bounds:
        bounds.write("\n".join(stack.constraints) + "\n")
        bounds.flush()
        quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_PROGRESS_BAR": "off"}
        subprocess.run(
            [str(inside), "-m", "pip", "install", "--quiet", "-c", bounds.name, *stack.packages],
            check=True, stdout=sys.stderr, env={**os.environ, **quiet},
        )  # fmt: skip
    check = "; ".join(f"import {name}" for name in stack.imports)
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([str(inside), "-c", check], check=True, stdout=sys.stderr, env={**os.environ, **quiet})
    return inside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("stack", choices=sorted(STACKS))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    try:
        print(make(STACKS[options.stack], options.directory, options.python))
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"{options.stack}: {' '.join(map(str, error.cmd[:4]))} .. ended with {error.returncode}"
        ) from None


if __name__ == "__main__":
    main()
