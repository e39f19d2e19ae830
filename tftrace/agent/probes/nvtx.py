"""NVTX ranges around ops and primitives, in the domain `tftrace`, so that NVIDIA's tools show the same calls.

By the native library, whose dispatch hook does it without a step back into Python; where that cannot be loaded, by
the interpreter's own `nvtx` package. Without an attached tool there is nobody to read them, and nothing is emitted.
"""

import importlib.util
import os
from typing import Any, Dict

from .base import Probe

INJECTION = "NVTX_INJECTION64_PATH"


class NvtxProbe(Probe):
    name = "nvtx"

    def prepare(self) -> None:
        self.domain: Any = None
        if not os.environ.get(INJECTION):
            self.unavailable("no NVTX tool is attached to this process (%s is not set)" % INJECTION)

    def start(self) -> None:
        native = self.session.native
        if native is not None:
            if native.nvtx_start() != 1:
                return self.unavailable("the NVTX tool in %s could not be attached" % INJECTION)
        elif importlib.util.find_spec("nvtx") is not None:
            import nvtx

            self.domain = nvtx.get_domain("tftrace")
        else:
            return self.unavailable(
                "neither the native library (%s) nor the nvtx package" % self.session.native_reason
            )
        self.running = True

    def push(self, op: str) -> None:
        attributes = self.domain.get_event_attributes(message=op, category="gen_op")
        self.domain.push_range(attributes)

    def pop(self) -> None:
        self.domain.pop_range()

    def stop(self) -> None:
        if self.session.native is not None:
            self.session.native.nvtx_stop()
        self.running = False

    def counts(self) -> Dict[str, Any]:
        return {"events": None, "lost": None if self.disabled or self.session.tensorflow is None else 0}
