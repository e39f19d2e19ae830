"""Every node of every graph, led back to the Python stack that made it.

Nodes are made in one place, `Graph._create_op_internal`, whatever builds the graph: tf.function, a Session's graph,
a tf.data map function, a gradient. Those of a graph that was read, as from a SavedModel, come together. A concrete
function gives its graph a name in the runtime; AutoGraph's source maps lead from generated code back to lines
of the user's.
"""

import sys
import threading
import weakref
from typing import Any, Callable, Dict, List, Set

from .. import files
from ..clocks import raw
from ..function_library import MOST_INPUTS, functions
from ..graph_runs import GraphRuns
from ..metas import plain, tensor
from ..patches import Patches
from ..tracings import Tracings
from .base import Probe


class GraphProbe(Probe):
    name = "graph"

    def prepare(self) -> None:
        self._numbers: "weakref.WeakKeyDictionary[Any, int]" = weakref.WeakKeyDictionary()
        self._made_on: "weakref.WeakKeyDictionary[Any, int]" = weakref.WeakKeyDictionary()  # Python stacks
        self._nodes_in: Dict[int, int] = {}  # graph -> nodes, for the profiler's budget
        self._calls_in: Dict[int, Set[str]] = {}
        self._next = 0
        self._functions: Set[str] = set()  # names of those whose nodes are known
        self._function_attributes: Dict[str, List[str]] = {}
        self._plain_attributes: Dict[str, List[str]] = {}
        self._maps_written: Set[str] = set()
        self._local = threading.local()
        self.runs = GraphRuns(self.session, self.number)
        self.tracings = Tracings(self.session, self.number)
        self.on_function: List[Callable[[], Any]] = []
        self._open_files()

    def _open_files(self) -> None:
        directory = self.session.directory
        self._graphs = files.Lines(directory, "graphs.jsonl")
        self._nodes = files.Lines(directory, "nodes.jsonl")
        self._maps = files.Lines(directory, "sourcemaps.jsonl")

    def start(self) -> None:
        from tensorflow.python.autograph.impl import api as autograph
        from tensorflow.python.framework import importer, op_def_library, ops

        self.patches = Patches()
        around = self.session.around
        around(self.patches, ops.Graph, "__init__", self._graph_made)
        self.runs.start(self.patches)
        self.tracings.start(self.patches)
        around(self.patches, ops.Graph, "_create_op_internal", self._node_made, before=raw)
        around(self.patches, ops.Graph, "_add_new_tf_operations", self._nodes_imported, before=raw)
        around(self.patches, importer, "_import_graph_def_internal", self._functions_imported, before=raw)
        around(self.patches, op_def_library, "_apply_op_helper", self._op_applied, before=self._op_begins)
        around(self.patches, type(autograph._TRANSPILER), "transform", self._transformed)
        try:  # TF 2.15 and later
            from tensorflow.python.eager.polymorphic_function import atomic_function

            around(self.patches, atomic_function, "from_func_graph", self._function_made)
        except (ImportError, AttributeError):
            from tensorflow.python.eager.polymorphic_function import monomorphic_function

            around(
                self.patches,
                monomorphic_function._EagerDefinedFunction,
                "__init__",
                self._function_made_before_2_15,
            )
        self.running = True

    def _graph_made(self, token: Any, *rest: Any) -> None:
        if rest:  # what it is called is not known yet: it is written with its first node
            self._made_on[rest[2]] = self.session.stacks.intern(sys._getframe(1))

    def number(self, graph: Any) -> int:
        number = self._numbers.get(graph)
        if number is None:
            self._next += 1
            number = self._numbers[graph] = self._next
            kind = "function" if getattr(graph, "building_function", False) else "graph"
            name = str(getattr(graph, "name", "") or "")
            stack = self._made_on.get(graph)
            row = {"graph": number, "name": name, "kind": kind, "function": None, "t": raw(), "stack": stack}
            self._graphs.add(row)
        return number

    # -- one node

    def _op_begins(self) -> int:
        pending = self._pending()
        pending.append([])
        return raw()

    def _pending(self) -> List[List[Dict[str, Any]]]:
        try:
            return self._local.pending  # type: ignore[no-any-return]
        except AttributeError:
            self._local.pending = []
            return self._local.pending  # type: ignore[no-any-return]

    def _node_made(self, started: int, *rest: Any) -> None:
        if not rest:
            return  # it raised
        row = self._row(rest[0], started, raw() - started, self.session.stacks.intern(sys._getframe(1)))
        pending = self._pending()
        if pending:
            pending[-1].append(row)
        else:
            self._nodes.add(row)

    def _nodes_imported(self, started: int, *rest: Any) -> None:
        """The nodes of a graph that was read, all at once: what each of them cost is not known."""
        imported = list(rest[0]) if rest and rest[0] else []
        if not imported:
            return
        took, stack = raw() - started, self.session.stacks.intern(sys._getframe(1))
        for op in imported:
            row = self._row(op, started, took, stack)
            self._nodes.add({**row, "imported": True, "attrs": self._attributes(op)})

    def _functions_imported(self, started: int, *rest: Any) -> None:
        """What the graph brought along; functions that Python had made already are known by their graphs."""
        took, stack = raw() - started, self.session.stacks.intern(sys._getframe(1))
        for name, inputs, outputs, nodes in functions(rest[2] if len(rest) > 2 else None):
            if name in self._functions:
                continue
            self._functions.add(name)
            self._next += 1
            row = {
                "graph": self._next,
                "name": name,
                "kind": "function",
                "function": name,
                "t": raw(),
                "stack": stack,
            }
            self._graphs.add({**row, "inputs": inputs, "outputs": outputs})
            for node in nodes:
                made = {"graph": self._next, "stack": stack, "t": started, "ns": took, "inputs": []}
                self._nodes.add({**made, "imported": True, "tid": threading.get_native_id(), **node})
            self.session.metas.nodes_of[name] = len(nodes)

    def _row(self, op: Any, started: int, ns: int, stack: int) -> Dict[str, Any]:
        graph, inputs = self.number(op.graph), list(op.inputs)
        row = {
            "graph": graph,
            "node": op.name,
            "op": op.type,
            "stack": stack,
            "t": started,
            "ns": ns,
            "calls": self._functions_called(op),
            "tid": threading.get_native_id(),
            "inputs": [tensor(value) for value in inputs[:32]],
            "from": [value.name for value in inputs[:MOST_INPUTS]],
            "device": op.device or None,
        }
        self._nodes_in[graph] = self._nodes_in.get(graph, 0) + 1
        if row["calls"]:
            self._calls_in.setdefault(graph, set()).update(row["calls"])
        return row

    def _attributes(self, op: Any) -> Dict[str, Any]:
        """Those that a generated wrapper would have been given."""
        names = self._plain_attributes.get(op.type)
        if names is None:
            definition = getattr(op, "op_def", None)
            inferred = {
                name
                for argument in getattr(definition, "input_arg", ())
                for name in (argument.type_attr, argument.number_attr, argument.type_list_attr)
            }
            names = self._plain_attributes[op.type] = [
                a.name
                for a in getattr(definition, "attr", ())
                if a.name not in inferred
                and not a.name.startswith("_")
                and a.type.rstrip(")").rpartition("(")[2] in _PLAIN_KINDS
            ]
        found: Dict[str, Any] = {}
        for name in names:
            try:
                found[name] = plain(op.get_attr(name))
            except ValueError:
                continue
        return found

    def _op_applied(self, started: int, *rest: Any) -> None:
        """The generated wrapper's whole work for one node: that is what making it cost in Python."""
        pending = self._pending()
        rows = pending.pop() if pending else []
        if rest and rows:
            result, names, arguments = rest[0], rest[1], rest[2:]
            made = result[2].name if isinstance(result, tuple) and len(result) > 2 else None
            keywords = dict(zip(names or (), arguments[len(arguments) - len(names or ()) :]))
            for row in rows:
                if row["node"] == made:
                    row["ns"] = raw() - started
                    row["attrs"] = {k: plain(v) for k, v in keywords.items() if k != "name" and _is_plain(v)}
        for row in rows:
            self._nodes.add(row)

    def _functions_called(self, op: Any) -> List[str]:
        attributes = self._function_attributes.get(op.type)
        if attributes is None:
            attributes = []
            definition = getattr(op, "op_def", None)
            for a in getattr(definition, "attr", ()):
                if a.type in ("func", "list(func)"):
                    attributes.append(a.name)
            self._function_attributes[op.type] = attributes
        called: List[str] = []
        for name in attributes:
            try:
                value = op.get_attr(name)
            except ValueError:
                continue
            called += [
                v.name for v in (value if isinstance(value, list) else [value]) if getattr(v, "name", None)
            ]
        return called

    # -- functions

    def _function_made(self, token: Any, *rest: Any) -> None:
        if len(rest) >= 4:
            self._named(rest[2], rest[3])

    def _function_made_before_2_15(self, token: Any, *rest: Any) -> None:
        if len(rest) >= 5:  # result, names, self, name, graph, ..
            self._named(rest[3], rest[4])

    def _named(self, name: Any, graph: Any) -> None:
        text = name.decode() if isinstance(name, bytes) else str(name)
        self._functions.add(text)
        number = self.number(graph)
        row = {
            "graph": number,
            "name": str(getattr(graph, "name", "")),
            "kind": "function",
            "function": text,
            "t": raw(),
            "inputs": _names(getattr(graph, "inputs", ())),
            "outputs": _names(getattr(graph, "outputs", ())),
        }
        self._graphs.add(row)
        for callback in self.on_function:
            callback()
        self._weigh(text, number)

    def _weigh(self, function: str, graph: int) -> None:
        metas = self.session.metas
        nested = sum(metas.nodes_of.get(f, 0) for f in self._calls_in.get(graph, ()))
        metas.nodes_of[function] = self._nodes_in.get(graph, 0) + nested
        metas.arguments.pop(function, None)

    def _transformed(self, token: Any, *rest: Any) -> None:
        result = rest[0] if rest else None
        if not (isinstance(result, tuple) and len(result) >= 3):
            return
        file = str(getattr(result[1], "__file__", ""))
        if not file or file in self._maps_written:
            return
        self._maps_written.add(file)
        lines = {
            int(at.lineno): [origin.loc.filename, int(origin.loc.lineno), str(origin.function_name or "")]
            for at, origin in result[2].items()
        }
        self._maps.add({"file": file, "lines": lines})

    def stop(self) -> None:
        left = self.patches.restore()
        if left:
            self.partly = "replaced by somebody else meanwhile, left as it is: " + ", ".join(left)
        self.running = False

    def reopen(self) -> None:
        self._numbers.clear()
        self._made_on.clear()
        self._functions.clear()
        self.runs.reopen()
        self.tracings.open_files()
        self._maps_written.clear()
        self._open_files()

    def counts(self) -> Dict[str, Any]:
        return {"events": self._nodes.count, "lost": 0}


def _names(tensors: Any) -> List[Any]:
    return [getattr(value, "name", None) for value in list(tensors or ())]


_PLAIN_KINDS = ("int", "float", "bool", "string", "type")


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(v) for v in value[:64])
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return True
    return type(value).__name__ == "DType"
