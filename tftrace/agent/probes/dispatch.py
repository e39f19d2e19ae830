"""Every op call that leaves Python: user line, public function, gen op, shapes, dtypes, attributes.

Three attributes that TensorFlow's generated modules look up at call time catch every eager op and every call of a
graph's function, whatever namespace the user called it through; Session.run leaves through a fourth.
"""

import os
import sys
from typing import Any, Dict, List, Optional

from ..metas import SESSION
from ..patches import Patches
from ..pydispatch import PythonDispatch
from .base import Probe

ENTRIES = ("TFE_Py_FastPathExecute", "TFE_Py_Execute", "TFE_Py_ExecuteCancelable")
BY_TYPE, BY_IDENTITY, BY_DIMS, BY_SHAPE, BY_HASH = range(5)  # native/description.c


def strategy(value: Any) -> int:
    """How the native hook shall describe values of this type."""
    from tensorflow.python.framework import dtypes

    if isinstance(value, dtypes.DType):
        return BY_IDENTITY  # they live as long as TensorFlow
    shape = getattr(value, "_shape", None)
    if shape is not None and isinstance(getattr(shape, "_dims", None), tuple):
        return BY_DIMS
    if isinstance(getattr(value, "shape", None), tuple):
        return BY_SHAPE
    return BY_TYPE


_RUN_SESSIONS = (
    "run", "__call__",
    # what `make_callable` gives: functions that hold the session of the function around them
    "_single_tensor_run", "_single_operation_run", "_fetch_handler_run",
    "_callable_template_with_options_and_metadata",
)  # fmt: skip
"""Functions in which a session runs, by name; their `self` is the session, or a callable of it."""


class DispatchProbe(Probe):
    name = "dispatch"

    def prepare(self) -> None:
        self.patches = Patches()
        self.python: Optional[PythonDispatch] = None  # a process may be forked before it imports TensorFlow
        self.on_steps: List[Any] = []

    def start(self) -> None:
        from tensorflow.python import pywrap_tfe
        from tensorflow.python.client import pywrap_tf_session, session
        from tensorflow.python.eager import core

        native, why = self.session.native, self.session.native_reason
        if native is not None:
            from tensorflow.python.framework import ops

            why = native.setup_dispatch(
                _library_of(pywrap_tfe),
                ops.EagerTensor,
                core._FallbackException,
                [
                    self.session.guarded(self.on_stack),
                    self.session.guarded(self.on_meta),
                    self.session.metas.op,
                    strategy,
                    self.session.guarded(self.on_step),
                    self.session.guarded(self.session.threads.of_this_thread),
                ],
            )
        if native is not None and why is None:
            wrap = native.wrap_dispatch
        else:
            self.partly = "the hook runs in Python (about 2 us a call) because the native one lacks: %s" % why
            self.python = PythonDispatch(
                self.session.directory, self.session.stacks, self.session.metas, core._FallbackException
            )
            self.python.on_meta = self.session.guarded(self.on_meta)  # type: ignore[method-assign]
            self.python.on_step = self.session.guarded(self.on_step)
            wrap = self.python.wrap
            nvtx = self.session.probe("nvtx")
            if nvtx is not None and nvtx.running:
                self.python.push, self.python.pop = nvtx.push, nvtx.pop
        for kind, entry in enumerate(ENTRIES):
            if hasattr(pywrap_tfe, entry):
                self.patches.set(pywrap_tfe, entry, wrap(kind, getattr(pywrap_tfe, entry)))
        for entry in ("TF_SessionRun_wrapper", "TF_SessionRunCallable"):
            if hasattr(pywrap_tf_session, entry):
                self.patches.set(pywrap_tf_session, entry, wrap(SESSION, getattr(pywrap_tf_session, entry)))
        self.session.around(self.patches, session.BaseSession, "__init__", self._new_session)
        self.running = True

    def _new_session(self, token: Any, *rest: Any) -> None:
        if self.python is not None:
            self.python.sessions += 1
        elif self.session.native is not None:
            self.session.native.new_session()
        graph = self._graph_probe()
        if graph is not None and rest:
            graph.runs.opened(rest[2])

    def _graph_probe(self) -> Any:
        probe = self.session.probe("graph")
        return probe if probe is not None and probe.running else None

    def on_stack(self, key: int) -> None:
        self.session.stacks.describe(key, sys._getframe(1))  # tftrace's own frames are left out there

    def on_meta(self, key: int, kind: int, *arguments: Any) -> None:
        if kind == SESSION:
            graph, session, fetches = self._session_graph()
            self.session.metas.add_session(key, graph, session, fetches)
        else:
            self.session.metas.add(key, kind, arguments)

    def _session_graph(self) -> Any:
        """(graph number, session number, fetched names) of the Session.run on this thread's stack."""
        frame: Any = sys._getframe(1)
        names: List[str] = []
        while frame is not None:
            where = frame.f_code.co_name
            if where == "_do_run":
                names = [str(getattr(f, "name", f)) for f in (frame.f_locals.get("fetch_list") or [])][:32]
                names += [str(getattr(f, "name", f)) for f in (frame.f_locals.get("target_list") or [])][:32]
            owner = frame.f_locals.get("self")
            session = getattr(owner, "_session", owner)  # of a callable
            if getattr(session, "graph", None) is None:
                session = owner
            graph = getattr(session, "graph", None)
            if graph is not None and where in _RUN_SESSIONS:
                probe = self._graph_probe()
                return (
                    (None, None, names)
                    if probe is None
                    else (probe.number(graph), probe.runs.number(session), names)
                )
            frame = frame.f_back
        return None, None, names

    def on_step(self, step: int) -> None:
        for callback in self.on_steps:
            callback(step)

    def set_trigger(self, step: int) -> None:
        if self.python is not None:
            self.python.trigger = step
        elif self.session.native is not None:
            self.session.native.trigger(step)

    def steps(self) -> int:
        return self.python.steps if self.python is not None else self.session.native.step()  # type: ignore[union-attr]

    def work(self) -> int:
        """Bytes the TensorFlow profiler would have needed for everything dispatched so far: an estimate."""
        if self.python is not None:
            return self.python.work
        return self.session.native.dispatch_counts()[1]  # type: ignore[union-attr]

    def stop(self) -> None:
        left = self.patches.restore()
        if left:
            self.partly = "replaced by somebody else meanwhile, left as it is: " + ", ".join(left)
        if self.python is not None:
            self.python.on = False
        self.running = False

    def reopen(self) -> None:
        if self.python is not None:  # a forked child under the fallback: not worth a second implementation
            self.python.on = False
            self.partly = "the hook in Python does not follow fork()"

    def counts(self) -> Dict[str, Any]:
        if self.disabled or self.session.tensorflow is None:
            return {"events": None, "lost": None}
        if self.python is not None:
            file = self.python.file
            return {"events": file.next - file.lost, "lost": file.lost}
        if self.session.native is None:
            return {"events": None, "lost": None}
        counts, more = self.session.native.counts(), self.session.native.dispatch_counts()
        return {
            "events": counts[0] - counts[1],
            "lost": counts[1],
            "unknown_stacks": more[2],
            "unknown_metas": more[3],
        }


def _library_of(pywrap_tfe: Any) -> str:
    """The shared library that holds the eager C API: the extension itself, or one it was linked against."""
    import tensorflow

    root = os.path.dirname(tensorflow.__file__)
    for name in ("python/lib_pywrap_tensorflow_common.so", "python/_pywrap_tensorflow_internal.so"):
        path = os.path.join(root, name)
        if os.path.exists(path):
            return path
    return str(getattr(sys.modules.get("tensorflow.python._pywrap_tfe"), "__file__", ""))
