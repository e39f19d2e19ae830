"""Traces functions in guarded processes of any interpreter: the parent's side of `tftrace wrappers`.

A worker (`agent/wrappers/worker.py`) takes many functions in turn. Where one hangs, ends the interpreter, or leaves
the process changed, a new worker goes on behind it; the function is not traced, with the reason, and all others are.
The parent waits for nothing but the worker itself, and ends nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tftrace.agent import contract
from tftrace.capture.launch import interpreter
from tftrace.capture.native import cache_directory
from tftrace.errors import InputError, TftraceError, UsageError

AGENT: Final = Path(contract.__file__).parent
WORKER: Final = AGENT / "wrappers" / "worker.py"
START_S: Final = 240.0
"""How long an interpreter may take to import TensorFlow and the modules in question."""
STEP_S: Final = 0.2
FRUITLESS: Final = 3
"""Workers in a row that may end without a function done, before that is the worker's fault and not theirs."""

Record = dict[str, Any]
Progress = Callable[[str, float], None] | None


@dataclass(frozen=True)
class Limits:
    """What one call of a function may take."""

    seconds: float = 30.0
    memory_mb: int = 4096


@dataclass
class Traced:
    """What the workers said: versions of the interpreter, facts and a record for every function, in order."""

    versions: dict[str, Any] = field(default_factory=dict)
    functions: list[Record] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    renewed: list[dict[str, Any]] = field(default_factory=list)


def trace(
    names: Sequence[str],
    python: str | None = None,
    limits: Limits | None = None,
    progress: Progress = None,
) -> tuple[Traced, dict[str, Any]]:
    """(what was recorded of the functions that `names` stand for, the index of native functions).

    The index says which op calls each of TensorFlow's own functions makes; it is made once for a TensorFlow and kept
    in the user's cache. Raises UsageError where a name or the interpreter is not what it should be, InputError
    where a module cannot be imported.
    """
    path = interpreter(python)
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="tftrace-wrappers-") as folder:
        index_file = _index(path, limits, Path(folder), progress, names)
        traced = _Run(path, limits, Path(folder), names, index_file, progress, "calling functions").all()
        return traced, json.loads(index_file.read_text())


def _index(python: str, limits: Limits, folder: Path, progress: Progress, names: Sequence[str]) -> Path:
    """Where the index of this interpreter's natives is; made where there is none yet."""
    kept = cache_directory() / "natives"
    target = kept / f"{_fingerprint(python)}.json"
    if target.exists():
        return target
    _Run(python, limits, folder, names, None, None, "").resolve()  # a wrong name is said before the long work
    traced = _Run(python, limits, folder, [], None, progress, "indexing TensorFlow's own functions").all()
    document = index_document(traced)
    body = json.dumps(document)
    try:
        kept.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{os.getpid()}")
        partial.write_text(body)
        os.replace(partial, target)
    except OSError:  # a cache is a convenience
        target = folder / "index.json"
        target.write_text(body)
    return target


def index_document(traced: Traced) -> dict[str, Any]:
    """{"signatures": {op types in order: [native functions]}, "called", "of", ..} of a run over the natives."""
    signatures: dict[str, list[str]] = {}
    silent, failed = [], {}
    for facts in traced.functions:
        record = traced.records[facts["name"]]
        if record["status"] != "ok":
            failed[facts["name"]] = record["reason"]
            continue
        ops = [op["op"] for op in record["cases"][0]["ops"]]
        if ops:
            signatures.setdefault(",".join(ops), []).append(facts["name"])
        else:
            silent.append(facts["name"])
    for found in signatures.values():
        found.sort(key=lambda n: (n.startswith("tf.compat."), n.count("."), n))
    return {
        "tensorflow": traced.versions.get("tensorflow"),
        "signatures": signatures,
        "called": sum(map(len, signatures.values())) + len(silent),
        "of": len(traced.functions),
        "failed": failed,
    }


def _fingerprint(python: str) -> str:
    """Of the interpreter, its TensorFlow and the worker: what the index depends on."""
    digest = hashlib.sha256()
    for source in sorted([*AGENT.glob("*.py"), *(AGENT / "wrappers").rglob("*.py")]):
        digest.update(source.read_bytes())
    question = (
        "import importlib.util as u, os, sys; s = u.find_spec('tensorflow'); "
        "p = s.origin if s and s.origin else ''; print(sys.version, p, os.stat(p).st_mtime_ns if p else 0)"
    )
    done = subprocess.run(
        [python, "-c", question], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=_environment(),
        check=False,
    )  # fmt: skip
    digest.update(os.path.realpath(python).encode())
    digest.update(done.stdout.encode())
    return digest.hexdigest()[:16]


def _environment() -> dict[str, str]:
    """The worker is not recorded, and TensorFlow has nothing to say."""
    kept = {k: v for k, v in os.environ.items() if k not in (contract.ENV_RAW, contract.ENV_OPTIONS)}
    kept.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return kept


class _Run:
    """Workers one after another until every function has its record."""

    def __init__(
        self,
        python: str,
        limits: Limits,
        folder: Path,
        names: Sequence[str],
        index: Path | None,
        progress: Progress,
        title: str,
    ) -> None:
        self.python, self.limits, self.folder, self.names = python, limits, folder, list(names)
        self.index, self.progress, self.title = index, progress, title
        self.traced = Traced()
        self._begun: int | None = None
        self._idle = 0
        self._only_resolve = False
        self._ending = "the worker ended"

    def all(self) -> Traced:
        while True:
            before = len(self.traced.records)
            if self._one():
                return self.traced
            self._idle = 0 if len(self.traced.records) > before else self._idle + 1
            if self._idle >= FRUITLESS or not self.traced.functions:
                raise self._ended_early()

    def _ended_early(self) -> TftraceError:
        """It ended, or was too slow, before it called a function: while it imported what was asked for."""
        which = ", ".join(self.names) or "TensorFlow's own functions"
        return InputError(
            f"{which}: {self._ending} before a function was called, by {self.python}; import it there by itself"
        )

    def resolve(self) -> None:
        """Nothing but finding out what the names stand for. Raises as `trace` does."""
        self._only_resolve = True
        if not self._one():
            raise self._ended_early()

    def _one(self) -> bool:
        """One worker; True where it was the last that is needed."""
        self._begun = None
        with self._worker() as (process, pipe):
            deadline = time.monotonic() + START_S
            buffer = b""
            while True:
                ready, _, _ = select.select([pipe], [], [], STEP_S)
                if ready:
                    piece = os.read(pipe, 1 << 16)
                    *lines, buffer = (buffer + piece).split(b"\n")
                    for line in lines:
                        message = json.loads(line)
                        if "end" in message:
                            return True
                        if "renew" in message:
                            self._renewed(message)
                            return self._complete()
                        self._take(message)
                        limit = START_S if self._begun is None else self.limits.seconds
                        deadline = time.monotonic() + limit
                    if piece:
                        continue
                    code = _waited(process)  # it closed the pipe: it ended, or is about to
                    if code is None:
                        self._lost("it closed what tftrace listens to")
                    else:
                        self._lost(_ending(code, self._said()))
                    return self._complete()
                if time.monotonic() > deadline:
                    limit = START_S if self._begun is None else self.limits.seconds
                    self._lost(f"it did not return within {limit:g} s")
                    return self._complete()
                if process.poll() is not None and not select.select([pipe], [], [], 0)[0]:
                    self._lost(_ending(process.returncode, self._said()))
                    return self._complete()

    @contextlib.contextmanager
    def _worker(self) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """A worker and the pipe it speaks on; ended, by its own id, when the block ends."""
        plan = {
            "names": self.names,
            "natives": not self.names,
            "only_resolve": self._only_resolve,
            "done": list(self.traced.records),
            "memory_mb": self.limits.memory_mb,
            "parent": os.getpid(),
            "directory": os.getcwd(),
            "index": str(self.index) if self.index else None,
        }
        where = self.folder / "plan.json"
        where.write_text(json.dumps(plan))
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        ours, theirs = os.pipe()
        try:
            with (self.folder / "stderr").open("wb") as errors:
                try:
                    process = subprocess.Popen(
                        [self.python, str(WORKER), str(where), str(theirs)],
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, pass_fds=(theirs,),
                        cwd=scratch, env=_environment(),
                    )  # fmt: skip
                except OSError as error:
                    raise UsageError(
                        f"--python {self.python}: could not be started: {error.strerror}"
                    ) from error
                finally:
                    os.close(theirs)
            try:
                yield process, ours
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
        finally:
            os.close(ours)

    def _said(self) -> str:
        """The last line that the worker left on stderr."""
        try:
            lines = (self.folder / "stderr").read_text("utf-8", "replace").splitlines()
        except OSError:
            return ""
        told = [x for x in lines if x.strip() and not x.startswith(("    @", "PC:", "***"))]
        return told[-1].strip()[:200] if told else ""

    def _take(self, message: dict[str, Any]) -> None:
        traced = self.traced
        if "versions" in message:
            traced.versions = message["versions"]
        elif "refused" in message:
            raise _refusal(message, self.python)
        elif "functions" in message:
            traced.functions = message["functions"]
        elif "begin" in message:
            self._begun = message["begin"]
            if self.progress is not None:
                self.progress(self.title, len(traced.records) / max(len(traced.functions), 1))
        elif "done" in message:
            traced.records[traced.functions[message["done"]]["name"]] = message["record"]

    def _renewed(self, message: dict[str, Any]) -> None:
        name = self.traced.functions[message["renew"]]["name"]
        self.traced.renewed.append({"name": name, "because": message["because"]})

    def _lost(self, reason: str) -> None:
        """The worker is gone: the function that was being called has no record."""
        self._ending = reason
        if self._begun is None:
            return
        name = self.traced.functions[self._begun]["name"]
        self.traced.records.setdefault(
            name, {"name": name, "status": "failed", "reason": reason, "cases": []}
        )

    def _complete(self) -> bool:
        return bool(self.traced.functions) and len(self.traced.records) == len(self.traced.functions)


def _waited(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return None


def _ending(code: int, said: str) -> str:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"it ended the interpreter with {name}{f': {said}' if said else ''}"
    return f"it ended the interpreter with exit code {code}"


def _refusal(message: dict[str, Any], python: str) -> TftraceError:
    kind, text = message["refused"], message["message"]
    which = "" if os.path.realpath(python) == os.path.realpath(sys.executable) else f" by {python}"
    if kind == "tensorflow":
        return UsageError(
            f"TensorFlow cannot be imported{which or f' by {python}'}: {text}; name an interpreter with --python PATH"
        )
    if kind == "version":
        return UsageError(f"{python} has TensorFlow {text}; tftrace traces 2.12 and later")
    if kind == "import":
        return InputError(f"{text}; install what it needs, or name an interpreter with --python PATH")
    return UsageError(f"{text}{which}; give a module or function such as tf.keras.backend or tf.nn.conv2d")
