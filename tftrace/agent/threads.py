"""Which stack started each thread: what TensorFlow does on a thread of its own was asked for there.

`tf.distribute` runs each replica's function on a thread that it starts and waits for, so no line of the user's stands
on the stack on which the nodes are made.
"""

import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Tuple

from .patches import Patches

if TYPE_CHECKING:
    from .session import Session

POOLS = ("concurrent.futures.", "multiprocessing.")
"""Modules whose threads serve whoever comes: who started one did not ask for what it does later."""


class ThreadStarts:
    def __init__(self, session: "Session") -> None:
        self.session = session
        self.patches = Patches()
        self._forget()

    def _forget(self) -> None:
        self._stacks: "weakref.WeakKeyDictionary[threading.Thread, int]" = weakref.WeakKeyDictionary()
        self._local = threading.local()

    def start(self) -> None:
        self.session.instead(self.patches, threading.Thread, "start", self._starts, lambda *rest: None)
        self.session.stacks.started_on = self.session.guarded(self.of_this_thread)

    def stop(self) -> None:
        self.patches.restore()

    def reopen(self) -> None:
        """After a fork: the stacks described so far stand in another process's files."""
        self._forget()

    def _starts(self, thread: Any, *rest: Any, **keywords: Any) -> Tuple[()]:
        """Takes the stack before the thread runs; its start is called as it was."""
        target = getattr(getattr(thread, "_target", None), "__module__", None) or ""
        if not (target + ".").startswith(POOLS):
            self._stacks[thread] = self.session.stacks.intern(sys._getframe(1))
        return ()

    def of_this_thread(self) -> int:
        """The key of the stack that started this thread; 0 where that was not seen."""
        try:
            return self._local.key  # type: ignore[no-any-return]
        except AttributeError:
            # not current_thread(), which invents an object for a thread that C++ started
            thread = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
            if thread is None:  # it has not come that far
                return 0
            self._local.key = self._stacks.get(thread, 0)
            return self._local.key  # type: ignore[no-any-return]
