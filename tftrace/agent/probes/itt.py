"""oneDNN's primitives with their native stacks, through its ITT hooks."""

import os
from typing import Any, Dict, Optional

from ..patches import restore_environment
from .base import Probe
from .onednn import RAN_BEFORE

VARIABLES = ("INTEL_LIBITTNOTIFY64", "ONEDNN_ITT_TASK_LEVEL")


class IttProbe(Probe):
    name = "itt"

    def prepare(self) -> None:
        self._before: Dict[str, Optional[str]] = {}
        native = self.session.native
        if native is None:
            return self.unavailable("no native library: %s" % self.session.native_reason)
        if os.environ.get(VARIABLES[0], native.path) != native.path:
            return self.unavailable("another ITT collector is set: INTEL_LIBITTNOTIFY64")
        self._before = {name: os.environ.get(name) for name in VARIABLES}
        # oneDNN reads both at its first primitive, and children of the script inherit them
        os.environ[VARIABLES[0]] = native.path
        os.environ.setdefault(VARIABLES[1], "2")

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        native = self.session.native
        if native is not None and not native.itt_attached() and native.verbose_primitives():
            self.partly = (
                "oneDNN had made its first primitive before tftrace came: import tftrace and record earlier"
            )
        if native is not None and not native.itt_attached() and self.session.ran_before:
            self.partly = self.partly or RAN_BEFORE
        self.running = False

    def release(self) -> None:
        restore_environment(self._before)

    def counts(self) -> Dict[str, Any]:
        native = self.session.native
        if native is None or self.disabled:
            return {"events": None, "lost": None}
        counts = native.counts()
        return {"events": counts[2] - counts[3], "lost": counts[3], "attached": native.itt_attached()}
