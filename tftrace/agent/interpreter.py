"""What an interpreter's TensorFlow, and the CUDA libraries that it finds, say of themselves: for `tftrace doctor`.

Run as a script by the interpreter in question, with a file to write the JSON object to. Like the rest of the
agent it uses the standard library and the interpreter's own TensorFlow. A fact that could not be had is null.

CUDA's libraries are asked through the functions that TensorFlow itself exports for them: they look in the places
in which TensorFlow looks, which a plain dlopen would not (the nvidia-* packages beside it).
"""

import os
import sys

if __name__ == "__main__":  # the modules beside this one would hide others of their names
    sys.path[:] = [p for p in sys.path if p != os.path.dirname(os.path.abspath(__file__))]

import contextlib
import ctypes
import glob
import json
import platform
import re
import tempfile
import traceback
from typing import Any, Dict, List, Optional

CUPTI_KIND_CONCURRENT_KERNEL = 10
HOST_EVENT = b"EagerExecute"  # what the profiler records of an eager op unless it is told to record nothing


def facts() -> Dict[str, Any]:
    found = {
        "python": platform.python_version(),
        "executable": sys.executable,
        "tensorflow": None,
        "import_error": None,
    }  # type: Dict[str, Any]
    try:
        import tensorflow as tf
    except BaseException as error:  # an extension that cannot be loaded may raise anything
        last = traceback.format_exception_only(type(error), error)[-1].strip()
        found["import_error"] = last.splitlines()[0] if last else type(error).__name__
        return found
    found["tensorflow"] = str(tf.__version__)
    for name, question in QUESTIONS.items():
        try:
            found[name] = question(tf)
        except Exception as error:
            found[name] = None
            found.setdefault("failed", {})[name] = "%s: %s" % (type(error).__name__, error)
    return found


def _build(tf: Any) -> Dict[str, Any]:
    info = dict(getattr(tf.sysconfig, "get_build_info", dict)())
    root = os.path.join(os.path.dirname(tf.__file__), "include", "third_party", "gpus")
    cudnn = _defined(
        os.path.join(root, "cudnn", "include", "cudnn_version.h"),
        ("CUDNN_MAJOR", "CUDNN_MINOR", "CUDNN_PATCHLEVEL"),
    )
    cupti = _defined(
        os.path.join(root, "cuda", "extras", "CUPTI", "include", "cupti_version.h"), ("CUPTI_API_VERSION",)
    )
    return {
        "cuda": bool(info.get("is_cuda_build")),
        "cuda_version": info.get("cuda_version"),
        "cudnn": ".".join(map(str, cudnn)) if cudnn else info.get("cudnn_version"),
        "cupti_api": cupti[0] if cupti else None,
    }


def _defined(header: str, names: Any) -> Optional[List[int]]:
    """Numbers that a header of the wheel defines; None where it has no such header, or not all of them."""
    try:
        with open(header, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    values = [re.search(r"#define\s+%s\s+(\d+)" % name, text) for name in names]
    return [int(v.group(1)) for v in values if v] if all(values) else None


def _gpus(tf: Any) -> List[Dict[str, Any]]:
    rows = []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        capability = details.get("compute_capability")
        rows.append(
            {
                "device": device.name,
                "name": details.get("device_name"),
                "compute_capability": ".".join(map(str, capability)) if capability else None,
            }
        )
    return rows


def _driver(tf: Any) -> Dict[str, Any]:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return {"loadable": False, "error": str(error), "standin": False, "version": None}
    version = ctypes.c_int()
    known = driver.cuDriverGetVersion(ctypes.byref(version)) == 0
    return {
        "loadable": True,
        "error": None,
        "standin": hasattr(driver, "tftrace_standin_gpu"),
        "version": version.value if known else None,
    }


def _framework(tf: Any) -> ctypes.CDLL:
    """TensorFlow's library with a function for each one of CUDA's that it may call."""
    (path,) = glob.glob(os.path.join(os.path.dirname(tf.__file__), "libtensorflow_framework.so.?"))[:1]
    return ctypes.CDLL(path)


def _cudnn(tf: Any) -> Optional[str]:
    function = _framework(tf).cudnnGetVersion
    function.restype = ctypes.c_size_t
    number = int(function())
    # without the library TensorFlow's function returns an error code, which is below any version
    if number < 1000:
        return None
    major = number // 10000 if number >= 90000 else number // 1000
    rest = number % 10000 if number >= 90000 else number % 1000
    return "%d.%d.%d" % (major, rest // 100, rest % 100)


def _cupti(tf: Any) -> Dict[str, Any]:
    """Its version, and whether a subscriber may record kernels, which is what TensorFlow's profiler does."""
    library = _framework(tf)
    version = ctypes.c_uint32(0)
    status = int(library.cuptiGetVersion(ctypes.byref(version)))
    found = {"api": version.value or None, "error": None}  # type: Dict[str, Any]
    if status != 0 or not version.value:
        found["error"] = "libcupti was not found"
        return found
    handle = ctypes.c_void_p()
    callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p)(
        lambda *arguments: None
    )
    status = int(library.cuptiSubscribe(ctypes.byref(handle), callback, None))
    if status == 0:
        status = int(library.cuptiActivityEnable(CUPTI_KIND_CONCURRENT_KERNEL))
        library.cuptiActivityDisable(CUPTI_KIND_CONCURRENT_KERNEL)
        library.cuptiUnsubscribe(handle)
    if status != 0:
        text = ctypes.c_char_p()
        library.cuptiGetResultString(status, ctypes.byref(text))
        found["error"] = (text.value or b"CUPTI error %d" % status).decode("utf-8", "replace")
    return found


def _profiler_options(tf: Any) -> bool:
    """Whether the profiler does what its options say: told to record nothing of the host, it has no op of it."""
    with tempfile.TemporaryDirectory() as folder:
        options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=0, device_tracer_level=0)
        tf.profiler.experimental.start(folder, options)
        try:
            tf.constant(1) + tf.constant(1)
        finally:
            tf.profiler.experimental.stop()
        recorded = b""
        for path in glob.glob(os.path.join(folder, "**", "*.xplane.pb"), recursive=True):
            with open(path, "rb") as file:
                recorded += file.read()
    return HOST_EVENT not in recorded


QUESTIONS = {
    "build": _build,
    "gpus": _gpus,
    "driver": _driver,
    "cudnn": _cudnn,
    "cupti": _cupti,
    "profiler_options": _profiler_options,
}


if __name__ == "__main__":
    # in one piece: what is there is whole, also where a library ends the process later
    answer = json.dumps(facts())
    with open(sys.argv[1] + ".part", "w") as out:
        out.write(answer)
    with contextlib.suppress(OSError):
        os.replace(sys.argv[1] + ".part", sys.argv[1])
