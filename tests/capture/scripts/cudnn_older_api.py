"""The calls by which older versions of TensorFlow run a convolution, through this one's trampolines."""

import ctypes
import os
import struct

import tensorflow as tf

lib = ctypes.CDLL(os.path.join(os.path.dirname(tf.__file__), "libtensorflow_framework.so.2"))
handle = ctypes.c_void_p()
lib.cudnnCreate(ctypes.byref(handle))
stream = ctypes.c_void_p()
tf.config.list_physical_devices("GPU")  # loads the driver
ctypes.CDLL("libcuda.so.1").cuStreamCreate(ctypes.byref(stream), 0)
lib.cudnnSetStream(handle, stream)


def made(kind):
    out = ctypes.c_void_p()
    getattr(lib, f"cudnnCreate{kind}Descriptor")(ctypes.byref(out))
    return out


def ints(*values):
    return (ctypes.c_int * len(values))(*values)


x, w, conv, y = made("Tensor"), made("Filter"), made("Convolution"), made("Tensor")
lib.cudnnSetTensorNdDescriptor(x, 0, 4, ints(2, 8, 16, 16), ints(2048, 1, 128, 8))
lib.cudnnSetFilterNdDescriptor(w, 0, 1, 4, ints(16, 8, 3, 3))
lib.cudnnSetConvolutionNdDescriptor(conv, 2, ints(1, 1), ints(2, 2), ints(1, 1), 1, 0)
lib.cudnnSetTensor4dDescriptor(y, 1, 0, 2, 16, 8, 8)

count = ctypes.c_int(2)
results = ctypes.create_string_buffer(
    struct.pack("<iifxxxxQii12xi", 1, 0, 0.5, 4096, 1, 0, 0)[:48].ljust(48, b"\0")
    + struct.pack("<iifxxxxQii12xi", 6, 9, -1.0, 0, 1, 0, 0)[:48].ljust(48, b"\0")
)
lib.cudnnFindConvolutionForwardAlgorithm(handle, x, w, conv, y, 2, ctypes.byref(count), results)
one = ctypes.c_float(1)
p = ctypes.byref(one)
for _ in range(3):
    lib.cudnnConvolutionForward(
        handle, p, x, None, w, None, conv, 1, None, ctypes.c_size_t(65536), p, y, None
    )
# two floating-point arguments among the others
lib.cudnnBatchNormalizationForwardInference.argtypes = [
    ctypes.c_void_p,
    ctypes.c_int,
    *[ctypes.c_void_p] * 11,
    ctypes.c_double,
]
print(lib.cudnnBatchNormalizationForwardInference(handle, 1, p, p, x, None, x, None, x, *[None] * 4, 1e-3))
