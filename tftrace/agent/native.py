"""The native library, seen through ctypes."""

import ctypes
import os
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple


def load(path: str) -> "Native":
    """The process's one instance: the library keeps pointers to what the first one handed over."""
    if path not in _loaded:
        _loaded[path] = Native(path)
    return _loaded[path]


_loaded: Dict[str, "Native"] = {}


class Native:
    """One per process. `library` has to be loaded from the path that oneDNN is given too: they are one instance."""

    def __init__(self, path: str) -> None:
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise OSError("this Python runs without the GIL, which the dispatch hook relies on")
        if sys.implementation.name != "cpython":
            raise OSError("this is %s; the dispatch hook knows CPython" % sys.implementation.name)
        self.path = path
        self._python = ctypes.PyDLL(path)  # calls that hold the GIL
        self._plain = ctypes.CDLL(path)  # calls that release it
        p, c = self._python, self._plain
        p.tft_python_setup.restype = ctypes.c_char_p
        p.tft_python_setup.argtypes = [ctypes.py_object]
        p.tft_dispatch_setup.restype = ctypes.c_char_p
        p.tft_dispatch_setup.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.py_object]
        p.tft_dispatch_wrap.restype = ctypes.py_object
        p.tft_dispatch_wrap.argtypes = [ctypes.c_int, ctypes.py_object]
        p.tft_around_wrap.restype = ctypes.py_object
        p.tft_around_wrap.argtypes = [ctypes.py_object, ctypes.c_int]
        p.tft_dispatch_trigger.argtypes = [ctypes.c_uint64]
        c.tft_open.argtypes = [ctypes.c_char_p]
        c.tft_verbose_install.argtypes = [ctypes.c_char_p]
        c.tft_verbose_ask.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        c.tft_verbose_lines.restype = c.tft_verbose_primitives.restype = ctypes.c_uint64
        c.tft_verbose_lost.restype = ctypes.c_uint64
        c.tft_cudnn_install.argtypes = [ctypes.c_char_p, ctypes.c_uint64]
        c.tft_loads.restype = ctypes.c_uint64
        c.tft_log_install.restype = ctypes.c_char_p
        c.tft_log_install.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        self._kept: List[Any] = []
        missing = p.tft_python_setup(None)
        if missing is not None:
            raise OSError("this Python has no %s" % missing.decode())

    def open(self, directory: str) -> None:
        if self._plain.tft_open(os.fsencode(directory)) != 0:
            raise OSError("cannot write records below %s" % directory)

    def pause(self, on: bool) -> None:
        self._plain.tft_pause(1 if on else 0)

    def loads(self) -> int:
        """How often a library was loaded or unloaded in this process."""
        return int(self._plain.tft_loads())

    def counts(self) -> Tuple[int, int, int, int]:
        """Records handed out and records that found no room: dispatch, then ITT."""
        out = (ctypes.c_uint64 * 4)()
        self._plain.tft_counts(out)
        return out[0], out[1], out[2], out[3]

    def dispatch_counts(self) -> Tuple[int, int, int, int]:
        """Steps begun, bytes the profiler would need, calls without a described stack, without a description."""
        out = (ctypes.c_uint64 * 4)()
        self._python.tft_dispatch_counts(out)
        return out[0], out[1], out[2], out[3]

    def setup_dispatch(
        self, library: str, tensor_type: type, fallback: type, callbacks: List[Callable[..., Any]]
    ) -> Optional[str]:
        """None, or what this interpreter or this TensorFlow lacks."""
        values = [tensor_type, "", 0, False, 0.0, b"", [], (), None]
        self._kept += [*values, callbacks, fallback]
        array = (ctypes.py_object * len(values))(*values)  # type: ignore[misc]
        functions = (ctypes.py_object * len(callbacks))(*callbacks)  # type: ignore[misc]
        self._kept += [array, functions]
        missing = self._python.tft_dispatch_setup(
            os.fsencode(library),
            ctypes.cast(array, ctypes.c_void_p),
            ctypes.cast(functions, ctypes.c_void_p),
            fallback,
        )
        return None if missing is None else missing.decode()

    def wrap_dispatch(self, kind: int, original: Any) -> Any:
        self._kept.append(original)
        return self._python.tft_dispatch_wrap(kind, original)

    def wrap_around(
        self, original: Any, before: Any, after: Any, failed: Any, as_method: bool, instead: bool = False
    ) -> Any:
        parts = (original, before, after, failed, True) if instead else (original, before, after, failed)
        self._kept.append(parts)
        return self._python.tft_around_wrap(parts, 1 if as_method else 0)

    def reset_dispatch(self) -> None:
        self._python.tft_dispatch_reset()

    def new_session(self) -> None:
        self._python.tft_dispatch_new_session()

    def trigger(self, step: int) -> None:
        self._python.tft_dispatch_trigger(step if step >= 0 else (1 << 64) - 1)

    def step(self) -> int:
        return self.dispatch_counts()[0]

    def itt_attached(self) -> bool:
        return bool(self._plain.tft_itt_attached())

    def verbose_install(self, library: str) -> int:
        return int(self._plain.tft_verbose_install(os.fsencode(library)))

    def verbose_ask(self, library: str, value: str) -> int:
        """Answers `library` where it asks for ONEDNN_VERBOSE, "" no longer: slots taken over, 0 where it has none."""
        return int(self._plain.tft_verbose_ask(os.fsencode(library), value.encode()))

    def verbose_stacks(self, wanted: bool) -> None:
        """Whether the native stack of a primitive that ITT does not report is taken at its line."""
        self._plain.tft_verbose_stacks(int(wanted))

    def verbose_passed_on(self) -> bool:
        """Whether the user asked oneDNN to print, and gets its lines as well."""
        return bool(self._plain.tft_verbose_passed_on())

    def verbose_remove(self) -> None:
        self._plain.tft_verbose_remove()

    def verbose_lines(self) -> int:
        return int(self._plain.tft_verbose_lines())

    def verbose_lost(self) -> int:
        return int(self._plain.tft_verbose_lost())

    def verbose_primitives(self) -> int:
        return int(self._plain.tft_verbose_primitives())

    def cudnn_install(self, library: str, stacks_per_second: int) -> int:
        """Trampolines taken over; 0: there are none; -1: they have an unknown form, and were left alone."""
        return int(self._plain.tft_cudnn_install(os.fsencode(library), stacks_per_second))

    def cudnn_install_preloaded(self, stacks_per_second: int) -> int:
        """Functions that this library stands in front of; 0: it was not preloaded, or not as the first."""
        install = getattr(self._plain, "tft_cudnn_install_preloaded", None)
        return 0 if install is None else int(install(ctypes.c_uint64(stacks_per_second)))

    def cudnn_remove(self) -> int:
        """How many slots somebody else has taken over meanwhile: those were left as they are."""
        return int(self._plain.tft_cudnn_remove())

    def cudnn_counts(self) -> Tuple[int, int, int, int, int, int]:
        """Calls, calls lost, values lost, calls without their stack, cuDNN's version or 0, slots held."""
        out = (ctypes.c_uint64 * 6)()
        self._plain.tft_cudnn_counts(out)
        return out[0], out[1], out[2], out[3], out[4], out[5]

    def log_install(self, library: str, modules: str) -> Optional[str]:
        """Raises the levels of `modules` ("name=level,..", -1 to leave it); None, or why nothing was changed."""
        missing = self._plain.tft_log_install(os.fsencode(library), modules.encode())
        return None if missing is None else missing.decode()

    def log_remove(self) -> None:
        self._plain.tft_log_remove()

    def log_counts(self) -> Tuple[int, int]:
        """Messages written and messages that found no room."""
        out = (ctypes.c_uint64 * 2)()
        self._plain.tft_log_counts(out)
        return out[0], out[1]

    def quiet_install(self) -> int:
        return int(self._plain.tft_quiet_install())

    def quiet_remove(self) -> None:
        self._plain.tft_quiet_remove()

    def quiet(self, on: bool) -> None:
        """Whether what this thread makes TensorFlow say at level INFO is kept off stderr."""
        self._plain.tft_quiet(1 if on else 0)

    def nvtx_start(self) -> int:
        return int(self._plain.tft_nvtx_start())

    def nvtx_stop(self) -> None:
        self._plain.tft_nvtx_stop()
