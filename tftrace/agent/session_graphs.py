"""The graphs that TensorFlow's sessions ran, asked for with the first run of each set of fetches and feeds.

A run gives its graph where its options ask for it. They are a copy of the script's own, and what the script did not ask
for is taken out of the metadata before it reads them: it hands in and gets back what it would without tftrace.

    Session.run, make_callable          TF_SessionRun with options of ours, and with metadata of ours where it gave none
    _make_callable_from_options         its options are fixed when it is made: a second one, with ours, serves
                                        its first call, and is released again
"""

import threading
from typing import Any, Callable, Dict, List, Set, Tuple

from .patches import Patches

_MOST = 4096  # callables, metadata not yet read: more than any script has at once


class SessionGraphs:
    """`ran(graph number, metadata)` is called with each graph; metadata is None where a graph cannot be seen."""

    def __init__(
        self, owner: Any, graph_number: Callable[[Any], int], ran: Callable[[int, Any], None]
    ) -> None:
        self._owner, self._number, self._ran = owner, graph_number, ran
        self._seen: Set[Any] = set()
        self._callables: Dict[Tuple[int, Any], Tuple[int, Any, Any]] = {}
        self._unread: Dict[int, Tuple[Any, bytes]] = {}
        self._reading: Any = None
        self._lock = threading.Lock()

    def start(self, patches: Patches) -> None:
        from tensorflow.core.protobuf import config_pb2
        from tensorflow.python.client import pywrap_tf_session, session

        self._tf, self._config = pywrap_tf_session, config_pb2
        owner, base = self._owner, session.BaseSession
        owner.instead(patches, base, "_call_tf_sessionrun", self._with_options, self._session_ran)
        if hasattr(base, "_Callable") and hasattr(pywrap_tf_session, "TF_SessionRunCallable"):
            owner.around(patches, base._Callable, "__init__", self._callable_made)
            owner.instead(
                patches, pywrap_tf_session, "TF_SessionRunCallable", self._second_callable, self._callable_ran
            )

    def stop(self) -> None:
        with self._lock:
            self._unread.clear()
            self._read_as_before()
        self._callables.clear()

    def reopen(self) -> None:
        self._lock = threading.Lock()
        self._seen.clear()

    # -- Session.run and make_callable

    def _with_options(self, *given: Any, **keywords: Any) -> Tuple[Any, ...]:
        """The arguments of `_call_tf_sessionrun` with options of ours, where this is run the first time. A run whose
        graph is not seen is noted: what it used was not pruned."""
        if len(given) != 6 or keywords:
            return ()
        session, theirs, feeds, fetches, targets, metadata = given
        number = self._number(session.graph)
        key = (number, self._outputs(fetches), frozenset(self._outputs(feeds)), self._names(targets))
        if key in self._seen:
            return ()
        self._seen.add(key)
        if _refuses(session):
            self._ran(number, None)
            return ()
        asked = self._config.RunOptions()
        if theirs is not None:
            asked.ParseFromString(self._tf.TF_GetBuffer(theirs))
        as_asked = asked.output_partition_graphs and metadata is not None
        asked.output_partition_graphs = True
        options = self._tf.TF_NewBufferFromString(asked.SerializeToString())
        room = self._tf.TF_NewBuffer() if metadata is None else metadata
        run = _Run((session, options, feeds, fetches, targets, room))
        run.number, run.as_asked = number, as_asked
        run.metadata, run.ours = room, [options] if metadata is not None else [options, room]
        return run

    def _session_ran(self, run: Any, *rest: Any) -> None:
        if run:
            self._ended(run, bool(rest))

    def _ended(self, run: "_Run", well: bool) -> None:
        """Takes what a run of ours told; where the script gave room for it, it finds there what it asked for."""
        try:
            if well:
                found = self._config.RunMetadata.FromString(self._tf.TF_GetBuffer(run.metadata))
                self._ran(run.number, found)
                if run.metadata not in run.ours and not run.as_asked:
                    self._hand_over(run.metadata, found)
        finally:
            for buffer in run.ours:
                self._tf.TF_DeleteBuffer(buffer)

    def _outputs(self, outputs: Any) -> Tuple[str, ...]:
        return tuple("%s:%d" % (self._tf.TF_OperationName(o.oper), o.index) for o in outputs)

    def _names(self, operations: Any) -> Tuple[str, ...]:
        return tuple(self._tf.TF_OperationName(o) for o in operations)

    # -- metadata that the script gave room for

    def _hand_over(self, buffer: Any, found: Any) -> None:
        """Has the script read `found` in `buffer` without the graphs, which it did not ask for. It reads it next, on
        this thread; until then, and no longer, the function that reads a buffer is ours."""
        del found.partition_graphs[:]
        with self._lock:
            if len(self._unread) >= _MOST:  # runs that failed after TensorFlow had done its part
                self._unread.clear()
            self._unread[id(buffer)] = (buffer, found.SerializeToString())
            if self._reading is None:
                self._reading = self._tf.TF_GetBuffer
                self._tf.TF_GetBuffer = self._read

    def _read(self, buffer: Any) -> Any:
        with self._lock:
            read = self._reading or self._tf.TF_GetBuffer
            found = self._unread.pop(id(buffer), None)
            if not self._unread:
                self._read_as_before()
        return found[1] if found is not None and found[0] is buffer else read(buffer)

    def _read_as_before(self) -> None:
        if self._reading is not None and self._tf.TF_GetBuffer == self._read:
            self._tf.TF_GetBuffer = self._reading
            self._reading = None

    # -- _make_callable_from_options

    def _callable_made(self, token: Any, *rest: Any) -> None:
        if len(rest) != 5 or rest[1]:  # result, no names, the callable, session, options
            return
        made, session, options = rest[2:]
        number = self._number(session.graph)
        key = (number, tuple(options.fetch), frozenset(options.feed), tuple(options.target))
        if key in self._seen or len(self._callables) >= _MOST:
            return
        self._seen.add(key)
        if _refuses(session):
            return self._ran(number, None)
        asked = self._config.CallableOptions()
        asked.CopyFrom(options)
        asked.run_options.output_partition_graphs = True
        self._callables[id(session._session), made._handle] = (number, options.run_options, asked)

    def _second_callable(self, *given: Any, **keywords: Any) -> Tuple[Any, ...]:
        """The arguments of `TF_SessionRunCallable` with a callable of ours, the first time."""
        first = self._callables.pop((id(given[0]), given[1]), None) if self._callables and given else None
        if first is None or len(given) != 4 or keywords:
            return ()
        number, theirs, asked = first
        session, _, arguments, metadata = given
        options = self._tf.TF_NewBufferFromString(asked.SerializeToString())
        try:
            second = self._tf.TF_SessionMakeCallable(session, options)
        finally:
            self._tf.TF_DeleteBuffer(options)
        room = self._tf.TF_NewBuffer() if metadata is None else metadata
        run = _Run((session, second, arguments, room))
        run.number, run.as_asked = number, theirs.output_partition_graphs
        run.metadata, run.ours = room, [] if metadata is not None else [room]
        return run

    def _callable_ran(self, run: Any, *rest: Any) -> None:
        if run:
            self._ended(run, bool(rest))
            self._tf.TF_SessionReleaseCallable(run[0], run[1])


class _Run(Tuple[Any, ...]):
    """Arguments of a run that are not the script's, and what of them is to be read and given back."""

    number: int
    as_asked: bool  # the script's own options ask for the graphs
    metadata: Any
    ours: List[Any]


def _refuses(session: Any) -> bool:
    """Whether the session was configured to fail where it is asked for its graphs."""
    experimental = getattr(getattr(session, "_config", None), "experimental", None)
    return bool(getattr(experimental, "disable_output_partition_graphs", False))
