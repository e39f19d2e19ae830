"""What a script sends to TensorFlow Federated's C++ runtime: which computation, from which line, in which requests.

TFF runs a computation by a handful of gRPC requests to a worker, a process without Python: CreateValue sends the
computation and its arguments, CreateCall calls it, Compute waits for the result. They go out on a thread of an event
loop, where the user's line is on no stack; it stands on the stack where `invoke` makes the coroutine. A context
variable, which asyncio hands on to the tasks of that coroutine, leads from a request back to its invocation.

requests.jsonl: {"invocation": number, "t", "tid", "stack", "name", "file", "line", "type"}: of the function that is the
computation where that is known; {"contents": key, "graphs": [[[node, op], ..], ..]}: TensorFlow graphs in a computation
that was sent, each once; {"request": name, "invocation": number or 0, "t0", "t1", "tid", "port", "contents": key or
null, "failed"}.
"""

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
import types
import weakref
from typing import Any, Dict, List, Optional, Set, Tuple

from .. import contract, files, importhook
from ..clocks import raw
from ..patches import Patches
from .base import Probe

PACKAGE = "tensorflow_federated"
MOST_NODES = 20000
_Known = Tuple["weakref.ref[Any]", Dict[str, Any]]


class FederatedProbe(Probe):
    name = "federated"
    applies = False

    def prepare(self) -> None:
        self.patches = Patches()
        self._cancel: Any = None
        self._lines: Optional[files.Lines] = None
        self._invocations = self._requests = 0
        self._lock = threading.Lock()
        self._functions: Dict[int, _Known] = {}  # by id of the computation: hashing one serialises it
        self._coroutines: Dict[int, Tuple["weakref.ref[Any]", int]] = {}
        self._sent: Set[int] = set()
        self._current: "contextvars.ContextVar[int]" = contextvars.ContextVar("tftrace", default=0)

    def start(self) -> None:
        self.running = True
        if PACKAGE in sys.modules:
            self._imported()
        else:
            self._cancel = importhook.after_import(PACKAGE, self._imported)

    def _imported(self) -> None:
        self.applies = True
        if not self.running:
            return
        try:
            self._install()
        except (KeyError, AttributeError) as error:
            self.unavailable("this %s sends its computations in another way: %s" % (PACKAGE, error))

    def _install(self) -> None:
        # what it has imported itself: nothing is imported on its behalf
        inner = PACKAGE + ".python.core.impl."
        wrapper = sys.modules[inner + "computation.computation_wrapper"]
        contexts = sys.modules[inner + "execution_contexts.async_execution_context"]
        starting = sys.modules[inner + "executor_stacks.executor_factory"]
        stacks = sys.modules[inner + "executor_stacks.python_executor_stacks"]
        stub = sys.modules[inner + "executors.remote_executor_grpc_stub"]
        self._lines = files.Lines(self.session.directory, "requests.jsonl")
        around = self.session.around
        around(self.patches, wrapper, "_wrap_concrete", self._made)
        around(self.patches, contexts.AsyncExecutionContext, "invoke", self._invoked)
        around(
            self.patches,
            stacks.ResourceManagingExecutorFactory,
            "create_executor",
            _nothing,
            before=self._entered,
        )
        around(self.patches, stub, "_request", self._requested, before=raw)
        self.patches.set(starting, "subprocess", self._starting_workers())

    # -- the user's side

    def _made(self, token: Any, *rest: Any) -> None:
        if len(rest) < 3:
            return  # it raised
        computation, function = rest[0], rest[2]
        code = getattr(function, "__code__", None) or getattr(
            getattr(function, "python_function", None), "__code__", None
        )
        told = {
            "name": getattr(function, "__qualname__", None) or getattr(function, "__name__", None),
            "file": getattr(code, "co_filename", None),
            "line": getattr(code, "co_firstlineno", None),
        }
        key = id(computation)
        self._functions[key] = (weakref.ref(computation, lambda _: self._functions.pop(key, None)), told)

    def _invoked(self, token: Any, *rest: Any) -> None:
        if len(rest) < 4 or self._lines is None:
            return
        coroutine, computation = rest[0], rest[3]
        with self._lock:
            self._invocations += 1
            number = self._invocations
        key = id(coroutine)
        self._coroutines[key] = (weakref.ref(coroutine, lambda _: self._coroutines.pop(key, None)), number)
        self._current.set(number)
        known = self._functions.get(id(computation))
        told = known[1] if known is not None and known[0]() is computation else {}
        row = {
            "invocation": number,
            "t": raw(),
            "tid": threading.get_native_id(),
            "stack": self.session.stacks.intern(sys._getframe(1)),
            "type": str(getattr(computation, "type_signature", ""))[:300],
        }
        self._lines.add(dict(row, **told))

    # -- on the event loop

    def _entered(self) -> int:
        """Each of several coroutines that one task had made runs in a task of its own."""
        number = self._of_task()
        if number:
            self._current.set(number)
        return number

    def _of_task(self) -> int:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return 0
        coroutine = task.get_coro() if task is not None else None
        known = self._coroutines.get(id(coroutine))
        return known[1] if known is not None and known[0]() is coroutine else 0

    def _requested(self, started: int, *rest: Any) -> None:
        ended = raw()
        if self._lines is None:
            return
        with self._lock:
            self._requests += 1
        row: Dict[str, Any] = {
            "request": None, "invocation": self._of_task() or self._current.get(), "t0": started, "t1": ended,
            "tid": threading.get_native_id(), "port": None, "contents": None, "failed": len(rest) < 4,
        }  # fmt: skip
        if len(rest) >= 4:
            call, request = rest[2], rest[3]
            row["request"] = type(request).__name__.replace("Request", "")
            row["port"] = _port(call)
            row["contents"] = self._contents(request)
        self._lines.add(row)

    def _contents(self, request: Any) -> Optional[int]:
        value = getattr(request, "value", None)
        if (
            type(request).__name__ != "CreateValueRequest"
            or value is None
            or not value.HasField("computation")
        ):
            return None
        key = hash(value.computation.SerializeToString(deterministic=True)) & ((1 << 63) - 1)
        if key not in self._sent and self._lines is not None:
            self._sent.add(key)
            graphs: List[List[List[str]]] = []
            _graphs_of(value.computation, graphs)
            self._lines.add({"contents": key, "graphs": graphs})
        return key

    # -- the worker

    def _starting_workers(self) -> types.ModuleType:
        """`subprocess` as the module that starts workers sees it: a worker gets the native library from its start."""
        session = self.session
        library, wanted = session.options.get("native"), session.options.get("probes", contract.PROBES)

        class Popen(subprocess.Popen):  # type: ignore[type-arg]
            def __init__(self, *arguments: Any, **keywords: Any) -> None:
                told = dict(os.environ if keywords.get("env") is None else keywords["env"])
                preloaded = told.get("LD_PRELOAD", "")
                if session.running and library and library not in preloaded.split():
                    told["LD_PRELOAD"] = (library + " " + preloaded).strip()
                    told[contract.ENV_NATIVE] = ",".join(wanted)
                    keywords["env"] = told
                super().__init__(*arguments, **keywords)

        module = types.ModuleType("subprocess", subprocess.__doc__)
        module.__dict__.update(subprocess.__dict__, Popen=Popen)
        return module

    def stop(self) -> None:
        if self._cancel is not None:
            self._cancel()
        left = self.patches.restore()
        if left:
            self.partly = "replaced by somebody else meanwhile, left as it is: " + ", ".join(left)
        self.running = False

    def release(self) -> None:
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def reopen(self) -> None:
        if self._lines is not None:
            self._lines.close()
            self._lines = files.Lines(self.session.directory, "requests.jsonl")
        self._invocations = self._requests = 0
        self._sent = set()

    def counts(self) -> Dict[str, Any]:
        return {"events": None if self.disabled else self._requests, "lost": None if self.disabled else 0}


def _nothing(*_: Any) -> None:
    pass


def _port(call: Any) -> Optional[int]:
    """Where a channel leads, from the call of gRPC's own that was made by it."""
    target = getattr(getattr(call, "_channel", None), "target", None)
    text = target().decode("utf-8", "replace") if callable(target) else ""
    digits = text.rpartition(":")[2]
    return int(digits) if digits.isdigit() else None


def _graphs_of(message: Any, into: List[List[List[str]]]) -> None:
    """Adds the nodes of every TensorFlow graph in a computation, functions' own included."""
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None or kind.name == "Type":
            continue
        if kind.name == "Any":
            from tensorflow.core.framework import graph_pb2

            if value.type_url.endswith("tensorflow.GraphDef"):
                graph = graph_pb2.GraphDef.FromString(value.value)
                nodes = [[node.name, node.op] for node in graph.node]
                for function in graph.library.function:
                    nodes += [[node.name, node.op] for node in function.node_def]
                into.append(nodes[:MOST_NODES])
            continue
        for part in [value] if hasattr(value, "ListFields") else value:
            _graphs_of(part, into)
