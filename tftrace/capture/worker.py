"""A child process that replays convolutions (`tftrace/agent/replay.py`), and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tftrace.agent import contract
from tftrace.capture.settings import CHANGED
from tftrace.errors import CaptureError

SCRIPT: Final = Path(contract.__file__).parent / "replay.py"
_TAIL: Final = 4096
Answer = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """Why a process gave no answer: it died, or it was ended because it took too long."""

    reason: str


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, without what candidates differ in, and with `env`."""
    kept = {name: value for name, value in os.environ.items() if name not in CHANGED}
    # every child sees the whole GPU and takes of its memory what it needs
    return {"TF_FORCE_GPU_ALLOW_GROWTH": "true", **kept, **env}


class Worker:
    """One process under one environment. Its stdout and stderr go to files below `folder`.

    It is in a session of its own: Ctrl-C reaches tftrace alone, which then ends it. Raises CaptureError where it cannot
    be started.
    """

    def __init__(self, python: str, env: Mapping[str, str], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.prepared: set[str] = set()
        self._said = b""
        self._end: Ended | None = None
        self._socket, theirs = socket.socketpair()
        with theirs, open(folder / "stdout.txt", "ab") as out, open(folder / "stderr.txt", "ab") as errors:
            try:
                self._process = subprocess.Popen(
                    [python, str(SCRIPT), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=environment(env),
                    pass_fds=[theirs.fileno()], start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                self._socket.close()
                raise CaptureError(f"{python}: could not be started: {error.strerror}") from error

    @property
    def alive(self) -> bool:
        return self._end is None

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, command: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):  # it has died; `receive` says how
            self._socket.sendall((json.dumps(command) + "\n").encode())

    def receive(self) -> Answer | Ended | None:
        """What it answered, or how it ended; None where only a part of an answer has arrived yet."""
        if self._end is not None:
            return self._end
        try:
            chunk = self._socket.recv(1 << 16)
        except OSError:
            chunk = b""
        if not chunk:
            return self._died()
        self._said += chunk
        line, newline, rest = self._said.partition(b"\n")
        if not newline:
            return None
        self._said = rest
        answer: Answer = json.loads(line)
        return answer

    def ask(self, command: Mapping[str, Any], seconds: float) -> Answer | Ended:
        """Sends the command and waits for its answer; ends the process where none comes in time."""
        return next(
            (answer for _, answer in spread({self: ""}, [{**command, "of": ""}], seconds)),
            self._end or Ended("it has ended"),
        )

    def end(self, reason: str) -> Ended:
        """Ends the process and what it has started, at once."""
        if self._end is None:
            self._end = Ended(reason)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._socket.close()
        return self._end

    def _died(self) -> Ended:
        code = self._process.wait()
        how = (
            f"it was killed by {signal.Signals(-code).name}"
            if code < 0
            else f"it ended with exit code {code}"
        )
        return self.end(f"{how}{self._last_words()}")

    def _last_words(self) -> str:
        with open(self.folder / "stderr.txt", "rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            lines = file.read().decode("utf-8", "replace").splitlines()
        telling = [
            line.strip() for line in lines if line.strip() and not line.startswith(("I0000", "WARNING"))
        ]
        return f": {telling[-1][:200]}" if telling else ""


def spread(
    workers: Mapping[Worker, str], commands: Sequence[Mapping[str, Any]], seconds: float
) -> Iterator[tuple[int, Answer | Ended]]:
    """Has the commands carried out by whichever worker is free: (number of the command, answer).

    Each worker has the name of a group, and takes the commands whose `of` is that name. A worker that does not answer
    within `seconds` is ended. Commands for which no worker lives are not answered.
    """
    waiting = list(range(len(commands)))
    running: dict[Worker, tuple[int, float]] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                for worker, group in workers.items():
                    if worker in running or not worker.alive:
                        continue
                    number = next((n for n in waiting if commands[n]["of"] == group), None)
                    if number is not None:
                        waiting.remove(number)
                        worker.send(commands[number])
                        running[worker] = (number, time.monotonic() + seconds)
                        selector.register(worker, selectors.EVENT_READ)
                if not running:
                    return
                soonest = min(deadline for _, deadline in running.values())
                ready = {key.fileobj for key, _ in selector.select(max(soonest - time.monotonic(), 0))}
                for worker, (number, deadline) in list(running.items()):
                    answer = worker.receive() if worker in ready else None
                    if answer is None and time.monotonic() >= deadline:
                        answer = Ended(f"no answer within {seconds:.0f} s")
                    if answer is None:
                        continue
                    selector.unregister(worker)
                    del running[worker]
                    yield number, worker.end(answer.reason) if isinstance(answer, Ended) else answer
        finally:
            for worker in running:  # nobody will read their answers
                worker.end("it was given up")
