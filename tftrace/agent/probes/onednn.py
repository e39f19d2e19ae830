"""The lines of ONEDNN_VERBOSE: implementation, algorithm, problem and time of each primitive."""

import os
from typing import Any, Dict, Optional

from ..patches import restore_environment
from .base import Probe

LIBRARY = "libtensorflow_cc.so"
VARIABLES = ("ONEDNN_VERBOSE", "DNNL_VERBOSE")
PRIMITIVES = "profile_exec,filter=primitive"
"""Primitives without the matrix products that Eigen asks of oneDNN: it words a line for each, which costs more than
a small product, and a large convolution by Eigen makes a thousand of them. Older versions do not know the filter."""
EVERYTHING = "1"
FILTER_SINCE = (2, 18)
RAN_BEFORE = (
    "TensorFlow had run ops before the recording began: a oneDNN that made its first primitive then is not heard; "
    "record from the first op on"
)


class OneDnnProbe(Probe):
    name = "onednn"
    speaks = False  # a oneDNN that was told to print goes on until the process ends, recorded or not

    def prepare(self) -> None:
        self._ours: Dict[str, Optional[str]] = {}
        self._value = ""
        self._slots = 0
        self._pass_on = False
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
            self._ours = {VARIABLES[0]: os.environ.get(VARIABLES[0])}
            self._value = os.environ[VARIABLES[0]] = self._asked_for()
        self.running = True

    def _asked_for(self) -> str:
        numbers = [int(n) for n in (self.session.tensorflow or "").split(".")[:2] if n.isdigit()]
        filters = tuple(numbers) >= FILTER_SINCE and not self.session.options.get("eigen_gemm")
        return PRIMITIVES if filters else EVERYTHING

    def tick(self, now: float) -> None:
        native = self.session.native
        # oneDNN has read its environment by the first primitive: children shall not inherit what we set
        if self._ours and native is not None and (native.verbose_lines() or native.itt_attached()):
            self._withdraw()

    def _withdraw(self) -> None:
        if os.environ.get(VARIABLES[0]) == self._value:  # else the script has changed it meanwhile
            restore_environment(self._ours)
        self._ours = {}

    def stop(self) -> None:
        native = self.session.native
        self._withdraw()
        if native is not None and native.itt_attached() and native.counts()[2] and not native.verbose_lines():
            self.partly = (
                "primitives ran, but oneDNN printed no line: it had read its environment before tftrace came"
            )
        if native is not None and self.session.ran_before and not native.verbose_lines():
            self.partly = self.partly or RAN_BEFORE
        if native is not None and native.verbose_lines() and not self._pass_on:
            OneDnnProbe.speaks = True
        self.running = False

    def release(self) -> None:
        # oneDNN offers no way to silence it again: while it speaks the slots stay, and its lines are dropped there
        native = self.session.native
        if native is not None and self._slots > 0 and not self.speaks:
            native.verbose_remove()

    def counts(self) -> Dict[str, Any]:
        native = self.session.native
        if native is None or self.disabled:
            return {"events": None, "lost": None}
        return {"events": native.verbose_lines(), "lost": 0}
