"""Shapes that were recorded are those of the tensors, though one comes to lie where another lay."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]


def test_a_tensor_is_never_taken_for_an_earlier_one(recorded: Callable[..., Trace]) -> None:
    trace = recorded("shapes.py")
    calls = trace.calls.merge(trace.sites, on="site_id").sort_values("start_ns")
    relus = calls[calls.op == "Relu"]
    expected: list[tuple[list[list[int]], str]] = []
    for i in range(200):
        expected.append(([[1 + i % 7] * (1 + i % 3)], ["float32", "int32"][i % 2]))
        expected.append(([[3, 5]], "float32"))
    assert [json.loads(shapes) for shapes in relus["shapes"]] == [shapes for shapes, _ in expected]
    assert [json.loads(types) for types in relus["dtypes"]] == [[dtype] for _, dtype in expected]
