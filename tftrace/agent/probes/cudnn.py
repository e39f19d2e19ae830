"""Every call into cuDNN, at the trampolines through which TensorFlow makes them."""

import os
from typing import Any, Dict

from .base import Probe

LIBRARY = "libtensorflow_framework.so"
STACKS_PER_SECOND = 20000
"""Native stacks a second; above it, executions are sampled. What one costs: docs/overhead.md."""


class CudnnProbe(Probe):
    name = "cudnn"

    def prepare(self) -> None:
        self._slots = 0
        if self.session.native is None:
            return self.unavailable("no native library: %s" % self.session.native_reason)
        if os.uname().machine != "x86_64":
            return self.unavailable(
                "TensorFlow's trampolines are known on x86-64 only, this is %s" % os.uname().machine
            )

    def start(self) -> None:
        native = self.session.native
        assert native is not None
        asked = self.session.options.get("cudnn_stacks")
        stacks = STACKS_PER_SECOND if asked is None else int(asked)
        if self.session.options.get("cudnn_preload"):
            if not native.cudnn_install_preloaded(stacks):
                return self.unavailable(
                    "its library was to be preloaded, but another stands in front of it: see LD_PRELOAD"
                )
            self.running = True
            return None
        self._slots = native.cudnn_install(LIBRARY, stacks)
        if self._slots == 0:
            return self.unavailable(
                "this TensorFlow was built without cuDNN: %s has no cudnn functions" % LIBRARY
            )
        if self._slots < 0:
            return self.unavailable(
                "TensorFlow %s calls cuDNN in a way that is not known; nothing was changed. Try run --cudnn-preload"
                % self.session.tensorflow
            )
        self.running = True

    def stop(self) -> None:
        native = self.session.native
        self.running = False
        if native is None:
            return
        left = native.cudnn_remove()
        if left:
            self.partly = "%d of %d slots were taken over by somebody else, and left as they are" % (
                left,
                self._slots,
            )
        elif native.cudnn_counts()[3]:
            self.partly = (
                "%d calls have no native stack: more than asked for in a second" % (native.cudnn_counts()[3])
            )

    def fail(self, reason: str) -> None:
        super().fail(reason)
        if self.session.native is not None:
            self.session.native.cudnn_remove()

    def counts(self) -> Dict[str, Any]:
        native = self.session.native
        if native is None or self.disabled or self.session.tensorflow is None:
            return {"events": None, "lost": None}
        calls, lost, values, unsampled, version, _ = native.cudnn_counts()
        return {
            "events": calls - lost,
            "lost": lost + values,
            "without_stack": unsampled,
            "version": version or None,
        }

    def status(self) -> Dict[str, Any]:
        row = super().status()
        if row["status"] == "ok" and row["events"] == 0:
            row["reason"] = "no call into cuDNN was made: nothing of this process needed it on a GPU"
        return row
