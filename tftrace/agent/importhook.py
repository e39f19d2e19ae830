"""Calls back once a package has been imported, and leaves nothing behind in the import system."""

import importlib.util
import sys
from typing import Any, Callable, Optional, Sequence


class _Watch:
    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self.name = name
        self.then = then

    def cancel(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Any:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader = spec.loader if spec else None
        if loader is None or not hasattr(loader, "exec_module"):
            sys.meta_path.insert(0, self)
            return None
        original = loader.exec_module

        def exec_module(module: Any) -> None:
            del loader.exec_module
            try:
                original(module)
            except BaseException:
                sys.meta_path.insert(0, self)  # the user may try again
                raise
            self.then()

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def after_import(name: str, then: Callable[[], None]) -> Callable[[], None]:
    """Calls `then` once `name` has been imported. What it returns calls that off."""
    watch = _Watch(name, then)
    sys.meta_path.insert(0, watch)
    return watch.cancel
