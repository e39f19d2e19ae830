"""TensorFlow's sessions, each with its graph and the line that opened it, and runs of graphs that failed before or in
the runtime: what `Session.run`, `Tensor.eval` or `Operation.run` raised, of which session and of which tensors' graphs.
"""

import sys
import threading
import weakref
from typing import Any, Callable, Dict, Iterator, List, Optional

from . import files
from .clocks import raw
from .patches import Patches

_ENDS = ("OutOfRangeError",)
"""How a tf.data pipeline in a session says that it is at its end: no failure."""
_TENSORS = 32
_MESSAGE = 1000


class GraphRuns:
    def __init__(self, session: Any, graph_number: Callable[[Any], int]) -> None:
        self.session, self.graph_number = session, graph_number
        self._numbers: "weakref.WeakKeyDictionary[Any, int]" = weakref.WeakKeyDictionary()
        self._next = 0
        self._local = threading.local()
        self.open_files()

    def open_files(self) -> None:
        self._opened = files.Lines(self.session.directory, "opened.jsonl")
        self._failed = files.Lines(self.session.directory, "failures.jsonl")

    def start(self, patches: Patches) -> None:
        from tensorflow.python.client import session
        from tensorflow.python.framework import ops, sparse_tensor

        around = self.session.around
        places = {
            (owner, name)
            for owner in (ops, sparse_tensor, sys.modules.get("tensorflow.python.framework.tensor"))
            for name in ("_eval_using_default_session", "_run_using_default_session")
            if owner is not None and name in owner.__dict__
        }
        for owner, name in places:
            failed = self._eval_failed if name.startswith("_eval") else self._operation_failed
            around(patches, owner, name, _nothing, before=self._begins, failed=failed)
        around(patches, session.BaseSession, "run", _nothing, before=self._begins, failed=self._run_failed)

    # -- sessions

    def opened(self, session: Any) -> None:
        """A session that has just been made, by whoever stands on the Python stack."""
        self.number(session, self.session.stacks.intern(sys._getframe(1)))

    def number(self, session: Any, stack: Optional[int] = None) -> Optional[int]:
        graph = getattr(session, "graph", None)
        if graph is None:
            return None
        number = self._numbers.get(session)
        if number is None:
            self._next += 1
            number = self._numbers[session] = self._next
            row = {
                "session": number,
                "graph": self.graph_number(graph),
                "class": type(session).__name__,
                "stack": stack,
                "t": raw(),
            }
            self._opened.add(row)
        return number

    # -- failures

    def _begins(self) -> int:
        self._local.told = None
        return raw()

    def _eval_failed(self, token: int, error: Any, names: Any, tensors: Any, *rest: Any) -> None:
        session = _argument("session", 2, names, rest)
        self._told(token, error, "Tensor.eval", session, list(_graph_members(tensors)))

    def _operation_failed(self, token: int, error: Any, names: Any, operation: Any, *rest: Any) -> None:
        session = _argument("session", 2, names, rest)
        self._told(token, error, "Operation.run", session, list(_graph_members(operation)))

    def _run_failed(self, token: int, error: Any, names: Any, session: Any, *rest: Any) -> None:
        fetches, feeds = _argument("fetches", 0, names, rest), _argument("feed_dict", 1, names, rest)
        members = [
            *_graph_members(fetches),
            *_graph_members(list(feeds) if isinstance(feeds, dict) else None),
        ]
        self._told(token, error, "Session.run", session, members)

    def _told(self, token: int, error: Any, what: str, session: Any, members: List[Any]) -> None:
        kind = error if isinstance(error, type) else type(error)
        # what runs within another run hands its exception on: the innermost has told it
        if kind.__name__ in _ENDS or getattr(self._local, "told", None) == id(error):
            return
        self._local.told = id(error)
        if session is None:
            from tensorflow.python.framework import ops

            session = ops.get_default_session()
        row = {
            "what": what,
            "error": kind.__name__,
            "message": None if self.session.options.get("redact") else str(error)[:_MESSAGE],
            "stack": self.session.stacks.intern(sys._getframe(1)),
            "t": token,
            "ns": raw() - token,
            "tid": threading.get_native_id(),
            "session": self.number(session),
            "tensors": [[str(m.name), self.graph_number(m.graph)] for m in members[:_TENSORS]],
        }
        self._failed.add(row)

    def reopen(self) -> None:
        self._numbers.clear()
        self.open_files()


def _nothing(token: int, *rest: Any) -> None:
    pass


def _argument(name: str, position: int, names: Any, rest: Any) -> Any:
    """An argument of the original, of which `rest` has all but the first, those by keyword last."""
    keywords = dict(zip(names or (), rest[len(rest) - len(names or ()) :]))
    if name in keywords:
        return keywords[name]
    plain = len(rest) - len(keywords)
    return rest[position] if position < plain else None


def _graph_members(value: Any) -> Iterator[Any]:
    """Tensors and operations in what a run was asked for: one, or lists and dicts of them."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _graph_members(one)
    elif getattr(value, "graph", None) is not None and isinstance(getattr(value, "name", None), str):
        yield value


def uncaught(session: Any) -> Optional[Dict[str, Any]]:
    """The exception that ended this process, as the interpreter left it for debuggers; None where there was none."""
    error = getattr(sys, "last_value", None)
    if error is None or session.options.get("inside"):  # a notebook's own cell may have raised
        return None
    return {
        "error": type(error).__name__,
        "message": None if session.options.get("redact") else str(error)[:_MESSAGE],
        "stack": session.stacks.describe_traceback(getattr(sys, "last_traceback", None)),
    }
