"""Says how each cuDNN trampoline's slot stands before, during and after a recording inside the process."""

import ctypes
import os
import struct
import sys
import tempfile

import tensorflow as tf

import tftrace

library = os.path.join(os.path.dirname(tf.__file__), "libtensorflow_framework.so.2")
framework = ctypes.CDLL(library)
NAMES = (
    "cudnnCreate",
    "cudnnSetStream",
    "cudnnBackendExecute",
    "cudnnBackendSetAttribute",
    "cudnnConvolutionForward",
)


def slots():
    """Address in each slot: it stands behind `cmpq $0, slot(%rip)`, the trampoline's first instruction."""
    found = []
    for name in NAMES:
        stub = ctypes.cast(getattr(framework, name), ctypes.c_void_p).value
        (distance,) = struct.unpack("<i", ctypes.string_at(stub + 3, 4))
        found.append(ctypes.c_uint64.from_address(stub + 8 + distance).value)
    return found


image, kernel = tf.ones([1, 8, 8, 4]), tf.ones([3, 3, 4, 4])
before = slots()
with tftrace.record(os.path.join(tempfile.mkdtemp(dir=sys.argv[1]), "trace")):
    during = slots()
    if tf.config.list_physical_devices("GPU"):
        tf.nn.conv2d(image, kernel, 1, "SAME")
after = slots()
assert not set(before[:1]) & set(during), "not taken over"
resolved = framework.cudnnCreate(ctypes.byref(ctypes.c_void_p()))
print("same" if slots()[1:] == after[1:] else "differ", resolved)
print(["empty" if a == 0 else "resolved" for a in after], all(a not in during for a in after))
