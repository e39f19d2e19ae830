"""What stands replaced while a session runs, attributes of TensorFlow's modules above all, and its restoration."""

import os
from typing import Any, Dict, List, Optional, Tuple

_MISSING = object()


class Patches:
    def __init__(self) -> None:
        self._done: List[Tuple[Any, str, Any, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        old = owner.__dict__.get(name, _MISSING)
        setattr(owner, name, value)
        self._done.append((owner, name, old, value))

    def restore(self) -> List[str]:
        """Puts everything back, last first. Names what somebody else has replaced meanwhile: that is left alone."""
        left: List[str] = []
        while self._done:
            owner, name, old, value = self._done.pop()
            if owner.__dict__.get(name) is not value:
                left.append(name)
            elif old is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, old)
        return left


def restore_environment(before: Dict[str, Optional[str]]) -> None:
    """Gives the variables the values they had; None: it was not set."""
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
