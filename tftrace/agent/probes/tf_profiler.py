"""TensorFlow's own profiler, in windows within a budget of memory.

It is the costly probe: about 730 bytes and 8 us of CPU an eager op. So it records from the first op until half the
budget is spent, then in short windows ever further apart, and what lies outside is unobserved. One session may run in
a process: when the script starts its own, this one steps aside, and comes back afterwards.
"""

import contextlib
import os
import shutil
import threading
import time
from typing import Any, Dict, Iterator, List, Optional

from .. import files
from ..clocks import raw
from ..patches import Patches
from ..traced_runs import TracedRuns
from .base import Probe

FIRST_SHARE, LATER_SHARE = 0.5, 0.125  # of the budget, for the first window and each of the others
FIRST_GAP = 2.0  # seconds between the first two windows; doubles each time
GUARD_LEAST, GUARD_MOST = 8, 2e9
"""A window closes when the process grew by an eighth of the memory that is left: graphs may loop, and their events are
not counted. It is at least so many times the window's budget, and at most so many bytes."""
NOT_OURS = 8  # memory that grew by so many times what the window wrote was not the profiler's


class TfProfilerProbe(Probe):
    name = "tf_profiler"

    def prepare(self) -> None:
        self.window: Optional[Dict[str, Any]] = None
        self.windows: List[Dict[str, Any]] = []
        self.lock = threading.RLock()
        self.aside = 0
        self.asides = 0
        self.closing_s = 0.0
        options = self.session.options
        self.budget = float(options.get("profile_mb") or 64) * 1e6
        self.spent = 0.0
        self.gap = FIRST_GAP
        self.next_open = 0.0
        self.steps = options.get("steps")
        self.gpu_began = False

    def start(self) -> None:
        from tensorflow.python.profiler.internal import _pywrap_profiler

        if self.session.native is not None:
            self.session.native.quiet_install()
        self.real = _pywrap_profiler.ProfilerSession
        self.running = True
        self.patches = Patches()
        self.patches.set(_pywrap_profiler, "ProfilerSession", self._shim())
        TracedRuns(self.session, self.step_aside, self.come_back).start(self.patches)
        dispatch = self.session.probe("dispatch")
        self.dispatch = dispatch if dispatch is not None and dispatch.running else None
        if self.steps and self.dispatch is not None:
            self.dispatch.on_steps.append(self._step)
            self.dispatch.set_trigger(int(self.steps[0]))
        else:
            self.open("the script begins")

    # -- windows

    def open(self, why: str) -> None:
        with self.lock:
            if self.window is not None or self.aside or not self.running:
                return
            directory = os.path.join(self.session.directory, "window-%d" % len(self.windows))
            session = self.real()
            asked = raw()  # its times are relative to a moment between this and `open`
            try:
                with self._quiet():
                    session.start(directory, {})
            except Exception as error:  # somebody's session runs that did not come through Python
                self.partly = "%s: %s" % (type(error).__name__, str(error)[:200])
                self.next_open = time.monotonic() + self.gap
                return
            share = FIRST_SHARE if not self.windows else LATER_SHARE
            budget = (
                self.budget - self.spent if self.steps else min(self.budget * share, self.budget - self.spent)
            )
            self.window = {
                "session": session,
                "directory": directory,
                "asked": asked,
                "open": raw(),
                "opened_because": why,
                "work": self._work(),
                "private": _private(),
                "guard": max(GUARD_LEAST * max(budget, 8e6), min(_available() / 8, GUARD_MOST)),
                "budget": budget,
            }

    def close(self, why: str) -> None:
        with self.lock:
            window, self.window = self.window, None
            if window is None:
                return
            began = raw()
            run = "window-%d" % len(self.windows)
            row = {
                "run": run,
                "asked": window["asked"],
                "open": window["open"],
                "close": began,
                "why": why,
                "opened_because": window["opened_because"],
                "lost": None,
                "bytes": 0,
            }
            try:
                with self._quiet():
                    window["session"].export_to_tb()
                kept = os.path.join(self.session.directory, "plugins", "profile", run)
                row["bytes"] = _keep(window["directory"], kept)
            except Exception as error:
                row["lost"] = "%s: %s" % (type(error).__name__, str(error)[:300])
                self.partly = "a window could not be written: %s" % row["lost"]
            window["session"] = None
            row["closed"] = raw()
            self.closing_s += (row["closed"] - began) / 1e9
            self.spent += self._work() - window["work"]
            self.windows.append(row)
            lines = files.Lines(self.session.directory, "windows.jsonl")
            lines.add(row)
            lines.close()

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """What the profiler logs of a session of ours is not for the script's stderr."""
        native = self.session.native
        if native is not None:
            native.quiet(True)
        try:
            yield
        finally:
            if native is not None:
                native.quiet(False)

    def _work(self) -> float:
        return float(self.dispatch.work()) if self.dispatch is not None else 0.0

    def tick(self, now: float) -> None:
        if not self.lock.acquire(blocking=False):
            return
        try:
            window = self.window
            if window is not None:
                grown = self._grown(window)
                if self._work() - window["work"] >= window["budget"]:
                    self.close("its share of --profile-mb was spent")
                elif grown > window["guard"]:
                    self.close("the process grew by %d MB while it was open" % (grown / 1e6))
                    if self.windows[-1]["bytes"] * NOT_OURS < grown:
                        return self.open("most of what the process grew by was its own")
                else:
                    return
                self.next_open = (
                    now + self.gap + 10 * (self.windows[-1]["closed"] - self.windows[-1]["close"]) / 1e9
                )
                self.gap *= 2
            elif (
                not self.steps
                and not self.aside
                and now >= self.next_open
                and self.spent < self.budget * 0.98
            ):
                self.open("a later look")
        finally:
            self.lock.release()

    def _grown(self, window: Dict[str, Any]) -> int:
        """Bytes by which the process grew since the window opened, as far as they may be the profiler's.

        A GPU's driver and TensorFlow's allocators for it take gigabytes when the first op runs: the first time that the
        process grew by more than the guard is theirs.
        """
        private = _private()
        grown = int(private - window["private"])
        if grown > window["guard"] and not self.gpu_began and _drives_gpu():
            self.gpu_began = True
            window["private"] = private
            return 0
        return grown

    def _step(self, step: int) -> None:
        assert self.steps is not None
        assert self.dispatch is not None
        first, last = int(self.steps[0]), int(self.steps[1])
        if first <= step < last:
            self.dispatch.set_trigger(last)
            self.open("step %d" % step)
        elif step >= last:
            self.dispatch.set_trigger(-1)
            self.close("step %d" % step)

    # -- the script's own sessions

    def step_aside(self) -> None:
        with self.lock:
            self.aside += 1
            self.asides += 1
            self.close("the script started a profiler session of its own")

    def come_back(self) -> None:
        with self.lock:
            self.aside -= 1
            if self.spent < self.budget and not self.steps:
                self.open("the script's own profiler session ended")

    def _shim(self) -> type:
        probe = self

        class ProfilerSession:
            """TensorFlow's ProfilerSession, with tftrace's own out of the way while it runs."""

            def __init__(self) -> None:
                self._real = probe.real()
                self._active = False

            def start(self, *arguments: Any, **keywords: Any) -> Any:
                if probe.running:
                    probe.step_aside()
                    self._active = True
                try:
                    return self._real.start(*arguments, **keywords)
                except BaseException:
                    self._ended()
                    raise

            def _ended(self) -> None:
                if self._active:
                    self._active = False
                    probe.come_back()

            def stop(self, *arguments: Any, **keywords: Any) -> Any:
                try:
                    return self._real.stop(*arguments, **keywords)
                finally:
                    self._ended()

            def export_to_tb(self, *arguments: Any, **keywords: Any) -> Any:
                try:
                    return self._real.export_to_tb(*arguments, **keywords)
                finally:
                    self._ended()

            def __getattr__(self, name: str) -> Any:
                return getattr(self.__dict__["_real"], name)

            def __del__(self) -> None:  # Keras discards one unused at warm-up
                self.__dict__.pop("_real", None)
                if self.__dict__.get("_active"):
                    self._ended()

        return ProfilerSession

    def stop(self) -> None:
        self.close("the script ended")
        self.running = False
        left = self.patches.restore()
        if left:
            self.partly = "replaced by somebody else meanwhile, left as it is: " + ", ".join(left)
        if self.session.native is not None:
            self.session.native.quiet_remove()

    def before_reopen(self) -> None:
        self.window = None  # the parent's: the threads that wrote it do not exist here
        self.windows = []
        self.lock = threading.RLock()

    def reopen(self) -> None:
        if self.running and self.steps and self.dispatch is not None:
            self.dispatch.set_trigger(int(self.steps[0]))

    def counts(self) -> Dict[str, Any]:
        if self.asides and not self.partly:
            self.partly = "stepped aside for %d profiler session(s) of the script's own" % self.asides
        return {
            "events": None,
            "lost": None,
            "windows": len(self.windows),
            "closing_us": round(self.closing_s * 1e6),
            "budget_mb": self.budget / 1e6,
        }


def _private() -> int:
    """Bytes of memory that are this process's own: without the libraries it mapped, of which CUDA has many."""
    try:
        with open("/proc/self/statm") as file:
            _, resident, shared = file.read().split()[:3]
            return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def _drives_gpu() -> bool:
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            return any("/libcuda.so" in line for line in file)
    except OSError:
        return False


def _available() -> float:
    """Bytes that may still be used: of the machine, or of the container where that has less; 0 if that is not known."""
    free = []
    with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/meminfo") as file:
        line = next(line for line in file if line.startswith("MemAvailable:"))
        free.append(float(line.split()[1]) * 1024)
    try:
        with open("/sys/fs/cgroup/memory.max") as most, open("/sys/fs/cgroup/memory.current") as used:
            free.append(float(int(most.read())) - float(used.read()))
    except (OSError, ValueError):  # no such file, or "max": no limit
        pass
    return max(0.0, min(free)) if free else 0.0


def _keep(directory: str, into: str) -> int:
    """Moves the one run TensorFlow wrote below `directory` to its place in the trace. Returns its bytes."""
    os.makedirs(into, exist_ok=True)
    moved = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            moved += os.path.getsize(os.path.join(folder, name))
            os.replace(os.path.join(folder, name), os.path.join(into, name))
    shutil.rmtree(directory, ignore_errors=True)
    return moved
