"""One recording in one process: its directory, its clocks, its probes, and the thread that looks after them."""

import _thread
import contextlib
import functools
import os
import platform
import socket
import sys
import sysconfig
import threading
import time
from typing import Any, Dict, List, Optional

from . import contract, files, graph_runs, standin
from . import native as native_library
from .clocks import Clocks, raw
from .metas import Metas
from .native import Native
from .patches import Patches
from .probes import registry
from .probes.base import Probe
from .pystacks import PythonStacks
from .threads import ThreadStarts

TICK = 0.05
CLOCK_EVERY = 1.0


def host_name() -> str:
    return "".join(c if c.isalnum() or c in ".-_" else "_" for c in socket.gethostname()) or "host"


class Session:
    """Begins to record at once what needs no TensorFlow; `tensorflow_imported` starts the rest."""

    def __init__(self, raw_directory: str, options: Dict[str, Any]) -> None:
        self.raw_directory = raw_directory
        self.options = options
        self.native: Optional[Native] = None
        self.native_reason: Optional[str] = options.get("native_reason") or "it was not built"
        self.probes: List[Probe] = []
        self.running = False
        self.tensorflow: Optional[str] = None  # its version, once imported
        self.on_standin = False
        self.ran_before = False  # TensorFlow had run ops before this session began
        self.faults = 0
        self.fault: Optional[str] = None
        self.thread_names: Dict[str, str] = {}
        self._loads = -1  # libraries loaded when maps.txt was written
        self._wake = threading.Event()
        self._asleep = threading.Event()
        self._asleep.set()
        self._begin()

    def _begin(self) -> None:
        self.directory = os.path.join(self.raw_directory, "%s-%d" % (host_name(), os.getpid()))
        if os.path.exists(self.directory):  # the process id came round, or a second recording in one process
            self.directory += "-%x" % raw()
        os.makedirs(self.directory, mode=0o700)
        self.clocks = Clocks(self.directory)
        self.stacks = PythonStacks(self.directory)
        self.threads = ThreadStarts(self)
        self.metas = Metas(self.directory)
        files.replace_json(self.directory, "process.json", self._process())
        path = self.options.get("native")
        if path:
            try:
                self.native = native_library.load(path)
                self.native.open(self.directory)
                self.native.reset_dispatch()
                self.native_reason = None
            except OSError as error:
                self.native, self.native_reason = None, str(error)
        self.probes = [make(self) for name, make in registry.PROBES.items() if self.wants(name)]
        for probe in self.probes:
            probe.prepare()
        self.running = True
        self.write_status(finished=False)

    def wants(self, name: str) -> bool:
        return name in self.options.get("probes", contract.PROBES)

    def probe(self, name: str) -> Any:
        return next((p for p in self.probes if p.name == name), None)

    def around(
        self, patches: Patches, owner: Any, name: str, after: Any, before: Any = lambda: 0, failed: Any = None
    ) -> None:
        """Runs `after(token, result, keyword names, *arguments)` when `owner.name` has returned; when it has raised,
        `failed(token, exception, keyword names, *arguments)`, or `after(token)` without a `failed`. `token` is what
        `before()` gave. Works on a module's function and on a class's method."""
        before, after = self.guarded(before), self.guarded(after)
        failed = failed and self.guarded(failed)
        original = owner.__dict__.get(name) or getattr(owner, name)  # a class may inherit it
        as_method = isinstance(owner, type)
        if self.native is not None:
            patches.set(owner, name, self.native.wrap_around(original, before, after, failed, as_method))
            return

        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            token = before()
            try:
                result = original(*arguments, **keywords)
            except BaseException as error:
                if failed:
                    failed(token, error, tuple(keywords), *arguments, *keywords.values())
                else:
                    after(token)
                raise
            after(token, result, tuple(keywords), *arguments, *keywords.values())
            return result

        patches.set(owner, name, functools.wraps(original)(wrapper))

    def instead(self, patches: Patches, owner: Any, name: str, arguments: Any, after: Any) -> None:
        """As `around`, for what is to be called with other arguments now and then: `arguments(*given)` answers with
        those, positional and for a method with the object first, or with an empty tuple. It is the token of `after`."""
        arguments, after = self.guarded(arguments), self.guarded(after)
        original = owner.__dict__.get(name) or getattr(owner, name)
        as_method = isinstance(owner, type)
        if self.native is not None:
            patches.set(
                owner,
                name,
                self.native.wrap_around(original, arguments, after, None, as_method, instead=True),
            )
            return

        def wrapper(*given: Any, **keywords: Any) -> Any:
            others = arguments(*given, **keywords) or ()
            try:
                result = original(*others) if others else original(*given, **keywords)
            except BaseException:
                after(others)
                raise
            after(others, result, tuple(keywords), *given, *keywords.values())
            return result

        patches.set(owner, name, functools.wraps(original)(wrapper))

    def guarded(self, callback: Any) -> Any:
        """A callback that the script never hears of: what it raises is a fault of tftrace, kept for the status."""

        def call(*arguments: Any, **keywords: Any) -> Any:
            try:
                return callback(*arguments, **keywords)
            except Exception as error:
                self.faults += 1
                self.fault = self.fault or "%s in %s: %s" % (
                    type(error).__name__,
                    getattr(callback, "__name__", "?"),
                    error,
                )
                return None

        return call

    def _process(self) -> Dict[str, Any]:
        libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        libraries |= {
            p for p in sys.path if os.path.basename(p.rstrip(os.sep)) in ("site-packages", "dist-packages")
        }
        argv = list(
            getattr(sys, "orig_argv", None) or getattr(sys, "argv", [])
        )  # argv is not set yet at start-up
        return {
            "format": contract.FORMAT,
            "pid": os.getpid(),
            "ppid": os.getppid(),
            "host": host_name(),
            "argv": [] if self.options.get("redact") else argv,
            "executable": sys.executable,
            "python": platform.python_version(),
            "started": raw(),
            "main": os.getppid() == self.options.get("parent") or bool(self.options.get("inside")),
            "libraries": sorted(p for p in libraries if p),
            "cwd": os.getcwd(),
        }

    def tensorflow_imported(self) -> None:
        """TensorFlow is there: the probes can stand where they have to."""
        if not self.running:
            return  # imported after the recording had ended
        import tensorflow as tf

        self.tensorflow = str(tf.__version__)
        if contract.release(self.tensorflow) < contract.OLDEST_TENSORFLOW:
            oldest = ".".join(map(str, contract.OLDEST_TENSORFLOW))
            for probe in self.probes:
                probe.unavailable(
                    "TensorFlow %s is older than %s, the oldest that is traced" % (self.tensorflow, oldest)
                )
            self.write_status(finished=False)
            return
        context = getattr(sys.modules.get("tensorflow.python.eager.context"), "_context", None)
        self.ran_before = getattr(context, "_context_handle", None) is not None
        self.threads.start()
        for probe in self.probes:
            if not probe.disabled:
                try:
                    probe.start()
                except Exception as error:
                    probe.fail("%s: %s" % (type(error).__name__, error))
        self._start_ticker()
        self.write_maps()  # at once: a process that is killed early leaves native stacks too
        self.write_status(finished=False)

    def _start_ticker(self) -> None:
        # not a threading.Thread: the script's own threading.enumerate() shows what it would without tftrace
        self._wake.clear()
        self._asleep.clear()
        _thread.start_new_thread(self._tick, ())

    def _tick(self) -> None:
        try:
            self._until_woken()
        finally:
            self._asleep.set()

    def _until_woken(self) -> None:
        next_clock = next_status = time.monotonic() + CLOCK_EVERY
        while not self._wake.wait(TICK):
            now = time.monotonic()
            for probe in self.probes:
                if probe.running:
                    probe.tick(now)
            if now >= next_clock:
                self.clocks.sample()
                self.write_maps(again=False)
                next_clock = now + CLOCK_EVERY
            if now >= next_status:
                self.write_status(finished=False)
                next_status = now + 5 * CLOCK_EVERY

    def write_maps(self, again: bool = True) -> None:
        """Where libraries lie, for the addresses of native stacks; rewritten as the process loads more, and `again`
        though it loaded none. It takes a millisecond, for which the script may have to wait."""
        loads = self.native.loads() if self.native is not None else 0
        if not again and loads == self._loads:
            return
        self._loads = loads
        try:
            with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
                text = file.read()
            files.replace(self.directory, "maps.txt", text)
        except OSError:
            pass

    def write_status(self, finished: bool) -> None:
        status = {
            "finished": finished,
            "stopped": raw() if finished else None,
            "versions": self._versions(),
            "devices": self._devices() if finished else [],
            "settings": self._settings() if finished else {},
            "synthetic": self._on_standin(),
            "env": {k: os.environ[k] for k in contract.ENVIRONMENT if k in os.environ},
            "probes": [p.status() for p in self.probes if p.applies],
            "native": None if self.native else self.native_reason,
            "faults": {"count": self.faults, "first": self.fault},
            "exception": graph_runs.uncaught(self) if finished else None,
            "threads": self._threads(),
        }
        with contextlib.suppress(OSError):  # the disk is full: what stands there already has to do
            files.replace_json(self.directory, "status.json", status)

    def _threads(self) -> Dict[str, str]:
        """Names of the threads seen so far, by thread id."""
        try:
            for tid in os.listdir("/proc/self/task"):
                with open("/proc/self/task/%s/comm" % tid, encoding="utf-8", errors="replace") as file:
                    self.thread_names[tid] = file.read().strip()
        except OSError:  # one has just ended
            pass
        return self.thread_names

    def _versions(self) -> Dict[str, Any]:
        versions: Dict[str, Any] = {"python": platform.python_version()}
        if self.tensorflow:
            versions["tensorflow"] = self.tensorflow
            build = (
                getattr(sys.modules.get("tensorflow.python.platform.build_info"), "build_info", None) or {}
            )
            versions["cuda"] = build.get("cuda_version")
            versions["cudnn"] = build.get("cudnn_version")
        for name in ("keras", "tf_keras", "numpy"):
            module = sys.modules.get(name)
            if module is not None:
                versions[name] = str(getattr(module, "__version__", None))
        return versions

    def _devices(self) -> List[Dict[str, Any]]:
        """Only what the script's own context knows: asking TensorFlow would initialise it."""
        context = sys.modules.get("tensorflow.python.eager.context")
        current = getattr(context, "_context", None)
        devices = getattr(current, "_logical_devices", None) or []
        return [{"name": d.name, "type": d.device_type} for d in devices]

    def _settings(self) -> Dict[str, bool]:
        """What the script, or its environment, set of how kernels are picked; asking initialises nothing."""
        config = sys.modules.get("tensorflow.python.framework.config")
        names = {
            "op_determinism": "is_op_determinism_enabled",
            "tensor_float_32": "tensor_float_32_execution_enabled",
        }
        found = {key: getattr(config, name, None) for key, name in names.items()}
        settings = {}
        for key, ask in found.items():
            with contextlib.suppress(
                Exception
            ):  # TensorFlow's own functions; what they raise is not ours to tell
                if ask is not None:
                    settings[key] = bool(ask())
        return settings

    def _on_standin(self) -> bool:
        # once loaded, a driver stays
        self.on_standin = self.on_standin or standin.loaded()
        return self.on_standin

    def stop(self) -> None:
        if not self.running:
            return
        self.running = False
        self._wake.set()
        self._asleep.wait(timeout=30)  # a window that is being written
        for probe in reversed(self.probes):
            if probe.running:
                try:
                    probe.stop()
                except Exception as error:
                    probe.fail("%s: %s" % (type(error).__name__, error))
        self.threads.stop()
        if self.native:
            self.native.pause(True)
        self.clocks.sample()
        self.write_maps()
        self.write_status(finished=True)
        for probe in self.probes:
            probe.release()
        self.stacks.close()
        self.metas.close()
        self.clocks.close()

    def after_fork(self) -> None:
        """The child writes into a directory of its own; the parent's files are left alone."""
        if not self.running:
            return
        for probe in self.probes:
            probe.before_reopen()
        ticking = not self._asleep.is_set()
        probes = self.probes
        self.directory = os.path.join(self.raw_directory, "%s-%d" % (host_name(), os.getpid()))
        try:
            os.makedirs(self.directory, mode=0o700)
        except OSError:
            self.running = False
            if self.native:
                self.native.pause(True)
            return
        self.clocks.reopen(self.directory)
        self.stacks.reopen(self.directory)
        self.threads.reopen()
        self.metas.reopen(self.directory)
        files.replace_json(self.directory, "process.json", self._process())
        if self.native:
            self.native.open(self.directory)
            self.native.reset_dispatch()
        for probe in probes:
            probe.reopen()
        multiprocessing = sys.modules.get("multiprocessing.util")
        if multiprocessing is not None:  # its forked children leave by os._exit, past every atexit handler
            multiprocessing.register_after_fork(self, _stop_with_multiprocessing)
        self._wake, self._asleep = threading.Event(), threading.Event()
        self._asleep.set()
        if ticking:
            self._start_ticker()
            self.write_maps()
        self.write_status(finished=False)


def _stop_with_multiprocessing(session: Session) -> None:
    """Has a child of multiprocessing end its session after all else that it cleans up."""
    from multiprocessing.util import Finalize

    Finalize(None, session.stop, exitpriority=-100)
