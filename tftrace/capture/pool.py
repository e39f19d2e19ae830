"""The processes of a tuning: one for each setting, started when it is wanted, and again where it has died."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tftrace.capture import reference
from tftrace.capture.settings import Setting
from tftrace.capture.worker import Answer, Ended, Worker, spread

MOST_STARTS: Final = 4
"""After so many a setting that ends its processes is given up."""


class Pool:
    """`raw` is where the processes' own output goes, `memory_bytes` what each may use."""

    def __init__(self, python: str, raw: Path, memory_bytes: int) -> None:
        self._python, self._raw, self._memory = python, raw, memory_bytes
        self._workers: dict[str, Worker] = {}
        self._starts: Counter[str] = Counter()
        self._why: dict[str, str] = {}
        self.facts: dict[str, Answer] = {}

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers.values():
            worker.end("the tuning is over")

    def get(self, setting: Setting) -> Worker | None:
        """The process of the setting, if it lives."""
        worker = self._workers.get(setting.name)
        return worker if worker is not None and worker.alive else None

    def start(self, settings: Sequence[Setting], seconds: float) -> dict[str, str]:
        """Starts those that do not live; {name of the setting: why its process could not be had}.

        What each said of itself stands in `facts`.
        """
        failed: dict[str, str] = {}
        started: list[tuple[str, Worker]] = []
        for setting in settings:
            if self.get(setting) is not None or setting.name in failed:
                continue
            if self._starts[setting.name] >= MOST_STARTS:
                failed[setting.name] = f"its process ended {MOST_STARTS} times: {self._why[setting.name]}"
                continue
            self._starts[setting.name] += 1
            worker = self._workers[setting.name] = Worker(
                self._python, setting.env, self._folder(setting.name)
            )
            started.append((setting.name, worker))
        commands = [{"do": "start", "memory_bytes": self._memory, "of": name} for name, _ in started]
        for number, answer in spread({worker: name for name, worker in started}, commands, seconds):
            name = started[number][0]
            if isinstance(answer, Ended):
                failed[name] = self._why[name] = answer.reason
            elif "error" in answer:
                failed[name] = self._why[name] = str(answer["error"])
                started[number][1].end(failed[name])
            else:
                self.facts[name] = answer
        return failed

    def give_up(self, setting: Setting, reason: str) -> None:
        """Remembers why the process of the setting ended."""
        self._why[setting.name] = reason

    def release(self, settings: Sequence[Setting]) -> None:
        """Ends processes that are not needed any more."""
        for setting in settings:
            worker = self._workers.pop(setting.name, None)
            if worker is not None:
                worker.end("it is not needed any more")

    def _folder(self, name: str) -> Path:
        return self._raw / "processes" / re.sub(r"[^\w.=-]+", "_", name)


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
