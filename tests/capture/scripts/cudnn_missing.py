"""Calls cuDNN through TensorFlow's trampolines as TensorFlow would, and prints the statuses."""

import ctypes
import os

import tensorflow as tf

framework = ctypes.CDLL(os.path.join(os.path.dirname(tf.__file__), "libtensorflow_framework.so.2"))
handle, made = ctypes.c_void_p(), ctypes.c_void_p()
print(framework.cudnnCreate(ctypes.byref(handle)), handle.value)
for _ in range(2):
    print(framework.cudnnBackendCreateDescriptor(17, ctypes.byref(made)), made.value)
print(framework.cudnnBackendExecute(None, None, None))
