"""A child process that replays convolutions (`tftrace/agent/replay.py`), and how it ends."""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tftrace.agent import contract
from tftrace.capture.settings import CHANGED
from tftrace.errors import CaptureError

SCRIPT: Final = Path(contract.__file__).parent / "replay.py"
_TAIL: Final = 4096
_WRITING_S: Final = 0.2
_DYING_S: Final = 10.0
LATE: Final = "it hangs, or the budget is too small for it"
_SPAWN_S: Final = 20.0
_NOISE: Final = ("I0000", "W0000", "WARNING")
Answer = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """Why a process gave no answer: it died, or it was ended because it took too long."""

    reason: str
    late: bool = False


class Worker:
    """One process under one environment: a started one (`start`), or the fork of one (`spawn`).

    Its stdout and stderr are files of `folder`. It is in a session of its own: Ctrl-C reaches tftrace alone, which then
    ends it.
    """

    def __init__(
        self, pid: int, connection: socket.socket, folder: Path, wait: Callable[[float], int | None]
    ) -> None:
        self.pid, self.folder = pid, folder
        self.prepared: set[str] = set()
        self.facts: Answer = {}
        self._socket, self._wait = connection, wait
        self._said = b""
        self._end: Ended | None = None

    @classmethod
    def start(cls, python: str, env: Mapping[str, str], folder: Path) -> Worker:
        """A process of its own, by the interpreter `python`. Raises CaptureError where that cannot be started."""
        folder.mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        kept = {name: value for name, value in os.environ.items() if name not in CHANGED}
        with theirs, open(folder / "stdout.txt", "ab") as out, open(folder / "stderr.txt", "ab") as errors:
            try:
                process = subprocess.Popen(
                    [python, str(SCRIPT), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                    # each process sees the whole GPU and takes of its memory what it needs
                    env={"TF_FORCE_GPU_ALLOW_GROWTH": "true", **kept, **env},
                    pass_fds=[theirs.fileno()], start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                ours.close()
                raise CaptureError(f"{python}: could not be started: {error.strerror}") from error

        def wait(seconds: float) -> int | None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(seconds)
            return None

        return cls(process.pid, ours, folder, wait)

    def spawn(self, env: Mapping[str, str], folder: Path, memory_bytes: int) -> Worker | Ended:
        """A fork of this process, which has started and run nothing, under another environment."""
        folder.mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        command = {
            "do": "spawn", "env": dict(env), "memory_bytes": memory_bytes,
            "stdout": str((folder / "stdout.txt").resolve()), "stderr": str((folder / "stderr.txt").resolve()),
        }  # fmt: skip
        with theirs, contextlib.suppress(OSError):
            socket.send_fds(self._socket, [(json.dumps(command) + "\n").encode()], [theirs.fileno()])
        answer = self.ask(None, _SPAWN_S)
        if isinstance(answer, Ended) or "error" in answer:
            ours.close()
            return answer if isinstance(answer, Ended) else Ended(str(answer["error"]))
        pid = int(answer["pid"])
        return Worker(pid, ours, folder, lambda seconds: self._ended(pid, seconds))

    def _ended(self, pid: int, seconds: float) -> int | None:
        answer = self.ask({"do": "ended", "pid": pid, "seconds": seconds}, seconds + _SPAWN_S)
        return None if isinstance(answer, Ended) else answer.get("code")

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

    def ask(self, command: Mapping[str, Any] | None, seconds: float) -> Answer | Ended:
        """Sends the command, unless it is sent already, and waits for its answer; ends the process where none comes."""
        commands = [{} if command is None else {**command, "of": ""}]
        for _, answer in spread({self: commands[0].get("of")}, commands, seconds):
            return answer
        return self._end or Ended("it has ended")

    def say_where(self) -> None:
        """Has a process that hangs write its Python stack to its stderr.txt."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR1)
        time.sleep(_WRITING_S)

    def end(self, reason: str) -> Ended:
        """Ends the process and what it has started, at once."""
        if self._end is None:
            self._end = Ended(reason)
            self._kill()
            self._wait(_DYING_S)
            self._socket.close()
        return self._end

    def finish(self, seconds: float) -> Ended:
        """Has the process end by itself, so that what records it can write what it has."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        answer = self.ask(None, seconds)
        return answer if isinstance(answer, Ended) else self.end("it did not end by itself")

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _died(self) -> Ended:
        code = self._wait(_DYING_S)
        self._kill()  # what it has started, or itself where it closed its socket and goes on
        self._socket.close()
        if code is None:
            how = "it ended"
        else:
            how = (
                f"it was killed by {signal.Signals(-code).name}"
                if code < 0
                else f"it ended with exit code {code}"
            )
        self._end = Ended(f"{how}{self._last_words()}")
        return self._end

    def _last_words(self) -> str:
        with open(self.folder / "stderr.txt", "rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
        telling = [line for line in lines if line and not line.startswith(_NOISE)]
        return f": {telling[-1][:200]}" if telling else ""


def spread(
    workers: Mapping[Worker, str | None],
    commands: Sequence[Mapping[str, Any]],
    seconds: float,
    until: float = math.inf,
    at_once: int | None = None,
) -> Iterator[tuple[int, Answer | Ended]]:
    """Has the commands carried out by whichever worker is free: (number of the command, answer).

    Each worker has the name of a group, and takes the commands whose `of` is that name. A worker that does not answer
    within `seconds` is ended. Commands for which no worker lives, and those not begun by `until` (time.monotonic), are
    not answered. One without `do` is only waited for. `at_once`: so many are carried out side by side, at most.
    """
    waiting = list(range(len(commands)))
    running: dict[Worker, tuple[int, float]] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                for worker, group in workers.items():
                    full = at_once is not None and len(running) >= at_once
                    if full or worker in running or not worker.alive or time.monotonic() >= until:
                        continue
                    number = next((n for n in waiting if commands[n].get("of") == group), None)
                    if number is not None:
                        waiting.remove(number)
                        if "do" in commands[number]:
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
                        worker.say_where()
                        answer = Ended(f"no answer within {max(seconds, 1):.0f} s: {LATE}", late=True)
                    if answer is None:
                        continue
                    selector.unregister(worker)
                    del running[worker]
                    if isinstance(answer, Ended):
                        worker.end(answer.reason)
                    yield number, answer
        finally:
            for worker in running:  # nobody will read their answers
                worker.end("it was given up")
