"""Memory that was freed is given back to the system."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import pyarrow as pa


@cache
def _allocator() -> Any:
    try:
        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except OSError:
        return None


def give_back() -> None:
    """glibc keeps what was freed, in pieces that larger columns do not fit in; elsewhere this does nothing."""
    pa.default_memory_pool().release_unused()
    trim = _allocator()
    if trim is not None:
        trim(0)
