"""Asks cuDNN, in child processes, what it offers for convolutions on GPUs that are not here.

A child answers many questions. Where the library ends it at one, that one has the reason for an answer, and another
child goes on with the rest.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Literal

from tftrace.capture import cudnn_child
from tftrace.capture.cudnn_install import EXTRA, Install
from tftrace.capture.cudnn_stand_ins import DRIVER, empty_driver, started_cublaslt
from tftrace.capture.gpu_properties import Gpu
from tftrace.errors import UsageError
from tftrace.model.conv2d_spec import Conv2dSpec

CHILD: Final = Path(cudnn_child.__file__)
PATIENCE_S: Final = 120
OLDEST: Final = 90800
MODES: Final = ("B", "A", "FALLBACK")
"""As TensorFlow 2.21 asks: mode B, then what mode A adds; the fallback list only where neither has any that works."""
ALIGNMENT: Final = 32
"""Bytes to which TensorFlow says its tensors are aligned."""
_COMPUTE: Final = {"float64": "float64", "int8": "int32", "int32": "int32"}

Progress = Callable[[str, float], None]


def compute_dtype(dtype: str) -> str:
    """The type in which TensorFlow has cuDNN add up."""
    return _COMPUTE.get(dtype, "float32")


class CannotAskError(UsageError):
    """This cuDNN cannot be asked at all."""


@dataclass(frozen=True)
class Question:
    spec: Conv2dSpec
    gpu: Gpu
    alignment: int = ALIGNMENT
    modes: Sequence[str] = MODES

    @property
    def padded(self) -> Conv2dSpec:
        """The same with equal padding on both sides: where it is not, TensorFlow pads the input first."""
        (top, bottom), (left, right) = self.spec.paddings
        n, h, w, c = self.spec.input
        if (top, left) == (bottom, right):
            return self.spec
        sides: Literal["SAME"] | tuple[tuple[int, int], tuple[int, int]]
        sides = ((min(top, bottom),) * 2, (min(left, right),) * 2)
        size = (n, h + abs(top - bottom), w + abs(left - right), c)
        return replace(self.spec, input=size, padding=sides)

    def document(self) -> dict[str, Any]:
        """As the child wants it."""
        spec = self.padded
        (n, h, w, c), (kh, kw, per_group, k), (_, oh, ow, _) = spec.input, spec.filter, spec.output
        return {
            "device": self.gpu.properties, "modes": list(self.modes), "direction": spec.direction,
            "x": [n, c, h, w], "w": [k, per_group, kh, kw], "y": [n, k, oh, ow],
            "channels_last": spec.layout == "NHWC", "dtype": spec.dtype,
            "compute": compute_dtype(spec.dtype), "before": [pair[0] for pair in spec.paddings],
            "after": [pair[1] for pair in spec.paddings], "strides": list(spec.strides),
            "dilations": list(spec.dilations), "alignment": self.alignment, "fused": list(spec.fused),
        }  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """`line` is the child's answer, None where there is none because of `failure`; `version` is cuDNN's number, None
    where it could not be loaded. `cublaslt` says whether the engines that need cuBLASLt could be listed: it starts with
    a GPU only."""

    question: Question
    install: Install
    version: int | None
    line: str | None
    failure: str | None
    cublaslt: bool = False


def varied(
    specs: Iterable[Conv2dSpec], directions: Sequence[str], layouts: Sequence[str], dtypes: Sequence[str]
) -> list[Conv2dSpec]:
    """Each convolution in every direction, layout and type, or as it is where none is named; each once.

    What is turned into a backward convolution is fused with nothing.
    """
    found: dict[Conv2dSpec, None] = {}
    for spec in specs:
        for direction in directions or (spec.direction,):
            for layout in layouts or (spec.layout,):
                for dtype in dtypes or (spec.dtype,):
                    fused = spec.fused if direction == "forward" else ()
                    changed: dict[str, Any] = {
                        "direction": direction,
                        "layout": layout.upper(),
                        "fused": fused,
                    }
                    found.setdefault(replace(spec, dtype=dtype, **changed))
    return list(found)


def questions(
    specs: Iterable[Conv2dSpec], gpus: Iterable[Gpu], alignments: Iterable[int] = ()
) -> list[Question]:
    """Each convolution on each GPU with each alignment (default: TensorFlow's)."""
    bytes_of = list(dict.fromkeys(alignments)) or [ALIGNMENT]
    on = list(gpus)
    return [Question(spec, gpu, alignment) for spec in specs for gpu in on for alignment in bytes_of]


def ask(install: Install, questions: Sequence[Question], progress: Progress | None = None) -> list[Reply]:
    """A reply to each question, in their order.

    Raises CannotAskError where this cuDNN is too old for it, or it or a companion cannot be loaded.
    """
    replies: list[Reply] = []
    driver: Path | None = None
    while len(replies) < len(questions):
        with _Child(install, driver, questions[len(replies) :]) as child:
            first = child.line()
            told = json.loads(first) if first is not None else {}
            if told.get("missing") == DRIVER and driver is None:
                driver = _empty_driver()
                continue
            version = _version(install, told, child)
            while len(replies) < len(questions):
                if progress is not None:
                    progress(f"asking cuDNN {version}", len(replies) / len(questions))
                line = child.line()
                failure = child.ended() if line is None else None
                replies.append(
                    Reply(
                        questions[len(replies)], install, version, line, failure, told.get("cublaslt") is True
                    )
                )
                if line is None:
                    break
    return replies


def ask_all(
    installs: Iterable[Install], questions: Sequence[Question], progress: Progress | None = None
) -> list[Reply]:
    """The replies of several installed versions; one that cannot be asked has its reason in each of them.

    Raises CannotAskError where none can.
    """
    replies: list[Reply] = []
    reasons: list[CannotAskError] = []
    for install in installs:
        try:
            replies += ask(install, questions, progress)
        except CannotAskError as error:
            reasons.append(error)
            replies += [Reply(question, install, None, None, str(error)) for question in questions]
    if reasons and all(reply.version is None for reply in replies):
        raise reasons[0]
    return replies


def assuming_cublaslt(install: Install) -> Install:
    """The same with a cuBLASLt that says that it started, as it would with a GPU: the engines that need it are listed.

    Raises CannotAskError where there is none to put behind it, or nothing to build that with.
    """
    real = next((Path(place) for place in install.cublaslt if "/" in place), None)
    if real is None:
        raise CannotAskError(f"{install.library}: there is no cuBLASLt beside it; get it with: {EXTRA}")
    path, reason = started_cublaslt(real)
    if path is None:
        raise CannotAskError(f"nothing can stand in for a started {real.name}: {reason}")
    return replace(install, instead=path)


def _empty_driver() -> Path:
    path, reason = empty_driver()
    if path is None:
        raise CannotAskError(
            f"there is no NVIDIA driver here, and an empty {DRIVER} cannot take its place: {reason}"
        )
    return path


def _version(install: Install, told: dict[str, Any], child: _Child) -> int:
    version = told.get("version")
    if isinstance(version, int):
        if version < OLDEST:
            text = f"{version // 10_000}.{version % 10_000 // 100}.{version % 100}"
            raise CannotAskError(
                f"{install.library}: cuDNN {text} has no heuristics without a device; use 9.8 or newer, see --cudnn"
            )
        return version
    missing = told.get("missing")
    if missing is not None and missing != DRIVER:
        raise CannotAskError(f"{missing} is not there ({told.get('cannot')}); get it with: {EXTRA}")
    reason = told.get("cannot") or child.ended()
    raise CannotAskError(f"{install.library}: cuDNN cannot be loaded: {reason}")


class _Child:
    """A process that answers questions, a line each."""

    def __init__(self, install: Install, driver: Path | None, questions: Sequence[Question]) -> None:
        setup = {
            "cudnn": str(install.library), "cublaslt": install.cublaslt,
            "driver": None if driver is None else str(driver),
        }  # fmt: skip
        lines = [setup, *(question.document() for question in questions)]
        self.said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        with tempfile.TemporaryFile() as asked:
            asked.write("".join(json.dumps(line) + "\n" for line in lines).encode())
            asked.seek(0)
            self.process = subprocess.Popen(
                # the library ends its process where it pleases: the child has no part of this one
                [sys.executable, "-I", str(CHILD)],
                stdin=asked, stdout=subprocess.PIPE, stderr=self.said, env=_environment(install),
            )  # fmt: skip
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        self.late = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def line(self) -> str | None:
        """The next answer; None where the process ended, or took too long and was ended."""
        try:
            line = self.lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            self.late = True
            self.process.kill()
            return None
        # a line that is cut off is no answer
        return line.decode("ascii") if line is not None and line.endswith(b"\n") else None

    def ended(self) -> str:
        """Why there is no answer."""
        code = self.process.wait()
        if self.late:
            return f"no answer within {PATIENCE_S} s"
        self.said.seek(0)
        text = self.said.read().decode("utf-8", "replace")
        if "Traceback (most recent call last)" in text:
            raise RuntimeError(f"{CHILD} failed:\n{text}")
        last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
        how = f"with exit code {code}" if code >= 0 else f"by {_signal(-code)}"
        return f"cuDNN ended the process {how}{f': {last}' if last else ''}"

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.said.close()


def _environment(install: Install) -> dict[str, str]:
    """This process's, with cuDNN's own parts found before any other version's, and without its logs."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CUDNN_LOG")}
    folders = [str(install.library.parent)]
    folders += [os.path.dirname(place) for place in install.cublaslt if "/" in place]
    inherited = environment.get("LD_LIBRARY_PATH")
    environment["LD_LIBRARY_PATH"] = ":".join([*dict.fromkeys(folders), *([inherited] if inherited else [])])
    return environment


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
