"""How functions are told apart by their recorded op calls. The records are made by hand; those of real functions are
tested in tests/wrappers."""

from __future__ import annotations

from typing import Any

import pytest

from tftrace.analysis import wrappers

FACTS: dict[str, Any] = {
    "name": "lib.f", "names": ["lib.f"], "others": [], "module": "lib", "file": "lib.py", "line": 3,
    "doc": "Computes something well.",
}  # fmt: skip


def op(name: str, *origins: Any) -> dict[str, Any]:
    """An op call; `origins` say what its inputs come from: "argument", the index of a call, or None."""
    return {"op": name, "attrs": {}, "from": list(origins), "inner": []}


def match(*native: str, equal: bool | None = True, on_stack: bool = True, us: float = 1.0) -> dict[str, Any]:
    return {"native": list(native), "how": "same arguments", "equal": equal, "on_stack": on_stack, "us": us}


def part(native: str | None, *calls: int, matches: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    found = [match(native)] if matches is None and native else matches or []
    return {"native": [native] if native else [], "calls": list(calls), "matches": found}


def record(
    ops: list[dict[str, Any]],
    result: list[Any],
    parts: list[dict[str, Any]],
    whole: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    case = {"dtype": "float32", "arguments": ["float32[2,3]"], "ops": ops, "result": result}
    return {
        "name": "lib.f", "status": "ok", "reason": None, "mode": "eager", "cases": [case], "whole": whole or [],
        "parts": parts, "kernels": [], "python_us": 2.0,
    }  # fmt: skip


def row(made: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return wrappers.row({**FACTS, **facts}, made)


def test_without_an_op_it_is_none() -> None:
    assert row(record([], ["argument"], []))["category"] == "no_op"


def test_an_op_in_another_case_counts() -> None:
    made = record([op("Cast", "argument")], [0], [part("tf.cast", 0)], [match("tf.cast")])
    made["cases"].append({"dtype": "float64", "arguments": [], "ops": [], "result": ["argument"]})
    assert row(made)["category"] == "thin"


def test_one_call_of_a_native_function_is_thin_however_many_ops_it_makes() -> None:
    ops = [op("Minimum", "argument", None), op("Maximum", 0, None)]
    found = row(record(ops, [1], [part("tf.clip_by_value", 0, 1)], [match("tf.clip_by_value")]))
    assert (found["category"], found["native"], found["added"]) == ("thin", ["tf.clip_by_value"], [])
    assert (found["equal"], found["python_us"], found["native_us"]) == (True, 2.0, 1.0)


def test_the_same_ops_with_other_numbers_prove_nothing() -> None:
    ops = [op("Max", "argument", None)]
    found = row(
        record(ops, [0], [part(None, 0, matches=[])], [match("tf.reduce_max", equal=False, on_stack=False)])
    )
    assert "tf.reduce_max" not in found["native"]


def test_a_cast_before_the_work_is_added() -> None:
    ops = [op("Cast", "argument"), op("All", 0, None)]
    made = record(
        ops, [1], [part("tf.cast", 0), part("tf.reduce_all", 1)], [match("tf.experimental.numpy.all")]
    )
    found = row(made)
    assert (found["category"], found["added"]) == ("thick", ["Cast"])
    assert found["native"] == ["tf.reduce_all", "tf.experimental.numpy.all", "tf.cast"]
    assert found["calls"] == ["tf.cast", "tf.reduce_all"]


def test_shapes_computed_for_the_work_are_added_and_no_work() -> None:
    ops = [
        op("Shape", "argument"),
        op("StridedSlice", 0),
        op("Prod", 1),
        op("Pack", None, 2),
        op("Reshape", "argument", 3),
    ]
    parts = [
        part(f"tf.{name}", at)
        for at, name in enumerate(("shape", "slice", "reduce_prod", "stack", "reshape"))
    ]
    found = row(record(ops, [4], parts))
    assert (found["category"], found["native"]) == ("thick", ["tf.reshape"])
    assert found["added"] == ["Shape", "StridedSlice", "Prod", "Pack"]


def formula(length: int) -> dict[str, Any]:
    ops = [op("Neg", "argument"), *(op("Exp", at) for at in range(length - 1))]
    return record(ops, [length - 1], [part(f"tf.f{at}", at) for at in range(length)])


def test_three_native_functions_are_a_short_composition_and_four_are_none() -> None:
    assert row(formula(3))["category"] == "thick"
    found = row(formula(4))
    assert (found["category"], found["native"], found["native_us"]) == ("unique", [], None)


def test_plain_arithmetic_around_a_convolution_does_not_make_it_unique() -> None:
    made = formula(4)
    made["cases"][0]["ops"][2] = op("Conv2D", 1, "argument")
    found = row(made)
    assert (found["category"], found["native"]) == ("thick", ["tf.f2"])


def test_what_goes_nowhere_is_no_work() -> None:
    made = formula(4)
    made["cases"][0]["result"] = [2]
    assert row(made)["category"] == "thick"


def test_the_initial_value_of_a_variable_is_no_work_of_a_layer() -> None:
    ops = [
        op("RandomUniform", None), op("VarHandleOp"), op("AssignVariableOp", 1, 0), op("ReadVariableOp", 1),
        op("MatMul", "argument", 3),
    ]  # fmt: skip
    parts = [part("tf.random.uniform", 0), part("tf.Variable", 1, 2, 3), part("tf.matmul", 4)]
    found = row(record(ops, [4], parts))
    assert (found["category"], found["native"]) == ("thick", ["tf.matmul"])


def test_but_it_is_work_of_what_returns_the_variable() -> None:
    ops = [op("MatrixDiagV3", None), op("VarHandleOp"), op("AssignVariableOp", 1, 0)]
    found = row(record(ops, [1], [part("tf.eye", 0), part("tf.Variable", 1, 2)]))
    assert (found["category"], found["native"]) == ("thick", ["tf.eye"])


def test_another_name_comes_first_and_says_what_is_beneath() -> None:
    found = row(record([], [], []), others=["lib.g"])
    assert (found["category"], found["beneath"], found["native"]) == ("alias", "no_op", ["lib.g"])


def test_a_function_that_could_not_be_called_says_why() -> None:
    found = row({"name": "lib.f", "status": "failed", "reason": "it hangs", "cases": []})
    assert (found["category"], found["reason"], found["equal"]) == ("not_traced", "it hangs", None)


@pytest.mark.parametrize(
    ("facts", "documented", "legacy"),
    [
        ({"doc": "DEPRECATED."}, False, True),
        ({"doc": None}, False, False),
        ({"doc": "Computes it.\n\nWarning: THIS FUNCTION IS DEPRECATED. It will be removed."}, True, True),
        ({"names": ["tf.compat.v1.assign"]}, True, True),
        ({"names": ["tf.compat.v1.abs", "tf.abs"]}, True, False),
    ],
)
def test_documented_and_legacy(facts: dict[str, Any], documented: bool, legacy: bool) -> None:
    found = row(record([], [], []), **facts)
    assert (found["documented"], found["legacy"]) == (documented, legacy)


def test_counts_are_of_all_functions() -> None:
    functions = [
        {**FACTS, "name": "lib.a"},
        {**FACTS, "name": "lib.b", "others": ["lib.c"]},
        {**FACTS, "name": "lib.d"},
    ]
    none = record([], [], [])
    records = {"lib.a": none, "lib.b": none, "lib.d": {"status": "failed", "reason": "it hangs", "cases": []}}
    made = wrappers.document(["lib"], {"tensorflow": "2.21.0"}, functions, records, {"called": 5, "of": 9})
    assert made["counts"] == {"alias": 1, "no_op": 1, "thin": 0, "thick": 0, "unique": 0, "not_traced": 1}
    assert made["beneath"] == {"no_op": 1}
    assert made["classified"] == 0.6667
