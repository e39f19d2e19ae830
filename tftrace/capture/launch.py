"""Runs a script under the agent: the parent's side of `tftrace run`.

The script is started by its own interpreter exactly as without tftrace; the agent comes in through PYTHONPATH
(`agent/site/sitecustomize.py`). The parent only waits: it takes no part in the script's input, output or signals.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tftrace.agent import contract
from tftrace.capture import native
from tftrace.capture.trim import trim
from tftrace.errors import CaptureError, UsageError
from tftrace.store.directory import Place, place_for

AGENT_SITE = Path(contract.__file__).parent / "site"


@dataclass(frozen=True)
class RunRequest:
    """What `tftrace run` was asked for. `argv` is the script (or module) and its arguments."""

    argv: list[str]
    module: bool = False
    python: str | None = None
    output: Path | None = None
    force: bool = False
    probes: tuple[str, ...] | None = None
    disabled: tuple[str, ...] = ()
    profile_mb: float = 64.0
    cudnn_stacks: int = 20000  # native stacks a second
    cudnn_preload: bool = False
    steps: tuple[int, int] | None = None
    quiet: bool = False
    source: bool = True
    redact: bool = False
    eigen_gemm: bool = False
    native: bool = False  # the target is a program, not a Python script


@dataclass(frozen=True)
class RunOutcome:
    """What came of it. `exit_status` is the script's own code, 128 + signal where it was killed. The records lie in
    `directory`; where that replaces an old trace, `place.complete` puts it there once its tables are built."""

    exit_status: int
    place: Place
    wall_s: float
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        return self.place.made


def enabled_probes(request: RunRequest) -> list[str]:
    chosen = contract.PROBES if request.probes is None else request.probes
    for name in (*chosen, *request.disabled):
        if name not in contract.PROBES:
            raise UsageError(f"no probe is called {name!r}; there are {', '.join(contract.PROBES)}")
    return [p for p in contract.PROBES if p in chosen and p not in request.disabled]


def environment(raw: Path, request: RunRequest, probes: list[str]) -> dict[str, str]:
    library, reason = native.library(request.cudnn_preload)
    options = {
        "probes": probes,
        "profile_mb": request.profile_mb,
        "cudnn_stacks": request.cudnn_stacks,
        "cudnn_preload": request.cudnn_preload,
        "steps": list(request.steps) if request.steps else None,
        "native": str(library) if library else None,
        "native_reason": reason,
        "redact": request.redact,
        "eigen_gemm": request.eigen_gemm,
        "environment": list(contract.ENVIRONMENT),
        "parent": os.getpid(),
    }
    result = dict(os.environ)
    result[contract.ENV_RAW] = str(raw)
    result[contract.ENV_OPTIONS] = json.dumps(options)
    result["PYTHONPATH"] = os.pathsep.join(p for p in (str(AGENT_SITE), os.environ.get("PYTHONPATH")) if p)
    if request.native:
        result |= _without_agent(library, probes)
    if (request.cudnn_preload or request.native) and library:
        # in front: of two libraries that export a function, the first is called
        result["LD_PRELOAD"] = " ".join(p for p in (str(library), os.environ.get("LD_PRELOAD")) if p)
    return result


def _without_agent(library: Path | None, probes: list[str]) -> dict[str, str]:
    """What a process that runs no Python is told: oneDNN's collector, and which probes the library has by itself.

    A collector of the user's own is left in its place.
    """
    told = {contract.ENV_NATIVE: ",".join(probes)}
    if library is not None and "itt" in probes:
        for name, value in (("INTEL_LIBITTNOTIFY64", str(library)), ("ONEDNN_ITT_TASK_LEVEL", "2")):
            told[name] = os.environ.get(name, value)
    return told


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"--native {name}: no such program; give the path of an executable file")
    return found


def interpreter(python: str | None) -> str:
    python = python or sys.executable
    found = shutil.which(python)
    if found is None:
        raise UsageError(f"--python {python}: no such interpreter; give the path of a Python executable")
    return os.path.abspath(
        found
    )  # it may be started from another directory; links stay, they make an environment


def run(request: RunRequest) -> RunOutcome:
    """Runs the script to its end and leaves its raw records below the trace directory.

    Raises UsageError where the request cannot be carried out and CaptureError where the interpreter could not be
    started; whatever the script itself does is no error here.
    """
    if not request.argv:
        raise UsageError("no script given; see 'tftrace run --help'")
    target = request.argv[0]
    if request.native:
        if request.module or request.python is not None:
            raise UsageError("--native runs a program as it is: it goes with neither -m nor --python")
        command = [program(target), *request.argv[1:]]
    elif not request.module and not Path(target).is_file() and not (Path(target) / "__main__.py").is_file():
        raise UsageError(f"{target}: no such script; give a Python file, or -m MODULE")
    else:
        command = [interpreter(request.python), *(["-m"] if request.module else []), *request.argv]
    probes = enabled_probes(request)
    place = place_for(request.output, Path(target).stem if not request.module else target, request.force)
    raw = (place.made / "raw").resolve()
    started = time.time_ns()
    try:
        status = _run(request, command, probes, raw)
    except BaseException:
        place.drop()
        raise
    facts: dict[str, Any] = {
        "argv": ["(left out)"] if request.redact else command,
        "started_ns": started,
        "ended_ns": time.time_ns(),
        "probes": probes,
        "disabled": [p for p in contract.PROBES if p not in probes],
        "profile_mb": request.profile_mb,
        "source": request.source,
        "redact": request.redact,
        "exit_status": status,
    }
    try:
        facts["still_running"] = trim(raw)
        (place.made / "run.json").write_text(json.dumps(facts, indent=1))
    except KeyboardInterrupt:
        place.keep()
        raise
    except OSError as error:
        kept = place.keep()
        raise CaptureError(
            f"{kept / 'run.json'}: cannot be written: {error.strerror}; make room: the records are in {kept}"
        ) from error
    return RunOutcome(status, place, (facts["ended_ns"] - started) / 1e9, facts)


def _run(request: RunRequest, command: list[str], probes: list[str], raw: Path) -> int:
    """Runs the script with its records in `raw`, and returns its status."""
    try:
        raw.mkdir(exist_ok=True)
    except OSError as error:
        raise CaptureError(
            f"{raw}: cannot be written: {error.strerror}; choose another place with -o"
        ) from error
    return _wait(command, environment(raw, request, probes))


def _wait(command: list[str], environ: dict[str, str]) -> int:
    try:
        child = subprocess.Popen(command, env=environ, close_fds=False)
    except OSError as error:
        raise CaptureError(f"{command[0]}: could not be started: {error.strerror}") from error

    def forward(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)

    # Ctrl-C and Ctrl-\ reach the child from the terminal itself; the parent only has to outlive it
    kept: dict[int, Any] = {}
    handlers: dict[int, Callable[..., Any] | int] = {
        signal.SIGINT: signal.SIG_IGN, signal.SIGQUIT: signal.SIG_IGN,
        signal.SIGTERM: forward, signal.SIGHUP: forward, signal.SIGUSR1: forward, signal.SIGUSR2: forward,
    }  # fmt: skip
    for number, handler in handlers.items():
        kept[number] = signal.signal(number, handler)
    try:
        code = child.wait()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code
