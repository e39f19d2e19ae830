"""Records itself twice in one process and reports what each recording left behind.

Arguments: how, the report, both trace directories.
"""

import ctypes
import importlib
import json
import os
import sys

how, report, first, second = sys.argv[1:]
import tftrace  # noqa: E402 - before TensorFlow, as it is told to users

ENVIRONMENT = (
    "ONEDNN_VERBOSE", "DNNL_VERBOSE", "INTEL_LIBITTNOTIFY64", "ONEDNN_ITT_TASK_LEVEL", "TFTRACE_RAW", "TFTRACE_OPTIONS",
    "PYTHONPATH",
)  # fmt: skip
LIBRARIES = ("libtensorflow_cc.so", "libtensorflow_framework.so", "_pywrap_profiler.so")


class Info(ctypes.Structure):
    _fields_ = (
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("headers", ctypes.c_void_p),
        ("n", ctypes.c_uint16),
    )


def bases():
    """Where TensorFlow's libraries were loaded."""
    found = {}

    def seen(info, size, data):
        name = (info.contents.name or b"").decode()
        if any(library in name for library in LIBRARIES):
            found[name] = info.contents.base
        return 0

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Info), ctypes.c_size_t, ctypes.c_void_p)
    ctypes.CDLL(None).dl_iterate_phdr(kind(seen), None)
    return found


def slots():
    """Every slot of those libraries for the functions that tftrace stands in for, read from their relocations."""
    from tests.capture.elf_slots import slots_of

    wanted = ("getenv", "printf", "__printf_chk", "fflush", "fwrite", "fprintf", "__fprintf_chk")
    return {
        f"{os.path.basename(path)}:{name}": ctypes.c_uint64.from_address(base + offset).value
        for path, base in bases().items()
        for name, offset in slots_of(path, wanted)
    }


def attributes():
    """What every replaced attribute is now, by identity."""
    from tensorflow.python import pywrap_tfe
    from tensorflow.python.autograph.impl import api as autograph
    from tensorflow.python.client import pywrap_tf_session, session
    from tensorflow.python.eager.polymorphic_function import atomic_function
    from tensorflow.python.framework import func_graph, op_def_library, ops
    from tensorflow.python.profiler.internal import _pywrap_profiler

    owners = (
        (pywrap_tfe, "TFE_Py_FastPathExecute"), (pywrap_tfe, "TFE_Py_Execute"),
        (pywrap_tfe, "TFE_Py_ExecuteCancelable"),
        (pywrap_tf_session, "TF_SessionRun_wrapper"), (pywrap_tf_session, "TF_SessionRunCallable"),
        (session.BaseSession, "__init__"), (ops.Graph, "_create_op_internal"),
        (func_graph.FuncGraph, "_create_op_internal"), (op_def_library, "_apply_op_helper"),
        (type(autograph._TRANSPILER), "transform"), (atomic_function, "from_func_graph"),
        (_pywrap_profiler, "ProfilerSession"),
    )  # fmt: skip
    return {
        f"{getattr(owner, '__name__', owner)}.{name}": id(owner.__dict__.get(name)) for owner, name in owners
    }


def state():
    now = {
        "environment": {k: os.environ.get(k) for k in ENVIRONMENT},
        "finders": sum(type(f).__name__ == "_Watch" for f in sys.meta_path),
    }
    if "tensorflow" in sys.modules:
        now["attributes"], now["slots"] = attributes(), slots()
    return now


def work():
    import tensorflow as tf

    for _ in range(3):
        tf.nn.relu(tf.ones([4]))
    if how != "no primitive":
        tf.nn.conv2d(tf.ones([1, 8, 8, 8]), tf.ones([3, 3, 8, 8]), 1, "SAME")


if how == "no primitive":
    importlib.import_module("tensorflow")
elif how == "late":
    work()
states = [state()]
if how == "not imported":
    with tftrace.record(first):
        pass
    states.append(state())
    importlib.import_module("tensorflow")
    states.append(state())
    work()
    states.append(state())
    with tftrace.record(second):
        work()
else:
    for place in (first, second):
        with tftrace.record(place):
            work()
            if place is first:
                during = state()
        work()
        states.append(state())
    states.append(during)
with open(report, "w") as file:
    json.dump(states, file)
