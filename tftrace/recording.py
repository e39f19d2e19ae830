"""`tftrace.record()`: the same recording inside a process that goes on, without a parent."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tftrace.agent import contract
from tftrace.errors import CaptureError, UsageError

if TYPE_CHECKING:
    from tftrace.model.trace import Trace
    from tftrace.store.directory import Place


class Recording:
    """What `with tftrace.record() as recording` gives; `trace` is there once the block has ended."""

    _open: Recording | None = None

    def __init__(self, place: Place, options: dict[str, Any], source: bool) -> None:
        self.directory = place.path
        self._place = place
        self._options = options
        self._source = source
        self._trace: Trace | None = None
        self._forget_import: Callable[[], None] = lambda: None

    def __enter__(self) -> Recording:
        from tftrace.agent import importhook
        from tftrace.agent.session import Session

        if Recording._open is not None or contract.ENV_RAW in os.environ:
            raise UsageError("a recording runs in this process already; end it before another begins")
        raw = (self._place.made / "raw").resolve()
        try:
            raw.mkdir(exist_ok=True)
        except OSError as error:
            raise CaptureError(f"{raw}: cannot be written: {error.strerror}") from error
        self._started = time.time_ns()
        self._session = Session(str(raw), self._options)
        if "tensorflow" in sys.modules:
            self._session.tensorflow_imported()
        else:
            self._forget_import = importhook.after_import("tensorflow", self._session.tensorflow_imported)
        Recording._open = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        from tftrace.correlate.build import build
        from tftrace.store.directory import completing

        Recording._open = None
        self._forget_import()
        self._session.stop()
        facts = {
            "argv": [] if self._options["redact"] else list(sys.argv),
            "started_ns": self._started,
            "ended_ns": time.time_ns(),
            "probes": self._options["probes"],
            "disabled": [p for p in contract.PROBES if p not in self._options["probes"]],
            "source": self._source,
            "redact": self._options["redact"],
            "exit_status": None,
            "inside": True,
        }
        with completing(self._place) as directory:
            try:
                (directory / "run.json").write_text(json.dumps(facts, indent=1))
            except OSError as fault:
                raise CaptureError(
                    f"{directory / 'run.json'}: cannot be written: {fault.strerror}; make room"
                ) from fault
            build(directory)

    @property
    def trace(self) -> Trace:
        """The trace of the block. Raises UsageError while the block still runs."""
        from tftrace.store.directory import open_trace

        if Recording._open is self:
            raise UsageError("the recording still runs; read its trace after the with block")
        if self._trace is None:
            self._trace = open_trace(self.directory)
        return self._trace


def record(
    output: Path | str | None = None,
    *,
    name: str = "recording",
    force: bool = False,
    probes: tuple[str, ...] | None = None,
    profile_mb: float = 64.0,
    steps: tuple[int, int] | None = None,
    source: bool = True,
    redact: bool = False,
) -> Recording:
    """Records what TensorFlow does inside a `with` block of this process; works in a notebook too.

    `output` is the trace directory (default: traces/<name>-<time>); `probes` the probes to use (default: all);
    `profile_mb` the memory TensorFlow's profiler may use; `steps` the range of graph executions to profile.
    After the block `recording.trace` holds the trace, and `recording.directory` is where it lies.

    oneDNN reads its environment at its first primitive: where one ran before the block, its layer is unobserved,
    and the manifest says so.

    Raises UsageError where the directory exists and `force` is not set, where a probe is unknown, or where a
    recording runs in the process already; CaptureError where the directory cannot be written.
    """
    from tftrace.capture import native
    from tftrace.store.directory import place_for

    chosen = list(contract.PROBES if probes is None else probes)
    for probe in chosen:
        if probe not in contract.PROBES:
            raise UsageError(f"no probe is called {probe!r}; there are {', '.join(contract.PROBES)}")
    place = place_for(Path(output) if output is not None else None, name, force)
    library, reason = native.library()
    options = {
        "probes": chosen,
        "profile_mb": profile_mb,
        "steps": list(steps) if steps else None,
        "native": str(library) if library else None,
        "native_reason": reason,
        "redact": redact,
        "inside": True,
    }
    return Recording(place, options, source)
