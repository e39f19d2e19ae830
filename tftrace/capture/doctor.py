"""What a machine, and a TensorFlow on it, let tftrace observe: the checks of `tftrace doctor`.

TensorFlow is never imported here: a child process of the interpreter in question asks it
(`agent/interpreter.py`), so a library that ends its process ends that one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from tftrace.agent import contract
from tftrace.capture import native
from tftrace.capture.launch import interpreter
from tftrace.store.directory import DEFAULT_ROOT

QUESTIONS: Final = Path(contract.__file__).parent / "interpreter.py"
TIMEOUT_S: Final = 180
OLDEST_PYTHON: Final = (3, 9)
TESTED_TENSORFLOW: Final = (2, 21)
ROOM_BYTES: Final = 1 << 30
OTHER_TOOLS: Final = {
    "NVTX_INJECTION64_PATH": "an NVTX tool",
    "CUDA_INJECTION64_PATH": "a CUDA profiler",
    "NSYS_PROFILING_SESSION_ID": "Nsight Systems",
    "INTEL_LIBITTNOTIFY64": "an ITT collector",
}

State = Literal["ok", "not ok", "not checked"]


@dataclass(frozen=True)
class Check:
    """One line. `found` is what was seen; `advice` is what to do, None where nothing has to be done."""

    name: str
    state: State
    found: str
    advice: str | None = None


@dataclass(frozen=True)
class Machine:
    """What the checks look at.

    `facts` is what the interpreter said (`agent/interpreter.py`); `silence` why it said nothing, or None.
    """

    python: str
    facts: Mapping[str, Any]
    silence: str | None
    environ: Mapping[str, str]
    traces: Path
    driver_parameters: str = ""

    @property
    def gpus(self) -> list[dict[str, Any]]:
        return list(self.facts.get("gpus") or [])

    @property
    def build(self) -> Mapping[str, Any]:
        return self.facts.get("build") or {}


@dataclass(frozen=True)
class Report:
    """All checks of one interpreter on this machine. `synthetic`: its GPU is a stand-in."""

    python: str
    tensorflow: str | None
    synthetic: bool
    checks: list[Check] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The document of `tftrace doctor --json`."""
        return asdict(self)


def examine(python: str | None = None) -> Report:
    """Asks the interpreter (default: this one) and the machine. Takes as long as importing TensorFlow there.

    Raises UsageError where there is no such interpreter; whatever else is wrong is a check that is not ok.
    """
    path = interpreter(python)
    facts, silence = _ask(path)
    machine = Machine(path, facts, silence, os.environ, DEFAULT_ROOT, _driver_parameters())
    return Report(
        python=str(facts.get("executable") or path),
        tensorflow=facts.get("tensorflow"),
        synthetic=bool((facts.get("driver") or {}).get("standin")),
        checks=[check(machine) for check in CHECKS],
    )


def _ask(python: str) -> tuple[dict[str, Any], str | None]:
    """(facts, None), or ({}, why there are none)."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "facts.json"
        # the agent must not record a run that only asks
        environ = {k: v for k, v in os.environ.items() if k not in (contract.ENV_RAW, contract.ENV_OPTIONS)}
        try:
            done = subprocess.run(
                [python, str(QUESTIONS), str(answer)],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=environ,
                timeout=TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {}, f"it did not answer within {TIMEOUT_S} s"
        except OSError as error:
            return {}, f"it could not be started: {error.strerror}"
        try:
            return dict(json.loads(answer.read_text())), None
        except (OSError, ValueError):
            said = [line for line in done.stderr.splitlines() if line.strip()]
            return {}, f"it ended with {done.returncode} before it answered{': ' + said[-1] if said else ''}"


def _driver_parameters() -> str:
    try:
        return Path("/proc/driver/nvidia/params").read_text()
    except OSError:
        return ""


def _numbers(version: str | None) -> tuple[int, ...]:
    parts = []
    for part in (version or "").split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        parts.append(int(digits))
    return tuple(parts)


# -- the checks, in the order in which they are shown


def python_version(machine: Machine) -> Check:
    name = "Python"
    if machine.silence:
        return Check(
            name, "not ok", f"{machine.python}: {machine.silence}", "give another with --python PATH"
        )
    version = str(machine.facts.get("python"))
    if _numbers(version) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return Check(
            name, "not ok", version, f"the agent needs Python {oldest} or later in the traced process"
        )
    return Check(name, "ok", f"{version} ({machine.facts.get('executable')})")


def tensorflow_version(machine: Machine) -> Check:
    name = "TensorFlow"
    version = machine.facts.get("tensorflow")
    if machine.silence:
        return Check(name, "not checked", "the interpreter did not answer")
    if version is None:
        error = machine.facts.get("import_error") or "it cannot be imported"
        return Check(
            name, "not ok", str(error), "install it there, or name an interpreter with --python PATH"
        )
    number = _numbers(str(version))[:2]
    if number < contract.OLDEST_TENSORFLOW:
        oldest = ".".join(map(str, contract.OLDEST_TENSORFLOW))
        return Check(name, "not ok", str(version), f"tftrace traces TensorFlow {oldest} and later")
    if number > TESTED_TENSORFLOW:
        return Check(name, "not ok", f"{version}: newer than any that tftrace was tested with", "expect gaps")
    cuda = machine.build.get("cuda_version")
    how = f"built with CUDA {cuda}" if cuda else "built without CUDA" if machine.build else "build not known"
    return Check(name, "ok", f"{version}, {how}")


def native_library(machine: Machine) -> Check:
    path, reason = native.library()
    if path is not None:
        return Check("native library", "ok", str(path))
    advice = "install a C compiler; without the library there are no native stacks, and each call costs more"
    return Check("native library", "not ok", str(reason), advice)


def gpu_visible(machine: Machine) -> Check:
    name = "GPU"
    if machine.facts.get("gpus") is None:
        return Check(name, "not checked", _why_not_asked(machine, "gpus"))
    if machine.gpus:
        told = (f"{g.get('name')} (compute capability {g.get('compute_capability')})" for g in machine.gpus)
        return Check(name, "ok", ", ".join(told))
    hidden = machine.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return Check(name, "not ok", f"hidden by CUDA_VISIBLE_DEVICES={hidden!r}", "unset it to use the GPU")
    if not machine.build.get("cuda"):
        return Check(
            name,
            "not ok",
            "this TensorFlow was built without CUDA",
            "install 'tensorflow[and-cuda]' to use a GPU",
        )
    driver = machine.facts.get("driver") or {}
    if not driver.get("loadable"):
        found = f"no NVIDIA driver: {driver.get('error') or 'libcuda.so.1 was not found'}"
        return Check(name, "not ok", found, "nothing on a machine without one: ops are traced on the CPU")
    advice = "install 'tensorflow[and-cuda]', or put the CUDA libraries on LD_LIBRARY_PATH"
    return Check(name, "not ok", "there is a driver, but TensorFlow opened no device on it", advice)


def cudnn_version(machine: Machine) -> Check:
    name = "cuDNN"
    if not machine.gpus:
        return Check(name, "not checked", "no GPU is visible")
    loaded, built = machine.facts.get("cudnn"), machine.build.get("cudnn")
    if loaded is None:
        advice = "install 'tensorflow[and-cuda]': without cuDNN convolutions fail on the GPU"
        return Check(name, "not ok", "TensorFlow finds no libcudnn", advice)
    found = f"{loaded}; TensorFlow was built with {built or 'a version that it does not tell'}"
    have, want = _numbers(loaded), _numbers(built)
    if want and (have[0] != want[0] or have[:2] < want[:2]):
        advice = f"install a cuDNN {want[0]}.x that is not older than {built}: TensorFlow refuses this one"
        return Check(name, "not ok", found, advice)
    return Check(name, "ok", found)


def cupti_version(machine: Machine) -> Check:
    name = "CUPTI version"
    cupti = machine.facts.get("cupti")
    if not machine.gpus:
        return Check(name, "not checked", "no GPU is visible")
    if cupti is None:
        return Check(name, "not checked", _why_not_asked(machine, "cupti"))
    loaded, built = cupti.get("api"), machine.build.get("cupti_api")
    if not loaded:
        return Check(
            name, "not ok", "TensorFlow finds no libcupti: the device layer stays unobserved",
            "install 'tensorflow[and-cuda]', or put CUPTI's directory on LD_LIBRARY_PATH",
        )  # fmt: skip
    found = (
        f"API {loaded}; TensorFlow was built with {f'API {built}' if built else 'one that it does not tell'}"
    )
    cuda = _numbers(machine.build.get("cuda_version"))
    # since CUDA 13 the number begins with CUDA's own version; before, it only counted
    other_major = loaded >= 100_000 and bool(cuda) and loaded // 10_000 != cuda[0]
    if other_major or (built and loaded < built):
        return Check(name, "not ok", found, "put the CUPTI of TensorFlow's own CUDA version first")
    return Check(name, "ok", found)


def cupti_permitted(machine: Machine) -> Check:
    name = "CUPTI permitted"
    cupti = machine.facts.get("cupti") or {}
    if not machine.gpus:
        return Check(name, "not checked", "no GPU is visible")
    if not cupti.get("api"):
        return Check(name, "not checked", "no libcupti was found")
    error = cupti.get("error")
    if error is None:
        return Check(name, "ok", "kernels can be recorded")
    if "PRIVILEGES" in error or "RmProfilingAdminOnly: 1" in machine.driver_parameters:
        advice = (
            "run as root, or load the driver with NVreg_RestrictProfilingToAdminUsers=0; in a container add"
            " --cap-add=SYS_ADMIN"
        )
        return Check(name, "not ok", f"{error}: the driver lets administrators profile only", advice)
    if "MULTIPLE_SUBSCRIBERS" in error:
        return Check(
            name, "not ok", f"{error}: another profiler holds CUPTI", "end it: CUPTI serves one at a time"
        )
    return Check(name, "not ok", str(error), "the device layer stays unobserved; see TensorFlow's own log")


def other_tools(machine: Machine) -> Check:
    name = "other profilers"
    active = [
        f"{what} ({variable} is set)"
        for variable, what in OTHER_TOOLS.items()
        if machine.environ.get(variable)
    ]
    if not active:
        return Check(name, "ok", "none in the environment")
    advice = "unset it to see TensorFlow's op names on GPU kernels, or use --no-tf-profiler"
    return Check(name, "not ok", ", ".join(active), advice)


def profiler_options(machine: Machine) -> Check:
    name = "profiler options"
    obeyed = machine.facts.get("profiler_options")
    if obeyed is None:
        return Check(name, "not checked", _why_not_asked(machine, "profiler_options"))
    if obeyed:
        return Check(name, "ok", "TensorFlow's profiler obeys them")
    return Check(
        name, "not ok", "this TensorFlow's profiler ignores them and records at its own levels",
        "nothing: tftrace reads which levels were in force; shapes come from its own probe",
    )  # fmt: skip


def disk_space(machine: Machine) -> Check:
    place = machine.traces.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free at {place}"
    if free < ROOM_BYTES:
        return Check(
            "disk space", "not ok", found, "free some, or write elsewhere with -o; a trace is cut short"
        )
    if not os.access(place, os.W_OK):
        return Check("disk space", "not ok", f"{place} cannot be written", "write elsewhere with -o DIR")
    return Check("disk space", "ok", found)


def _why_not_asked(machine: Machine, fact: str) -> str:
    if machine.silence or machine.facts.get("tensorflow") is None:
        return "TensorFlow could not be asked"
    return str((machine.facts.get("failed") or {}).get(fact) or "TensorFlow does not tell")


CHECKS: Final[tuple[Callable[[Machine], Check], ...]] = (
    python_version,
    tensorflow_version,
    native_library,
    gpu_visible,
    cudnn_version,
    cupti_version,
    cupti_permitted,
    other_tools,
    profiler_options,
    disk_space,
)
