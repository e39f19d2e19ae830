"""Runs of a session that the script has TensorFlow's profiler look at (RunOptions.FULL_TRACE): there may be one
profiler at a time, so tftrace's own steps aside for as long as such a run lasts."""

import threading
import weakref
from typing import Any, Callable, Tuple

from .patches import Patches


class TracedRuns:
    def __init__(self, session: Any, step_aside: Callable[[], Any], come_back: Callable[[], Any]) -> None:
        self._session, self._step_aside, self._come_back = session, step_aside, come_back
        self._local = threading.local()
        self._callables: "weakref.WeakSet[Any]" = weakref.WeakSet()

    def start(self, patches: Patches) -> None:
        from tensorflow.core.protobuf import config_pb2
        from tensorflow.python.client import pywrap_tf_session, session

        self._tf, self._options = pywrap_tf_session, config_pb2.RunOptions
        owner, base = self._session, session.BaseSession
        owner.instead(patches, base, "_call_tf_sessionrun", self._begins, self._ended)
        if hasattr(base, "_Callable"):
            owner.around(patches, base._Callable, "__init__", self._callable_made)
            owner.instead(patches, base._Callable, "__call__", self._call_begins, self._ended)

    def _profiled(self, options: Any) -> bool:
        return bool(options.trace_level >= self._options.HARDWARE_TRACE)

    def _begins(self, *given: Any, **keywords: Any) -> Tuple[Any, ...]:
        if len(given) > 1 and given[1] is not None:
            self._aside(self._profiled(self._options.FromString(self._tf.TF_GetBuffer(given[1]))))
        return ()

    def _callable_made(self, token: Any, *rest: Any) -> None:
        if len(rest) == 5 and self._profiled(
            rest[4].run_options
        ):  # result, names, the callable, session, options
            self._callables.add(rest[2])

    def _call_begins(self, *given: Any, **keywords: Any) -> Tuple[Any, ...]:
        self._aside(bool(self._callables) and given[0] in self._callables)
        return ()

    def _aside(self, profiled: bool) -> None:
        if profiled:
            self._step_aside()
            self._local.aside = True

    def _ended(self, token: Any, *rest: Any) -> None:
        if getattr(self._local, "aside", False):
            self._local.aside = False
            self._come_back()
