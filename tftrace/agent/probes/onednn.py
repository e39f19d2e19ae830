"""The lines of ONEDNN_VERBOSE: implementation, algorithm, problem and time of each primitive."""

import os
from typing import Any, Dict

from .base import Probe

LIBRARY = "libtensorflow_cc.so"
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
        self._slots = 0
        self._asked = False
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
        self._slots = native.verbose_install(LIBRARY)
        if self._slots <= 0:
            return self.unavailable("%s calls printf in no known way: its lines would reach stdout" % LIBRARY)
        # not through the environment: a native child would inherit it, and print on the user's stdout
        self._asked = native.verbose_ask(LIBRARY, self._asked_for()) > 0
        if not self._asked:
            return self.unavailable("%s reads its environment in no known way" % LIBRARY)
        self.running = True

    def _asked_for(self) -> str:
        numbers = [int(n) for n in (self.session.tensorflow or "").split(".")[:2] if n.isdigit()]
        filters = tuple(numbers) >= FILTER_SINCE and not self.session.options.get("eigen_gemm")
        return PRIMITIVES if filters else EVERYTHING

    def stop(self) -> None:
        native = self.session.native
        if native is not None and self._asked:
            native.verbose_ask(LIBRARY, "")
        if native is not None and native.itt_attached() and native.counts()[2] and not native.verbose_lines():
            self.partly = (
                "primitives ran, but oneDNN printed no line: it had read its environment before tftrace came"
            )
        if native is not None and self.session.ran_before and not native.verbose_lines():
            self.partly = self.partly or RAN_BEFORE
        if native is not None and native.verbose_lines() and not native.verbose_passed_on():
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
        return {"events": native.verbose_lines(), "lost": native.verbose_lost()}
