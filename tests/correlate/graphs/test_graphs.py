"""Kernel names of inlined functions lead back to the nodes that lines made."""

from __future__ import annotations

from typing import Any

from tftrace.correlate.graphs.graphs import Graphs


def node(graph: int, name: str, op: str, *calls: str, stack: int = 1) -> dict[str, Any]:
    return {
        "graph": graph,
        "node": name,
        "op": op,
        "calls": list(calls),
        "stack": stack,
        "inputs": [],
        "t": 0,
        "ns": 0,
        "tid": 1,
    }


def graphs() -> Graphs:
    return Graphs(
        [
            {"graph": 1, "name": "outer", "kind": "function", "function": None},
            {"graph": 1, "name": "outer", "kind": "function", "function": "__inference_outer_9"},
            {"graph": 2, "name": "inner", "kind": "function", "function": "__inference_inner_5"},
            {"graph": 3, "name": "", "kind": "graph", "function": None},
        ],
        [
            node(1, "StatefulPartitionedCall", "StatefulPartitionedCall", "__inference_inner_5", stack=11),
            node(1, "Relu", "Relu", stack=12),
            node(2, "Conv2D", "Conv2D", stack=13),
            node(2, "Relu", "Relu", stack=14),
            node(3, "Conv2D", "Conv2D", stack=15),
        ],
    )


def resolved(name: str, graph: int | None = 1) -> Any:
    found = graphs()
    row, rule = found.resolve(graph, name)
    return (found.nodes[row]["stack"], rule) if row is not None else (None, rule)


def test_a_node_of_the_graph_itself() -> None:
    assert resolved("Relu") == (12, "node name")


def test_an_inlined_node_is_found_through_the_node_that_calls_its_function() -> None:
    assert resolved("StatefulPartitionedCall/Conv2D") == (13, "node name")
    assert resolved("StatefulPartitionedCall/Relu") == (14, "node name")


def test_a_node_of_a_function_that_ran_under_its_own_name_is_found_among_what_the_graph_calls() -> None:
    assert resolved("Conv2D") == (13, "node name, unique among what the graph calls")


def test_the_same_name_in_another_graph_is_not_taken() -> None:
    assert resolved("Conv2D", graph=3) == (15, "node name")


def test_without_a_known_graph_the_name_has_to_be_unique() -> None:
    assert resolved("Conv2D", graph=None)[0] is None
    assert resolved("StatefulPartitionedCall", graph=None) == (11, "node name, unique among graphs")


def test_what_grappler_put_in_the_place_of_a_node_leads_to_that() -> None:
    assert resolved("ArithmeticOptimizer/SimplifyAggregation_Mul_Relu") == (
        12, "node name, in that of what Grappler put in its place",
    )  # fmt: skip
    assert resolved("StatefulPartitionedCall/ArithmeticOptimizer/AddOpsRewrite_Leaf_0_Conv2D")[0] == 13


def test_what_the_framework_made_says_so() -> None:
    assert resolved("ArithmeticOptimizer/AddOpsRewrite_add") == (
        None, "made by Grappler, TensorFlow's graph optimiser",
    )  # fmt: skip
    assert resolved("_send_x_0")[1].startswith("made by TensorFlow's runtime")
    assert resolved("never/made") == (None, "no node of this name was made while tftrace watched")


def test_modes_and_labels() -> None:
    found = graphs()
    assert (found.mode(1), found.mode(3)) == ("function", "session")
    found.compiled = {1}
    assert found.mode(1) == "xla"
    assert (found.label(1), found.label(3), found.label(77)) == ("__inference_outer_9", "graph 3", "graph 77")
