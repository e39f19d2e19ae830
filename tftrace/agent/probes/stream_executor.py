"""What TensorFlow's GPU code logs of convolutions: their parameters, the autotuner's candidates and winner, the plan of
each call.

The modules below log it at verbose levels that are off by default. The native library raises them for the run, in
TensorFlow's own logging and after it has read its environment, and keeps what the user did not ask for off stderr.
"""

import ctypes
import glob
import os
import sys
from typing import Any, Dict, Optional

from .base import Probe

MODULES = {  # the lowest level that says it; -1: what it logs anyway is worth keeping, nothing is raised
    "conv_ops_impl": 3,  # 2: sizes, 3: layout
    "gpu_utils": 2,  # 1: the autotune map, 2: run time and scratch memory of every candidate, the winner
    "cuda_dnn": 4,  # plan of every call, time of every trial, filtered engines
    "cuda_stream": 2,  # every kernel that StreamExecutor launches itself, copies, streams
    "autotuner": 2,  # XLA's: candidates and the winner
    "conv_algorithm_picker": -1,
    "gpu_conv_algorithm_picker": -1,
    "buffer_comparator": -1,
    "slow_operation_alarm": -1,
    "gpu_device": -1,
}
DRIVER = "libcuda.so.1"
HIDING = "CUDA_VISIBLE_DEVICES"


class StreamExecutorProbe(Probe):
    name = "stream_executor"

    def prepare(self) -> None:
        self._installed = False
        if self.session.native is None:
            self.unavailable(
                "no native library to keep TensorFlow's log off stderr: %s" % self.session.native_reason
            )

    def start(self) -> None:
        native = self.session.native
        assert native is not None
        reason = _no_gpu()
        if reason is not None:
            return self.unavailable(reason)
        library = _framework()
        if library is None:
            return self.unavailable("TensorFlow has no libtensorflow_framework.so: a build of its own kind")
        reason = native.log_install(library, ",".join("%s=%d" % m for m in MODULES.items()))
        if reason is not None:
            return self.unavailable(
                "TensorFlow %s: %s, and its verbose log would reach stderr"
                % (self.session.tensorflow, reason)
            )
        self._installed = self.running = True

    def stop(self) -> None:
        native = self.session.native
        if self._installed and native is not None:
            native.log_remove()
            self._installed = False
        self.running = False

    def counts(self) -> Dict[str, Any]:
        native = self.session.native
        if native is None or self.disabled:
            return {"events": None, "lost": None}
        events, lost = native.log_counts()
        return {"events": events, "lost": lost}


def _no_gpu() -> Optional[str]:
    """Why no convolution can reach a GPU in this process; None where one may."""
    build = getattr(sys.modules.get("tensorflow.python.platform.build_info"), "build_info", None) or {}
    if not build.get("is_cuda_build"):
        return "this TensorFlow is built without CUDA"
    hidden = os.environ.get(HIDING)
    if hidden is not None and (not hidden.strip() or hidden.strip().startswith("-")):
        return "%s=%s hides every GPU" % (HIDING, hidden)
    try:
        ctypes.CDLL(DRIVER)  # TensorFlow loads it too, at its first look for devices
    except OSError:
        return "no NVIDIA driver: %s cannot be loaded" % DRIVER
    return None


def _framework() -> Optional[str]:
    import tensorflow as tf

    found = sorted(glob.glob(os.path.join(tf.sysconfig.get_lib(), "libtensorflow_framework.so*")))
    return found[0] if found else None
