"""Whether the CUDA driver of this process is a stand-in, whose devices compute nothing and whose times are made up."""

import ctypes
import os

DRIVER = "libcuda.so.1"
SYMBOL = "tftrace_standin_gpu"  # a stand-in driver exports it; no real one does


def loaded() -> bool:
    """True where the driver is loaded and says of itself that it is a stand-in.

    A driver that TensorFlow has not loaded is not loaded for the question either.
    """
    try:
        driver = ctypes.CDLL(DRIVER, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:
        return False
    return hasattr(driver, SYMBOL)
