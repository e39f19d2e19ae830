"""What became of each node: the graph as lines made it, beside the graph that TensorFlow ran."""

from __future__ import annotations

from typing import Any

from tftrace.correlate.graphs.fates import Fate, swallowed
from tftrace.correlate.graphs.graphs import Graphs
from tftrace.correlate.graphs.optimized import Optimized, optimized


def node(
    name: str, op: str, *sources: str, graph: int = 1, calls: tuple[str, ...] = (), **attrs: Any
) -> dict[str, Any]:
    return {
        "graph": graph, "node": name, "op": op, "from": [s if ":" in s else f"{s}:0" for s in sources],
        "calls": list(calls), "stack": 1, "attrs": attrs,
    }  # fmt: skip


def function(number: int, name: str, inputs: list[str], outputs: list[str]) -> dict[str, Any]:
    return {
        "graph": number, "name": name, "kind": "function", "function": f"__inference_{name}_{number}",
        "inputs": [f"{i}:0" for i in inputs], "outputs": [f"{o}:0" for o in outputs],
    }  # fmt: skip


MADE = [
    node("x", "Placeholder"), node("w", "Placeholder"), node("b", "Placeholder"),
    node("Const", "Const"), node("Sqrt", "Sqrt", "Const"), node("truediv", "RealDiv", "Sqrt", "Const"),
    node("Max", "Max", "x", "Const"), node("mul", "Mul", "x", "truediv"), node("mul_1", "Mul", "x", "truediv"),
    node("Conv2D", "Conv2D", "mul", "w"), node("BiasAdd", "BiasAdd", "Conv2D", "b"), node("Relu", "Relu", "BiasAdd"),
    node("same", "Identity", "Relu"), node("Sum", "Sum", "same", "mul_1"),
    node("two", "Const"), node("three", "Const"), node("a", "AddV2", "Sum", "two"), node("c", "Mul", "a", "three"),
    node("Identity", "Identity", "c"),
]  # fmt: skip
RAN = [
    ["x", "_Arg", [], []], ["w", "_Arg", [], []], ["b", "_Arg", [], []], ["truediv", "Const", [], []],
    ["two", "Const", [], []], ["mul", "Mul", ["truediv", "x"], []],
    ["Relu", "_MklNativeFusedConv2D", ["mul", "w", "b"], ["BiasAdd", "Relu"]], ["Sum", "Sum", ["Relu", "mul"], []],
    ["a", "AddV2", ["Sum", "two"], []], ["c", "Mul", ["two", "a", "^Sum"], []],
    ["identity_RetVal", "_Retval", ["c"], []],
]  # fmt: skip


def compared(
    made: list[dict[str, Any]], ran: list[Any], graphs: list[dict[str, Any]], graph: int | None = None
) -> tuple[Graphs, Optimized]:
    known = Graphs(graphs, made)
    return known, optimized(known, [{"graph": graph, "t": 9, "nodes": ran}], {1: 5})


def told(known: Graphs, found: Optimized) -> dict[str, tuple[str, str | None, str | None]]:
    """Node -> (fate, into, node that stands for it)."""
    return {
        str(known.nodes[row]["node"]): (
            f.fate,
            f.into,
            None if f.row is None else str(known.nodes[f.row]["node"]),
        )
        for row, f in found.fates.items()
    }


def test_each_node_of_a_function_that_did_not_run_by_itself_has_its_fate() -> None:
    known, found = compared(MADE, RAN, [function(1, "step", ["x", "w", "b"], ["Identity"])])
    assert told(known, found) == {
        "Const": ("folded", "truediv", None),
        "Sqrt": ("folded", "truediv", None),
        "truediv": ("folded", "truediv", None),
        "Max": ("pruned", None, None),
        "mul_1": ("merged", "mul", "mul"),
        "BiasAdd": ("fused", "Relu", "Conv2D"),
        "Relu": ("fused", "Relu", "Conv2D"),
        "same": ("removed", "Sum", "Sum"),
        "three": ("merged", "two", "two"),  # c takes the constant of another node in its place
        "Identity": ("removed", None, None),
    }
    assert {name: known.nodes[row]["node"] for (_, name), row in found.principals.items()} == {
        "Relu": "Conv2D"
    }


def test_a_kernel_that_is_fused_counts_as_the_op_that_it_is_fused_around() -> None:
    known, found = compared(MADE, RAN, [function(1, "step", ["x", "w", "b"], ["Identity"])])
    known.principals = found.principals
    row, _ = known.resolve(1, "Relu")
    assert row is not None
    assert known.nodes[row]["node"] == "Conv2D"


def test_functions_are_inlined_and_their_arguments_followed() -> None:
    made = [
        node("x", "Placeholder"), node("call", "StatefulPartitionedCall", "x", calls=("__inference_inner_2",)),
        node("out", "Identity", "call:0"),
        node("p", "Placeholder", graph=2), node("MatMul", "MatMul", "p", "p", graph=2),
        node("Add", "AddV2", "MatMul", "p", graph=2), node("unused", "Exp", "p", graph=2),
    ]  # fmt: skip
    ran = [["x", "_Arg", [], []], ["call/Add", "_FusedMatMul", ["x", "x", "x"], ["BiasAdd"]],
           ["r", "_Retval", ["call/Add"], []], ["call", "NoOp", ["^call/Add"], []]]  # fmt: skip
    graphs = [function(1, "outer", ["x"], ["out"]), function(2, "inner", ["p"], ["Add"])]
    known, found = compared(made, ran, graphs)
    fates = told(known, found)
    assert fates["Add"] == ("fused", "call/Add", "MatMul")
    assert fates["unused"] == ("pruned", None, None)
    assert found.principals[1, "call/Add"] == 4


def test_what_one_fetch_of_a_session_does_not_ask_for_another_may() -> None:
    made = [node("x", "Placeholder"), node("a", "Exp", "x"), node("b", "Log", "x"), node("c", "Abs", "x")]
    known = Graphs([{"graph": 1, "name": "", "kind": "graph", "function": None}], made)
    runs = [{"graph": 1, "t": t, "nodes": [["x", "_Arg", [], []], [n, made[at]["op"], ["x"], []]]}
            for t, (n, at) in enumerate([("a", 1), ("b", 2)])]  # fmt: skip
    assert told(known, optimized(known, runs, {})) == {"c": ("pruned", None, None)}


def test_a_graph_that_was_not_run_before_is_not_taken_for_the_one_that_ran() -> None:
    known = Graphs([function(1, "step", ["x", "w", "b"], ["Identity"])], MADE)
    assert optimized(known, [{"graph": None, "t": 3, "nodes": RAN}], {1: 5}).graphs == set()


def test_a_node_of_a_loop_is_no_node_that_vanished() -> None:
    made = [node("i", "Placeholder"), node("while", "While", "i", calls=("body",)), node("out", "Identity", "while"),
            node("j", "Placeholder", graph=2), node("Exp", "Exp", "j", graph=2)]  # fmt: skip
    body = function(2, "body", ["j"], ["Exp"]) | {"function": "body"}
    ran = [["i", "_Arg", [], []], ["while/body/_1/while/Exp", "Exp", ["i"], []]]
    known, found = compared(made, ran, [function(1, "loop", ["i"], ["out"]), body])
    assert "Exp" not in told(known, found)


def test_xla_computes_nodes_beside_the_one_that_an_instruction_is_counted_for() -> None:
    known = Graphs([function(1, "step", ["x"], ["Relu"])], MADE)
    by_name = {row["node"]: at for at, row in enumerate(MADE)}
    found = swallowed(known, [(1, "maximum_fusion", "Relu", ["BiasAdd", "Conv2D"])], {by_name["Conv2D"]})
    assert found[by_name["BiasAdd"]] == Fate("fused", "maximum_fusion", "XLA", by_name["Relu"])
    assert by_name["Conv2D"] not in found
    assert found[by_name["Max"]].fate == "removed"


def test_what_an_unseen_run_may_have_used_is_not_called_pruned() -> None:
    """A session's run with options of the script's own is not looked into."""
    made = [node("a", "Const"), node("Conv2D", "Conv2D", "a", "a"), node("Sum", "Sum", "a")]
    seen = {"graph": 1, "t": 9, "nodes": [["a", "Const", [], []], ["Sum", "Sum", ["a"], []]]}
    known = Graphs([{"graph": 1, "name": "", "kind": "graph", "function": None, "t": 1}], made)
    assert told(known, optimized(known, [seen], {1: 5})) == {"Conv2D": ("pruned", None, None)}
    unseen = {"graph": 1, "t": 10, "nodes": [], "missed": True}
    assert told(known, optimized(known, [seen, unseen], {1: 5})) == {}


def test_what_only_the_graph_that_ran_holds_was_added_by_the_optimizer() -> None:
    ran = [["turned", "Transpose", ["x"], []], ["_send_x", "_Send", ["x"], []], *RAN]
    _, found = compared(MADE, ran, [function(1, "step", ["x", "w", "b"], ["Identity"])])
    assert found.added == {(1, "turned"): "Transpose"}


LOOP = [
    node("x", "Placeholder"), node("loop", "StatelessWhile", "x", calls=("test", "body")), node("y", "Neg", "loop"),
    node("a", "Placeholder", graph=2), node("less", "Less", "a", graph=2),
    node("p", "Placeholder", graph=3), node("c", "Const", graph=3), node("Sqrt", "Sqrt", "c", graph=3),
    node("mul", "Mul", "p", "Sqrt", graph=3), node("Max", "Max", "p", graph=3), node("Relu", "Relu", "mul", graph=3),
]  # fmt: skip


def test_the_body_of_a_loop_is_compared_where_the_executor_put_it() -> None:
    graphs = [
        function(1, "step", ["x"], ["y"]),
        {**function(2, "test", ["a"], ["less"]), "function": "test"},
        {**function(3, "body", ["p"], ["Relu"]), "function": "body"},
    ]
    ran = [
        ["x", "_Arg", [], []], ["loop/enter/_1", "Enter", ["x"], []], ["loop/cond/_7/less", "Less", [], []],
        ["loop/body/_8/Sqrt", "Const", [], []], ["loop/body/_8/mul_0", "Mul", [], []],
        ["loop/body/_8/Relu", "Relu", [], []], ["y", "Neg", [], []],
    ]  # fmt: skip
    known, found = compared(LOOP, ran, graphs)
    assert told(known, found) == {
        "c": ("folded", "loop/body/_8/Sqrt", None),
        "Sqrt": ("folded", "loop/body/_8/Sqrt", None),
        "Max": ("pruned", None, None),
    }
    assert [known.resolve(1, f"loop/{name}")[0] for name in ("cond/_7/less", "body/_8/mul_0", "body/_8/Relu")] == [
        4, 8, 10,
    ]  # fmt: skip


def test_unary_ops_that_grappler_composed_run_in_a_kernel_with_the_name_of_the_last() -> None:
    made = [
        node("x", "Placeholder"), node("Neg", "Neg", "x"), node("Tanh", "Tanh", "Neg"), node("Sqrt", "Sqrt", "Tanh"),
        node("Exp", "Exp", "Sqrt"), node("Identity", "Identity", "Exp"),
    ]  # fmt: skip
    ran = [
        ["x", "_Arg", [], []], ["Neg", "Neg", ["x"], []],
        ["Exp/unary_ops_composition", "_UnaryOpsComposition", ["Neg"], []],
        ["identity_RetVal", "_Retval", ["Exp/unary_ops_composition"], []],
    ]  # fmt: skip
    known, found = compared(made, ran, [function(1, "f", ["x"], ["Identity"])], 1)
    into = ("fused", "Exp/unary_ops_composition", "Exp")
    assert told(known, found) == {"Tanh": into, "Sqrt": into, "Identity": ("removed", None, None)}
    row, rule = known.resolve(1, "Exp/unary_ops_composition")
    assert row is not None
    assert (known.nodes[row]["node"], rule) == (
        "Exp",
        "node name, in that of what Grappler put in its place",
    )
