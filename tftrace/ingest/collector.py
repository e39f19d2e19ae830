"""Python's collector of cyclic garbage, at rest where very many objects are made that refer to no other."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resting() -> Iterator[None]:
    """Objects are freed by counting references alone meanwhile. The collector would go through those of a piece again
    and again, each time some more are made, and find nothing."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
