"""tftrace: op-dispatch tracer and cuDNN call profiler for TensorFlow.

`load(path)` opens a recorded trace, `record()` records within a running process, `compare()` sets runs side by
side; `flame()`, `steps()` and `waterfall()` draw one. Names are handed out lazily: importing the package imports
nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tftrace.api import compare as compare
    from tftrace.api import flame as flame
    from tftrace.api import load as load
    from tftrace.api import steps as steps
    from tftrace.api import waterfall as waterfall
    from tftrace.errors import TftraceError as TftraceError
    from tftrace.model.trace import Trace as Trace

__version__ = "0.1.0"

_HOME: Final = {
    "compare": "tftrace.api",
    "flame": "tftrace.api",
    "load": "tftrace.api",
    "record": "tftrace.api",
    "steps": "tftrace.api",
    "waterfall": "tftrace.api",
    "Trace": "tftrace.model.trace",
    "TftraceError": "tftrace.errors",
}

__all__ = ["TftraceError", "Trace", "__version__", "compare", "flame", "load", "record", "steps", "waterfall"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tftrace' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
