"""Keeps a function under test from harming more than its own process: limits, and what it left changed."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import threading
from typing import Any, Dict, List

PR_SET_PDEATHSIG = 1
LARGEST_FILE = 256 << 20


def end_with_parent(parent: int) -> None:
    """The kernel ends this process when its parent ends, however that happens; and its forks when it ends itself, for
    they are copies of it, where a function under test may return a second time."""
    _killed_with(parent)
    forking = {"pid": 0}
    os.register_at_fork(
        before=lambda: forking.update(pid=os.getpid()),
        after_in_child=lambda: _killed_with(forking["pid"]),
    )


def _killed_with(parent: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before this was in force
        os._exit(0)


def limit(memory_mb: int) -> None:
    """Address space: what is in use now and `memory_mb` more. No core dumps, no huge files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _set(resource.RLIMIT_FSIZE, LARGEST_FILE)
    _set(resource.RLIMIT_AS, in_use() + (memory_mb << 20))


def _set(kind: int, wanted: int) -> None:
    _, most = resource.getrlimit(kind)
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(kind, (wanted, most))


def in_use() -> int:
    """Bytes of address space in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def state() -> Dict[str, Any]:
    """What functions are known to change for the whole process; anything that cannot be asked is left out."""
    import numpy
    import tensorflow as tf

    found: Dict[str, Any] = {}
    questions = {
        "working directory": os.getcwd,
        "environment": lambda: dict(os.environ),
        "search path of modules": lambda: list(sys.path),
        "handlers of signals": lambda: [
            signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
        ],
        "recursion limit": sys.getrecursionlimit,
        "threads that are not daemons": lambda: sum(not t.daemon for t in threading.enumerate()),
        "numpy's errors": numpy.geterr,
        "eager execution": tf.executing_eagerly,
        "functions run eagerly": tf.config.functions_run_eagerly,
        "default graph": lambda: id(tf.compat.v1.get_default_graph()) if not tf.executing_eagerly() else 0,
        "name scope": tf.__internal__.get_name_scope if hasattr(tf.__internal__, "get_name_scope") else None,
        "control flow v2": tf.compat.v1.control_flow_v2_enabled,
        "resource variables": tf.compat.v1.resource_variables_enabled,
        "soft placement": tf.config.get_soft_device_placement,
        "deterministic ops": lambda: _deterministic(tf),
        "numpy's methods on tensors": lambda: hasattr(tf.Tensor, "ravel"),
        "equality of tensors": lambda: bool(tf.Tensor._USE_EQUALITY),
        "optimizer options": lambda: dict(tf.config.optimizer.get_experimental_options()),
        "devices": lambda: [d.name for d in tf.config.get_visible_devices()],
        "Keras": lambda: _keras(tf),
        "log level": lambda: tf.get_logger().level,
    }  # type: Dict[str, Any]
    for name, question in questions.items():
        try:
            found[name] = question()
        except Exception:
            continue
    return found


def _deterministic(tf: Any) -> Any:
    from tensorflow.python.framework import config

    return config.is_op_determinism_enabled()


def _keras(tf: Any) -> List[Any]:
    backend = tf.keras.backend
    found = [backend.floatx(), backend.epsilon(), backend.image_data_format()]
    phases = getattr(backend, "learning_phase", None)
    found.append(str(phases()) if phases is not None else None)
    policy = (
        tf.keras.mixed_precision.global_policy()
        if hasattr(tf.keras.mixed_precision, "global_policy")
        else None
    )
    found.append(getattr(policy, "name", None))
    return found


def restore(before: Dict[str, Any], different: List[str]) -> None:
    """Puts back what can be put back; the rest takes a new process."""
    import tensorflow as tf

    try:
        if "working directory" in different:
            os.chdir(before["working directory"])
        if "environment" in different:
            os.environ.clear()
            os.environ.update(before["environment"])
        if "search path of modules" in different:
            sys.path[:] = before["search path of modules"]
        if "recursion limit" in different:
            sys.setrecursionlimit(before["recursion limit"])
        if "Keras" in different:
            backend, (floatx, epsilon, layout) = tf.keras.backend, before["Keras"][:3]
            backend.set_floatx(floatx)
            backend.set_epsilon(epsilon)
            backend.set_image_data_format(layout)
    except Exception:
        pass  # it is looked at again, and differs


def changed(before: Dict[str, Any], after: Dict[str, Any]) -> List[str]:
    names = dict.fromkeys([*before, *after])
    return [n for n in names if before.get(n) != after.get(n)]
