"""Runs a script as it is, and under `tftrace run`: what tells the two apart is what the tests look for."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
TIMEOUT_S = 180
# not PYTHONPATH, which the script would inherit
TFTRACE = [
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tftrace.cli import main; main()",
]


@dataclass(frozen=True)
class Finished:
    """How a process ended, as a shell would tell: 128 + signal where it was killed."""

    exit_status: int
    stdout: bytes
    stderr: bytes


def environment(**more: str) -> dict[str, str]:
    """The tests' own environment without what would change how a script writes."""
    dropped = ("PYTHONUNBUFFERED", "PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL", "ONEDNN_VERBOSE", "DNNL_VERBOSE")
    kept = {k: v for k, v in os.environ.items() if k not in dropped and not k.startswith("PYTEST")}
    # on a processor where TensorFlow would not use oneDNN by itself, the tests would find none of its primitives
    kept.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # the width that a traceback or a table is drawn to must not depend on the terminal
    return {**kept, "COLUMNS": "120", **more}


def command(target: list[str], traced_to: Path | None, options: tuple[str, ...], python: str) -> list[str]:
    if traced_to is None:
        return [python, *target]
    return [*TFTRACE, "run", "--quiet", "--python", python, "-o", str(traced_to), *options, *target]


def run(
    *target: str | Path,
    traced_to: Path | None = None,
    options: tuple[str, ...] = (),
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    python: str = sys.executable,
) -> Finished:
    """`python TARGET..`, or with `traced_to` the same under tftrace."""
    done = subprocess.run(
        command([str(t) for t in target], traced_to, options, python),
        input=stdin,
        capture_output=True,
        env=dict(env) if env is not None else environment(),
        cwd=cwd,
        timeout=TIMEOUT_S,
    )
    code = 128 - done.returncode if done.returncode < 0 else done.returncode
    return Finished(code, done.stdout, done.stderr)


def run_on_terminal(
    *target: str | Path,
    traced_to: Path | None = None,
    typed: bytes = b"",
    interrupt_after: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """The same on a pseudo-terminal of its own; stdout holds everything that appeared there.

    Once `interrupt_after` has appeared, Ctrl-C is typed.
    """
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    child = subprocess.Popen(
        command([str(t) for t in target], traced_to, (), sys.executable),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=dict(env) if env is not None else environment(),
        preexec_fn=lambda: _login(slave),
    )
    os.close(slave)
    os.write(master, typed)
    seen = b""
    while chunk := _read(master):
        seen += chunk
        if interrupt_after is not None and interrupt_after in seen:
            os.write(master, b"\x03")
            interrupt_after = None
    os.close(master)
    code = child.wait(TIMEOUT_S)
    return Finished(128 - code if code < 0 else code, seen, b"")


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # Linux's way to say that the last process has closed the terminal
        return b""


def _login(slave: int) -> None:
    # a shell that put the tests into the background has had them ignore Ctrl-C; a terminal's own programs do not
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


def kill_when(
    *target: str | Path, traced_to: Path, said: bytes, number: signal.Signals, whom: Callable[[int], int]
) -> Finished:
    """Runs the target under tftrace and sends a signal once it has said so on stdout.

    `whom` is given the process id of tftrace and returns the one to be sent to.
    """
    child = subprocess.Popen(
        command([str(t) for t in target], traced_to, (), sys.executable),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert child.stdout is not None
    seen = b""
    while said not in seen:
        chunk = os.read(child.stdout.fileno(), 65536)
        assert chunk, child.communicate()[1].decode()
        seen += chunk
    os.kill(whom(child.pid), number)
    rest, errors = child.communicate(timeout=TIMEOUT_S)
    code = child.returncode
    return Finished(128 - code if code < 0 else code, seen + rest, errors)


def child_of(pid: int) -> int:
    """The one child process of `pid`."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) == 1, children
    return int(children[0])


def without_stamps(stderr: bytes) -> list[str]:
    """Lines of stderr without what differs between any two runs: times and process ids of TensorFlow."""
    text = stderr.decode("utf-8", "replace")
    text = re.sub(r"(?m)^([IWEF]\d{4}) [\d:.]+\s+\d+ ", r"\1 ", text)
    text = re.sub(r"(?m)^\d{4}-\d\d-\d\d [\d:.]+: ", "", text)
    return text.splitlines()
