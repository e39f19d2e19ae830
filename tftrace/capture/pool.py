"""The processes of a tuning: one for each setting, made when it is wanted, and again where it has died.

TensorFlow takes seconds to be imported, and reads but one of the settings while it is: a process that has imported it
and run nothing is forked for each of the others. With a GPU, whose driver does not survive a fork, each process is
started anew.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tftrace.capture import reference
from tftrace.capture.settings import Setting
from tftrace.capture.worker import Answer, Ended, Worker, spread

AT_IMPORT: Final = "TF_ENABLE_ONEDNN_OPTS"
"""The variable that TensorFlow reads while it is imported."""
MOST_STARTS: Final = 4
"""After so many a setting that ends its processes is given up."""


class Pool:
    """`raw` is where the processes' own output goes, `memory_bytes` what each may use (0: not limited)."""

    def __init__(self, python: str, raw: Path, memory_bytes: int) -> None:
        self._python, self.raw, self._memory = python, raw, memory_bytes
        self._originals: dict[str | None, Worker] = {}
        self._facts: dict[str | None, Answer] = {}
        self._workers: dict[str, Worker] = {}
        self._starts: Counter[str] = Counter()
        self._why: dict[str, str] = {}
        self.forks = True

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in [*self._workers.values(), *self._originals.values()]:
            worker.end("the tuning is over")

    def ask(self, seconds: float) -> Answer | Ended:
        """What the interpreter says of itself, of its TensorFlow and of the machine, as the environment has it."""
        failed = self._start_originals((None, "0"), seconds)
        if None in failed:
            return failed[None]
        facts = self._facts[None]
        self.forks = not facts["gpus"]
        return facts

    def get(self, setting: Setting) -> Worker | None:
        """The process of the setting, if it lives."""
        worker = self._workers.get(setting.name)
        return worker if worker is not None and worker.alive else None

    def start(self, settings: Sequence[Setting], seconds: float) -> dict[str, str]:
        """Makes the processes that do not live; {name of the setting: why its process could not be had}."""
        failed: dict[str, str] = {}
        missing = [s for s in {s.name: s for s in settings}.values() if self.get(s) is None]
        for setting in missing:
            self._starts[setting.name] += 1
            if self._starts[setting.name] > MOST_STARTS:
                failed[setting.name] = f"its process ended {MOST_STARTS} times: {self._why.get(setting.name)}"
        missing = [s for s in missing if s.name not in failed]
        made = self.made({s.name: (s.env, s.name) for s in missing}, seconds)
        for name, worker in made.items():
            if isinstance(worker, Ended):
                failed[name] = self._why[name] = worker.reason
            else:
                self._workers[name] = worker
        return failed

    def made(
        self, wanted: Mapping[str, tuple[Mapping[str, str], str]], seconds: float
    ) -> dict[str, Worker | Ended]:
        """A process for each of `wanted`, name -> (environment, name of its folder); or why there is none."""
        if not self.forks:
            return self._started(
                {name: (env, self._folder(at)) for name, (env, at) in wanted.items()}, seconds
            )
        kinds = {env.get(AT_IMPORT) for env, _ in wanted.values()}
        failed = self._start_originals(sorted(kinds, key=str), seconds)
        found: dict[str, Worker | Ended] = {}
        for name, (env, at) in wanted.items():
            kind = env.get(AT_IMPORT)
            if kind in failed:
                found[name] = failed[kind]
            else:
                found[name] = self._originals[kind].spawn(env, self._folder(at), self._memory)
        return found

    def give_up(self, setting: Setting, reason: str) -> None:
        """Remembers why the process of the setting ended."""
        self._why[setting.name] = reason

    def _start_originals(self, kinds: Sequence[str | None], seconds: float) -> dict[str | None, Ended]:
        """Has a process that has imported TensorFlow for each kind; those that could not be had, and why."""
        missing = {k: k for k in kinds if k not in self._originals or not self._originals[k].alive}
        wanted = {
            str(kind): (
                {} if kind is None else {AT_IMPORT: kind},
                self._folder(f"original {kind or ''}".strip()),
            )
            for kind in missing
        }
        failed: dict[str | None, Ended] = {}
        for (kind, _), worker in zip(missing.items(), self._started(wanted, seconds).values(), strict=True):
            if isinstance(worker, Ended):
                failed[kind] = worker
            else:
                self._originals[kind] = worker
                self._facts[kind] = worker.facts
        return failed

    def _started(
        self, wanted: Mapping[str, tuple[Mapping[str, str], Path]], seconds: float
    ) -> dict[str, Worker | Ended]:
        workers: dict[str, Worker | Ended] = {}
        living: dict[Worker, str | None] = {}
        for name, (env, folder) in wanted.items():
            worker = Worker.start(self._python, env, folder)
            workers[name] = worker
            living[worker] = name
        # a process that is forked is limited itself
        memory = 0 if self.forks else self._memory
        commands = [{"do": "start", "memory_bytes": memory, "of": name} for name in wanted]
        for number, answer in spread(living, commands, seconds):
            name = str(commands[number]["of"])
            started = workers[name]
            assert isinstance(started, Worker)
            if isinstance(answer, Ended):
                workers[name] = answer
            elif "error" in answer:
                workers[name] = started.end(str(answer["error"]))
            else:
                started.facts = answer
        return workers

    def _folder(self, name: str) -> Path:
        return self.raw / "processes" / re.sub(r"[^\w.=-]+", "_", name)


class Arrays:
    """A process that writes the arrays of a problem, and the reference, to `folder`."""

    def __init__(self, problem: dict[str, Any], folder: Path, images: int, memory_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, str(reference.__file__), json.dumps(problem), str(folder), str(images), str(memory_bytes)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            start_new_session=True,
        )  # fmt: skip

    def wait(self, seconds: float) -> str | None:
        """None once they are written, or why they are not."""
        try:
            _, said = self._process.communicate(timeout=max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            self.end()
            return f"its reference was not computed within {seconds:.0f} s"
        if self._process.returncode == 0:
            return None
        last = [line for line in said.splitlines() if line.strip()]
        return f"its reference could not be computed: {last[-1][:200] if last else 'the process was killed'}"

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()
