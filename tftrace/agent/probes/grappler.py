"""What TensorFlow really runs of each graph: after its optimizer, Grappler, has pruned, folded and fused it.

For a function the eager context collects that graph when it is first run; asking for it costs nothing a call. For a
session it is asked for with the first run of each set of fetches: `session_graphs`.
"""

import time
from typing import Any, Dict, List, Optional

from .. import files
from ..clocks import raw
from ..patches import Patches
from ..session_graphs import SessionGraphs
from .base import Probe

MOST_NODES = 100_000  # of one graph
_FRAME = ("_Arg", "_DeviceArg", "_Retval", "_DeviceRetval", "NoOp")
LATEST_S = 5.0  # after a function was made its graph is looked for more often


class GrapplerProbe(Probe):
    name = "grappler"

    def prepare(self) -> None:
        self._asked = False  # the context collects graphs because we asked it to
        self._users = False  # .. because the script did
        self._made = 0.0
        self._open_files()

    def _open_files(self) -> None:
        self._lines = files.Lines(self.session.directory, "optimized.jsonl")

    def start(self) -> None:
        from tensorflow.core.protobuf import config_pb2
        from tensorflow.python import pywrap_tfe
        from tensorflow.python.client import pywrap_tf_session
        from tensorflow.python.eager import context

        graph = self.session.probe("graph")
        if graph is None or not graph.running:
            return self.unavailable("it needs the probe graph, which does not run")
        self.graph = graph
        self._context, self._tfe, self._tf = context, pywrap_tfe, pywrap_tf_session
        self._run_metadata = config_pb2.RunMetadata
        self.patches = Patches()
        self.sessions = SessionGraphs(self.session, graph.number, self._session_ran)
        self.sessions.start(self.patches)
        around = self.session.around
        for name, now in (("enable_graph_collection", True), ("disable_graph_collection", False)):
            around(self.patches, context.Context, name, self._users_own(now))
        for name, now in (("enable_run_metadata", True), ("disable_run_metadata", False)):
            around(self.patches, context.Context, name, self._users_own(now))
        around(self.patches, context.Context, "export_run_metadata", self._users_export)
        graph.on_function.append(self.session.guarded(self._function_made))
        self.running = True

    # -- functions

    def _handle(self) -> Any:
        """The eager context, None before it was initialised: that is for the script to begin."""
        return getattr(self._context.context(), "_handle", None)

    def _function_made(self) -> None:
        self._made = time.monotonic()
        handle = self._handle()
        if handle is not None and not self._asked:
            self._tfe.TFE_ContextEnableGraphCollection(handle)
            self._asked = True

    def tick(self, now: float) -> None:
        if self._asked and not self._users and self._made and now - self._made < LATEST_S:
            self._collect()

    def _collect(self) -> None:
        handle = self._handle()
        if handle is None:
            return
        buffer = self._tf.TF_NewBuffer()
        try:
            self._tfe.TFE_ContextExportRunMetadata(handle, buffer)
            data = self._tf.TF_GetBuffer(buffer)
        finally:
            self._tf.TF_DeleteBuffer(buffer)
        if data:
            self._write_functions(self._run_metadata.FromString(data))

    def _write_functions(self, metadata: Any) -> None:
        for function in metadata.function_graphs:
            self._write(None, function.partition_graphs)
            self._made = time.monotonic()

    def _users_own(self, now: bool) -> Any:
        def after(token: Any, *rest: Any) -> None:
            self._users = now
            self._asked = False  # what the script switches off is off for us as well, until the next function

        return after

    def _users_export(self, token: Any, *rest: Any) -> None:
        if rest and rest[0] is not None:
            self._write_functions(rest[0])

    # -- sessions

    def _session_ran(self, number: int, metadata: Any) -> None:
        if metadata is None:
            self._lines.add({"graph": number, "t": raw(), "nodes": [], "missed": True})
        else:
            self._write(number, metadata.partition_graphs)

    def _write(self, number: Optional[int], graphs: Any) -> None:
        nodes: List[Any] = []
        count = 0
        for graph in graphs:
            for node in graph.node:
                count += 1
                if count <= MOST_NODES:
                    fused = node.attr["fused_ops"].list.s if "fused_ops" in node.attr else ()
                    nodes.append(
                        [node.name, node.op, list(node.input), [s.decode("utf-8", "replace") for s in fused]]
                    )
        if number is None and sum(node[1] not in _FRAME for node in nodes) < 2:
            return  # an eager op, which TensorFlow runs as a function of one node
        row: Dict[str, Any] = {"graph": number, "t": raw(), "nodes": nodes}
        if count > MOST_NODES:
            row["cut"] = count - MOST_NODES
        self._lines.add(row)

    def stop(self) -> None:
        if self._asked and not self._users:
            self._collect()
            handle = self._handle()
            if handle is not None:
                self._tfe.TFE_ContextDisableGraphCollection(handle)
        self.sessions.stop()
        left = self.patches.restore()
        if left:
            self.partly = "replaced by somebody else meanwhile, left as it is: " + ", ".join(left)
        self.running = False

    def reopen(self) -> None:
        if self.running:  # a server that forks may not have imported TensorFlow yet
            self.sessions.reopen()
        self._open_files()

    def counts(self) -> Dict[str, Any]:
        return {"events": self._lines.count, "lost": 0}
