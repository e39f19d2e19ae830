"""The lines of ONEDNN_VERBOSE: implementation, algorithm, problem and time of each primitive."""

import os
from typing import Any, Dict

from .base import Probe

LIBRARY = "libtensorflow_cc.so"
VARIABLES = ("ONEDNN_VERBOSE", "DNNL_VERBOSE")


class OneDnnProbe(Probe):
    name = "onednn"

    def prepare(self) -> None:
        self._ours = False
        self._slots = 0
        native = self.session.native
        if native is None:
            return self.unavailable(
                "no native library to keep oneDNN's lines off stdout: %s" % self.session.native_reason
            )
        if os.uname().machine != "x86_64":
            return self.unavailable("the slots of %s are known on x86-64 only" % os.uname().machine)

    def start(self) -> None:
        native = self.session.native
        assert native is not None
        # what a user asked for goes to the user as well
        asked = next((os.environ[v] for v in VARIABLES if v in os.environ), "0")
        self._pass_on = asked not in ("", "0", "none")
        self._slots = native.verbose_install(LIBRARY, self._pass_on)
        if self._slots <= 0:
            return self.unavailable("%s calls printf in no known way: its lines would reach stdout" % LIBRARY)
        if not self._pass_on:
            os.environ[VARIABLES[0]] = "1"
            self._ours = True
        self.running = True

    def tick(self, now: float) -> None:
        native = self.session.native
        # oneDNN has read its environment by the first primitive: children shall not inherit what we set
        if self._ours and native is not None and (native.verbose_lines() or native.itt_attached()):
            self._withdraw()

    def _withdraw(self) -> None:
        if self._ours and os.environ.get(VARIABLES[0]) == "1":
            del os.environ[VARIABLES[0]]
        self._ours = False

    def stop(self) -> None:
        native = self.session.native
        self._withdraw()
        # the slots stay: oneDNN goes on printing until the process ends, and no line may reach stdout. They are given
        # back in `release`, which a recording inside a longer-lived process calls.
        if native is not None and native.itt_attached() and native.counts()[2] and not native.verbose_lines():
            self.partly = (
                "primitives ran, but oneDNN printed no line: it had read its environment before tftrace came"
            )
        self.running = False

    def counts(self) -> Dict[str, Any]:
        native = self.session.native
        if native is None or self.disabled:
            return {"events": None, "lost": None}
        return {"events": native.verbose_lines(), "lost": 0}
