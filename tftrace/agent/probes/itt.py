"""oneDNN's primitives with their native stacks, through its ITT hooks."""

import glob
import mmap
import os
from typing import Any, Dict, Optional

from ..patches import restore_environment
from .base import Probe
from .onednn import LIBRARY, RAN_BEFORE

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
        native = self.session.native
        if native is not None:
            native.verbose_stacks(True)
        self.running = True

    def stop(self) -> None:
        native = self.session.native
        if native is not None:
            native.verbose_stacks(False)
        if native is not None and not native.itt_attached() and native.verbose_primitives():
            self.partly = (
                "oneDNN had made its first primitive before tftrace came: import tftrace and record earlier"
                if _reports_to_itt()
                else "the oneDNN in this TensorFlow was built without ITT: native stacks are taken where it prints "
                "a primitive's line, and the shares of worker threads are not told"
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


def _reports_to_itt() -> bool:
    """Whether TensorFlow's library knows the variable that switches oneDNN's tasks on; that of 2.12 does not.

    Looked up only where no task came: reading through the library takes half a second.
    """
    import tensorflow

    for path in glob.glob(os.path.join(os.path.dirname(tensorflow.__file__), LIBRARY + "*")):
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(b"ITT_TASK_LEVEL") >= 0:
                return True
    return False
